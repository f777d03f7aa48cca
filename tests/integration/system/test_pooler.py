"""Debian's PgBouncer in front of a real server: what it does to sessions is seen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.ports import free_port

from stockctl.core.errors import Refused
from stockctl.core.progress import Progress
from stockctl.core.secret import Secret
from stockctl.db.inspect.overview import inspect
from stockctl.db.ledger import read_status
from stockctl.db.migration import read_migrations
from stockctl.db.runner import migrate, plan_migrate, plan_rollback, rollback
from stockctl.system.pooler import Pooling, pooling
from stockctl.system.postgres import ClientTools, Database, Dsn

INI = """\
[databases]
{name} = host={socket} port={port} dbname={name} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits
"""
Through = Callable[..., Database]


def _program() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        said = "there is no pgbouncer here: tests/testbed/pgbouncer.sh installs it"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found


@contextmanager
def _pgbouncer(database: Database, mode: str, size: int) -> Iterator[Database]:
    """Run by the server's own user: it refuses root, and the socket is for nobody else."""
    program, dsn = _program(), database.dsn
    owner = Path(dsn.host).stat()
    listen = free_port()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="stockctl-pgbouncer-"))
        ini = Path(folder) / "pgbouncer.ini"
        ini.write_text(
            INI.format(
                name=dsn.database,
                socket=dsn.host,
                port=dsn.port,
                user=dsn.user,
                listen=listen,
                mode=mode,
                size=size,
            )
        )
        Path(folder).chmod(0o755)
        log = stack.enter_context((Path(folder) / "log").open("w"))
        run = subprocess.Popen(
            [program, "-q", ini],
            stderr=log,
            **({"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}),
        )
        try:
            _await_port(listen, run, Path(folder) / "log")
            yield Database(
                Dsn("127.0.0.1", listen, dsn.user, Secret(""), dsn.database), ClientTools()
            )
        finally:
            run.terminate()
            run.wait(10)


def _await_port(port: int, run: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert run.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("pgbouncer does not listen")


@pytest.fixture
def through(database: Database) -> Iterator[Through]:
    """`through("transaction")`: the database by way of a PgBouncer in that mode."""
    with ExitStack() as stack:
        yield lambda mode, size=20: stack.enter_context(_pgbouncer(database, mode, size))


def seen(database: Database) -> Pooling:
    with psycopg.connect(**database.dsn.parameters(), autocommit=True) as connection:
        return pooling(database.dsn, connection)


def test_a_server_is_no_pooler(database: Database) -> None:
    assert seen(database) is Pooling.NONE


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("session", 20, Pooling.SESSION),
        ("session", 2, Pooling.SESSION),
        ("session", 1, Pooling.UNKNOWN),  # no second one to compare with
        ("transaction", 20, Pooling.TRANSACTION),
        ("transaction", 1, Pooling.TRANSACTION),
        ("statement", 20, Pooling.UNKNOWN),
    ],
)
def test_each_mode_is_told(through: Through, mode: str, size: int, expected: Pooling) -> None:
    assert seen(through(mode, size)) is expected


def test_in_a_pool_that_others_use_too(through: Through) -> None:
    """Servers held by others, others that come back: still told, time after time."""
    database = through("transaction", 4)
    with ExitStack() as stack:
        others = [
            stack.enter_context(psycopg.connect(**database.dsn.parameters())) for _ in range(2)
        ]
        for turn in range(10):
            others[turn % 2].execute("SELECT 1")  # in a transaction from now on
            assert seen(database) is Pooling.TRANSACTION
            others[(turn + 1) % 2].rollback()


def test_our_settings_are_not_left_to_others(through: Through) -> None:
    """One server connection for all: what `connect` set in it, the next client would have."""
    database = through("transaction", 1)
    for setting in ("statement_timeout", "client_connection_check_interval"):
        with psycopg.connect(**database.dsn.parameters(), autocommit=True) as other:
            other.execute(f"SET {setting} = '77s'")
            with database.connect() as ours:
                ours.execute("SELECT 1")
            assert other.execute(f"SHOW {setting}").fetchone() == ("77s",)
            other.execute(f"RESET {setting}")


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_look_goes_through_and_leaves_nothing_behind(
    through: Through, database: Database, mode: str
) -> None:
    """`db inspect` is read-only in its transaction, not in a session that others get."""
    pooled = through(mode, 2)
    found = inspect(pooled)
    assert all("not read" not in note.message for each in found.sections for note in each.notes)
    settings = ("default_transaction_read_only", "statement_timeout", "lock_timeout", "search_path")
    shown = []
    for each in (database, pooled):
        with psycopg.connect(**each.dsn.parameters(), autocommit=True) as client:
            shown.append([client.execute(f"SHOW {name}").fetchone() for name in settings])
    assert shown[0] == shown[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();")
    (tmp_path / "0001_a.rollback.sql").write_text("DROP TABLE a;")
    return tmp_path


def _up(database: Database, folder: Path, progress: Progress) -> None:
    files = read_migrations(folder)
    plan = plan_migrate(read_status(database, files), files, to=None, phase=None)
    migrate(
        database, plan, progress=progress, lock_timeout_s=2, statement_timeout_s=60, lock_wait_s=0
    )


def test_migrations_go_through_a_session_pool(
    through: Through, folder: Path, progress: Progress
) -> None:
    database = through("session")
    _up(database, folder, progress)
    assert read_status(database, read_migrations(folder)).head == "0001_a"


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_migrations_are_refused_elsewhere(
    through: Through, database: Database, folder: Path, progress: Progress, mode: str
) -> None:
    pooled = through(mode)
    with pytest.raises(Refused) as caught:
        _up(pooled, folder, progress)
    assert "pool_mode = session" in caught.value.hint
    with database.connect() as connection:
        assert connection.execute("SELECT to_regclass('a'), count(*) FROM pg_locks"
                                  " WHERE locktype = 'advisory' AND database = (SELECT oid FROM"
                                  " pg_database WHERE datname = current_database())"
        ).fetchone() == (None, 0)  # fmt: skip


def test_so_is_a_rollback(
    through: Through, database: Database, folder: Path, progress: Progress
) -> None:
    _up(database, folder, progress)
    files = read_migrations(folder)
    plan = plan_rollback(read_status(database, files), files, steps=1, to=None)
    with pytest.raises(Refused, match="pools transactions"):
        rollback(
            through("transaction"),
            plan,
            progress=progress,
            allow_data_loss=True,
            lock_timeout_s=2,
            statement_timeout_s=60,
            lock_wait_s=0,
        )
    assert read_status(database, files).head == "0001_a"
