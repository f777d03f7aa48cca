"""psql for a person at a terminal, or for what is piped into us."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import ToolFailed, ToolMissing
from stockctl.system import compose
from stockctl.system.postgres import Database, Dsn, target

GRACE_S = 5.0  # between SIGTERM and SIGKILL
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


def foreground(command: Command) -> int:
    """Runs it with our terminal, in our process group; its exit code. It never outlives us.

    Ctrl-C reaches both: it is for the statement that runs there, so we do not hear it. Raises
    ToolMissing, ToolFailed.
    """
    heard = signal.signal(signal.SIGINT, _not_for_us)  # not SIG_IGN, which it would inherit
    try:
        with _running(command) as child:
            return child.wait()
    finally:
        signal.signal(signal.SIGINT, heard)


def _not_for_us(_number: int, _frame: object) -> None:
    pass


@contextmanager
def _running(command: Command) -> Iterator[subprocess.Popen[bytes]]:
    program = command.argv[0]
    try:
        child = subprocess.Popen(
            command.argv,
            env={**os.environ, **command.environment},
            pass_fds=command.inherits,
        )
    except FileNotFoundError:
        hint = "apt-get install postgresql-client, or set database.service: its container has one."
        raise ToolMissing(
            f"{program} is not on this machine",
            hint=hint if program.endswith("psql") else "stockctl doctor",
        ) from None
    except OSError as error:
        raise ToolFailed(f"{program} does not start: {error.strerror}") from None
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
