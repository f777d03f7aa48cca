"""psql for a person at a terminal, or for what is piped into us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stockctl.core.command import Command
from stockctl.system import compose
from stockctl.system.postgres import Database, Dsn, target

# A password that is typed (`ALTER ROLE … PASSWORD …`) must not stay in ~/.psql_history. psql knows
# this name and writes nothing (saveHistory in src/bin/psql/input.c); the arrow keys still work.
_DISCREET = {"PSQL_HISTORY": os.devnull, "PGAPPNAME": "stockctl"}
# Debian keeps the clients of each major version here.
DEBIAN = Path("/usr/lib/postgresql")


def arguments(environment: str, *, terminal: bool) -> tuple[str, ...]:
    """A prompt that says where one is; for a script an end at its first error, and no psqlrc."""
    if terminal:
        return ("-v", f"PROMPT1={environment.replace('%', '')}:%/%R%x%# ")
    return ("-X", "-v", "ON_ERROR_STOP=1")


@contextmanager
def here(database: Database, arguments: tuple[str, ...]) -> Iterator[Command]:
    """On this machine, of the server's own major version where there are several.

    Timeouts of the role hold, unlike those of our own work. Raises DatabaseUnreachable.
    """
    with database.connect() as connection:
        major = connection.info.server_version // 10_000
    tools = database.tools
    folder = tools.folder or DEBIAN / str(major) / "bin"
    if (folder / "psql").is_file():
        tools = replace(tools, folder=folder)
    with tools.command("psql", *arguments, dsn=database.dsn) as command:
        environment = {**command.environment, **_DISCREET, "PGOPTIONS": ""}
        yield replace(command, environment=environment)


def in_service(
    dsn: Dsn, project: str, service: str, arguments: tuple[str, ...], *, terminal: bool
) -> Command:
    """Inside the database's container. `-e NAME` without a value takes it from docker's own
    environment (docker/cli, opts.ValidateEnv), so that the password is on no argv; standard
    input stays the person's."""
    variables = ("PGPASSWORD", *_DISCREET)
    prefix = compose.enter(project, service, terminal=terminal, variables=variables)
    argv = (*prefix, "psql", *target(dsn, "127.0.0.1", 5432), *arguments)
    return Command(argv, environment={"PGPASSWORD": dsn.password.reveal(), **_DISCREET})
