"""`stockctl db drift`: the live schema against what its applied migrations give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from stockctl.core.errors import Refused
from stockctl.core.progress import Progress
from stockctl.core.units import counted
from stockctl.db.catalog.diff import Difference, differences
from stockctl.db.drizzle import without_journal
from stockctl.db.expected import applied_scripts, expected_schema, live_schema
from stockctl.db.migration import Migration
from stockctl.db.scratch import Scratch
from stockctl.db.session import Limits
from stockctl.system.postgres import Database, errors


@dataclass(frozen=True, slots=True)
class Drift:
    """Objects that differ: `-` what the migrations give, `+` what the live database has.

    `head` is the last migration that was applied to it, of `migrations`.
    """

    differences: tuple[Difference, ...]
    ignored: tuple[Difference, ...]
    migrations: int
    head: str | None


def find_drift(
    live: Database,
    scratch: Scratch,
    migrations: Sequence[Migration],
    limits: Limits,
    progress: Progress,
    *,
    ignore: Sequence[str] = (),
    shared: bool = True,
) -> Drift:
    """Reads the live database and writes nothing to it. `ignore`: patterns for names of objects as
    they are shown. Raises Refused, MigrationFailed, DatabaseFailed, DatabaseUnreachable."""
    with live.connect() as connection, errors(f"read the schema of {live.dsn}"):
        major = connection.info.server_version // 10000
        scripts = applied_scripts(connection, migrations)
        with progress.step("read the live schema"):
            found = without_journal(live_schema(connection))
    _refuse_another_version(scratch, major)
    with progress.step(f"run {counted(len(scripts), 'migration')}"):
        wanted = expected_schema(scratch, scripts, limits, shared=shared)
    every = differences(wanted, found)
    ignored = tuple(
        each for each in every if any(fnmatchcase(str(each.key), one) for one in ignore)
    )
    shown = tuple(each for each in every if each not in ignored)
    return Drift(shown, ignored, len(scripts), scripts[-1].id if scripts else None)


def _refuse_another_version(scratch: Scratch, major: int) -> None:
    """Versions write the same thing in other words."""
    own = scratch.server_version // 10000
    if own != major:
        raise Refused(
            f"the live server is PostgreSQL {major} and the scratch database would be on {own}:"
            " they would differ in words",
            hint="Leave out --embedded, with a role that may create databases (CREATEDB).",
        )
