"""`stockctl db shell`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from stockctl.cli.db import app
from stockctl.cli.guard import Confirm, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, engine_of, open_environment
from stockctl.core.errors import DatabaseFailed, StockctlError, ToolFailed, UsageError

if TYPE_CHECKING:
    from stockctl.core.command import Command

# https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-EXIT-STATUS
_SCRIPT_FAILED, _CONNECTION_LOST = 3, 2


@verb(
    app,
    "shell",
    example="stockctl db shell staging\necho 'select 1' | stockctl db shell local",
    exits=(3, 4, 6, 7),
)
def shell(session: Session, name: str, given: Confirm = None) -> Result:
    """Opens psql on the environment's database; the password is on no command line.

    What is piped in is run until its first error. What is typed stays out of ~/.psql_history.
    """
    from stockctl.system.foreground import foreground

    if session.as_json:
        raise UsageError("db shell shows what psql shows: it has no --json")
    opened = open_environment(session, name)
    if opened.environment.protected:
        what = f"open psql on {name}, which is protected"
        confirm(session, name, what, protected=True, given=given, yes=False)
    with _command(opened) as command, opened.journal.operation("db shell"):
        code = foreground(command)
        if code:
            raise _failure(code)
    return Result()


@contextmanager
def _command(opened: Opened) -> Iterator[Command]:
    """For as long as the block runs: an embedded server ends with it."""
    from stockctl.system.psql import arguments, here, in_service

    environment, settings = opened.environment, opened.database_settings()
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    given = arguments(environment.name, terminal=terminal)
    with opened.database() as database:
        if settings.service and not settings.embedded:
            project, service = environment.project, settings.service
            command = in_service(database.dsn, project, service, given, terminal=terminal)
            variables = {**command.environment, **engine_of(opened.host)}
            yield replace(command, environment=variables)
        else:
            with here(database, given) as command:
                yield command


def _failure(code: int) -> StockctlError:
    if code == _SCRIPT_FAILED:
        return DatabaseFailed("a statement failed: what came after it was not run")
    if code == _CONNECTION_LOST:
        return DatabaseFailed("psql could not connect, or lost its connection")
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return ToolFailed(f"psql {how}")
