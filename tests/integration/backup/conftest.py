"""A bench: a database, a folder store and everything that create and restore ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyrage
import pytest
from tests.servers import scratch

from stockctl.backup.catalog import Catalogue, choose, list_backups
from stockctl.backup.checks import checks_name
from stockctl.backup.create import CreateOptions, create
from stockctl.backup.key import require_key
from stockctl.backup.manifest import Backup
from stockctl.backup.restore import Restored, restore
from stockctl.backup.restore_plan import RestoreOptions, RestorePlan, plan_restore
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.undo import Undone, plan_undo, undo
from stockctl.backup.verify import peek
from stockctl.core.clock import SystemClock
from stockctl.core.progress import Progress, Reporter, silent
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost
from stockctl.system.postgres import Database

FILES = (attrgetter("object"), attrgetter("manifest"), checks_name)
HOLDER = Holder("anna@desk", "test", datetime(2026, 11, 22, 3, tzinfo=UTC))


@dataclass
class Bench:
    """Short words for long calls."""

    database: Database
    store: DirectoryStore
    directory: Path
    report: Reporter = silent
    recipients: tuple[str, ...] = ()
    identity_file: Path | None = None
    environment: str = "prod"

    def create(self, **changes: Any) -> Backup:
        options = CreateOptions(
            environment=self.environment,
            lock_holder=HOLDER,
            **({"recipients": self.recipients} | changes),
        )
        return create(self.database, self.store, options, **self.ports())

    def restore(self, which: str = "latest", **options: Any) -> Restored:
        return self.carry_out(self.plan(which, **options))

    def carry_out(self, plan: RestorePlan) -> Restored:
        return restore(
            plan,
            self.database,
            self.store,
            identity_file=self.identity_file,
            lock_holder=HOLDER,
            **self.ports(),
        )

    def plan(
        self, which: str = "latest", *, saved_into: DirectoryStore | None = None, **options: Any
    ) -> RestorePlan:
        backup = choose(self.catalogue(), which, datetime.now(UTC))
        return plan_restore(
            backup,
            self.database,
            datetime.now(UTC),
            contents=peek(backup, self.store, require_key(backup, self.identity_file)),
            host=LocalHost(),
            directory=self.directory,
            options=RestoreOptions(**options),
            saved_into=saved_into,
        )

    def undo(self) -> Undone:
        plan = plan_undo(self.database, self.environment, datetime.now(UTC))
        return undo(plan, self.database, self.store, lock_holder=HOLDER, **self.ports())

    def ports(self) -> dict[str, Any]:
        clock = SystemClock()
        return {
            "host": LocalHost(),
            "directory": self.directory,
            "progress": Progress(self.report, clock),
            "clock": clock,
        }

    def catalogue(self) -> Catalogue:
        return list_backups(self.store, self.environment)

    def run(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            cursor = connection.execute(query, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def on(self, report: Reporter) -> Bench:
        return replace(self, report=report)

    def databases(self) -> dict[str, bool]:
        """Those on the server that begin with our name, and whether they let sessions in."""
        with self.database.to("postgres").connect() as connection:
            return dict(
                connection.execute(
                    "SELECT datname, datallowconn FROM pg_database WHERE starts_with(datname, %s)",
                    (self.database.dsn.database,),
                ).fetchall()
            )

    def files(self) -> list[str]:
        """All that lies in the store; its lock stays there for good."""
        names = {path.name for path in self.store.path.iterdir()}
        return sorted(names - {f".{self.environment}.lock"})

    def files_of(self, *backups: Backup) -> list[str]:
        """What lies in the store for these, the last of which is the latest."""
        pointer = [f"{self.environment}.latest"] if backups else []
        return sorted([f(each) for each in backups for f in FILES] + pointer)

    def fill(self, rows: int = 1000, width: int = 100) -> None:
        """A table `item` whose content does not compress to nothing."""
        self.run(
            "CREATE TABLE item AS SELECT n AS id,"
            f" (SELECT string_agg(md5(n::text || i::text), '') FROM generate_series(1, {width} / 32"
            f" + 1) i) AS body FROM generate_series(1, {rows}) n"
        )

    def items(self) -> int:
        return int(self.run("SELECT count(*) FROM item")[0][0])


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Any:
    yield Bench(database, DirectoryStore(tmp_path / "store"), tmp_path / "host")
    _drop_copies(database)


@pytest.fixture
def sealed(bench: Bench, tmp_path: Path) -> Bench:
    """The same with encryption."""
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "key.txt"
    path.write_text(f"{identity}\n")
    return replace(bench, recipients=(str(identity.to_public()),), identity_file=path)


@pytest.fixture
def mortal() -> Iterator[Path]:
    """The folder of a server of the test's own."""
    with scratch("mortal") as folder:
        yield folder / "pg"


def _drop_copies(database: Database) -> None:
    from psycopg import sql

    with database.to("postgres").connect() as connection:
        names = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)",
            (f"{database.dsn.database}_",),
        ).fetchall()
        for (name,) in names:
            connection.execute(
                sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name))
            )
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )
