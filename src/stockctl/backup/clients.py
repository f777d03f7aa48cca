"""pg_dump and pg_restore must be of the server's own major version."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from stockctl.core.errors import ToolFailed
from stockctl.system.host import Host
from stockctl.system.postgres import Database

_TIMEOUT_S = 60.0
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
# Debian and Ubuntu keep the clients of each major version here, side by side.
_DEBIAN = Path("/usr/lib/postgresql")
# The first minor release of each major that has no hole known to us: an object's name in a dump
# could run code where the dump is restored (CVE-2025-8714, CVE-2026-18408;
# https://www.postgresql.org/support/security/).
_SOUND = {14: 24, 15: 19, 16: 15, 17: 11, 18: 6}


def matching(host: Host, database: Database, program: str, server_major: int) -> Database:
    """The database with tools of its server's version: those that are configured, or where there
    are none, this machine's. Raises ToolFailed unless the versions match.

    An older pg_dump refuses the server, a newer one writes settings that the server rejects
    (https://www.postgresql.org/docs/current/app-pgdump.html, Notes).
    """
    database = _beside(host, database, program, server_major)
    said = version(host, database, program)
    found = _VERSION.search(said)
    if found is None or int(found[1]) != server_major:
        raise ToolFailed(
            f"{program} is not of the server's version: PostgreSQL {server_major} and {said!r}",
            hint=f"Install postgresql-client-{server_major}, or set database.service to run"
            f" {program} where the server runs.",
        )
    return database


def version(host: Host, database: Database, program: str) -> str:
    """What it says of itself."""
    asked = database.tools.local(program, "--version")
    return host.run(asked, timeout_s=_TIMEOUT_S).stdout.strip()


def hole(said: str) -> str:
    """What is wrong with a version that is known to be unsafe; '' where nothing is known."""
    found = _VERSION.search(said)
    if found is None or found[2] is None:
        return ""
    major, minor = int(found[1]), int(found[2])
    if major >= min(_SOUND) and minor >= _SOUND.get(major, 0):
        return ""
    to = f"{major}.{_SOUND[major]}" if major in _SOUND else "a version that is maintained"
    return f"known to be unsafe (CVE-2025-8714, CVE-2026-18408): upgrade to {to}"


def _beside(host: Host, database: Database, program: str, major: int) -> Database:
    tools = database.tools
    folder = _DEBIAN / str(major) / "bin"
    if tools.prefix or tools.folder or not host.exists(folder / program):
        return database
    return replace(database, tools=replace(tools, folder=folder))
