"""Gates that ask a database: red and green on a real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.conftest import FakeClock, Recorder
from tests.unit.deploy.preflight.conftest import gate, maker

from stockctl.core.progress import Progress
from stockctl.core.secret import Secret
from stockctl.db.ledger import read_status
from stockctl.db.migration import read_migrations
from stockctl.db.runner import migrate, plan_migrate
from stockctl.deploy.preflight.gate import Preflight
from stockctl.env.model import DatabaseSettings
from stockctl.system.postgres import Database


def on(database: Database, folder: Path, clock: FakeClock, recorder: Recorder) -> Preflight:
    """`prod` with this database, a migration of which is applied."""
    migrations = folder / "migrations"
    migrations.mkdir()
    (migrations / "0001_a.sql").write_text("-- phase: expand\nCREATE TABLE a (id int);\n")
    (migrations / "0001_a.rollback.sql").write_text("DROP TABLE a;\n")
    found = read_migrations(migrations)
    plan = plan_migrate(read_status(database, found), found, to=None, phase=None)
    migrate(
        database, plan, progress=Progress(recorder, clock), lock_timeout_s=2, statement_timeout_s=9
    )
    what = maker(folder, clock, recorder, "http://127.0.0.1:1")(connections_used_at_most=100)
    settings = DatabaseSettings(url=Secret("postgresql://a:b@h/d"), migrations=migrations)
    environment = what.site.environment.model_copy(update={"database": settings})
    site = replace(what.site, environment=environment, database=database)
    return replace(what, site=site)


def test_a_migration_that_was_changed_is_red(
    database: Database, tmp_path: Path, clock: FakeClock, recorder: Recorder
) -> None:
    what = on(database, tmp_path, clock, recorder)
    assert gate(what, "migrations").detail == "0 pending, none dirty or changed"
    file = tmp_path / "migrations" / "0001_a.sql"
    file.write_text(file.read_text().replace("int", "bigint"))
    red = gate(what, "migrations")
    assert (red.ok, red.detail, red.fix) == (False, "0001_a changed", "stockctl db status prod")


def test_a_migration_that_is_gone_is_red(
    database: Database, tmp_path: Path, clock: FakeClock, recorder: Recorder
) -> None:
    what = on(database, tmp_path, clock, recorder)
    for file in (tmp_path / "migrations").iterdir():
        file.unlink()
    assert gate(what, "migrations").detail == "0001_a missing"


def test_connections(
    database: Database, tmp_path: Path, clock: FakeClock, recorder: Recorder
) -> None:
    what = on(database, tmp_path, clock, recorder)
    assert gate(what, "connections").ok
    gates = what.settings.model_copy(update={"connections_used_at_most": 1})
    environment = what.site.environment.model_copy(update={"gates": gates})
    with database.connect(), database.connect():
        red = gate(replace(what, site=replace(what.site, environment=environment)), "connections")
    assert (red.ok, red.fix) == (False, "stockctl db inspect prod --connections")
    assert red.detail.endswith("at most 1 %")
