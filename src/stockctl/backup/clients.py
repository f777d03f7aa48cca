"""pg_dump and pg_restore must be of the server's own major version."""

from __future__ import annotations

import re

from stockctl.core.errors import ToolFailed
from stockctl.system.host import Host
from stockctl.system.postgres import Database

_TIMEOUT_S = 60.0
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


def require_client(host: Host, database: Database, program: str, server_major: int) -> None:
    """Raises ToolFailed unless the versions match.

    An older pg_dump refuses the server, a newer one writes settings that the server rejects
    (https://www.postgresql.org/docs/current/app-pgdump.html, Notes).
    """
    said = host.run(database.tools.local(program, "--version"), timeout_s=_TIMEOUT_S).stdout.strip()
    found = _VERSION.search(said)
    if found is None or int(found[1]) != server_major:
        raise ToolFailed(
            f"{program} is not of the server's version: PostgreSQL {server_major} and {said!r}",
            hint=f"Install postgresql-client-{server_major}, or set database.service to run"
            f" {program} where the server runs.",
        )
