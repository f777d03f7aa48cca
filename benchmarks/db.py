"""What migrations cost: 1000 of them against dbmate, one large file against psql, and `db status`.

One server on 127.0.0.1, a new database for each run, whole processes, taken in turns; medians, of
the ratios as well. dbmate is left its dump of the schema, which it makes by calling pg_dump after
each run (`--no-dump-schema`). Give another number of rounds as the first argument.
tests/testbed/dbmate.sh fetches dbmate.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.servers import a_server, binaries  # noqa: E402

from stockctl.core.secret import Secret  # noqa: E402
from stockctl.system.postgres import ClientTools, Database, Dsn  # noqa: E402

STOCKCTL = str(Path(sys.executable).with_name("stockctl"))
STATE = Path(os.environ.get("STOCKCTL_TESTBED_STATE") or ROOT / ".testbed")
VERSION = 18
ROUNDS = 5
MIGRATIONS = 1000
INSERTS = 10_000
PASSWORD = "9fQw3hLrZk7T"  # the server trusts whom it knows
_REAPED_S = 0.2  # until the server has noticed that a backend has ended
ENVIRONMENT = """
[service]
name = "bench"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 3000
image = "bench"
url = "http://127.0.0.1:3000"

[host]
directory = "../var"

[database]
url = "${DATABASE_URL}"
migrations = "../migrations"
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A project for stockctl, the same migrations for dbmate, and the server of both."""

    folder: Path
    server: Database

    def new_database(self, name: str) -> None:
        """Empty; stockctl's project points at it."""
        with self.server.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
            connection.execute("CHECKPOINT")
        env = self.folder / "environments" / ".env"
        env.write_text(f"DATABASE_URL={self.url(name)}\n")
        env.chmod(0o600)

    def url(self, name: str) -> str:
        dsn = self.server.dsn
        return f"postgresql://{dsn.user}:{PASSWORD}@{dsn.host}:{dsn.port}/{name}?sslmode=disable"


def main() -> None:
    """Prints medians and ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder, served(folder) as server:
        bench = Bench(_project(Path(folder) / "project"), server)
        for measure in (many_migrations, one_large_file, status):
            measure(bench, rounds)


def many_migrations(bench: Bench, rounds: int) -> None:
    """1000 files, a table each."""
    dbmate = STATE / "dbmate"
    if not dbmate.exists():
        sys.exit("there is no dbmate: run tests/testbed/dbmate.sh")
    ours, theirs = bench.folder / "migrations", bench.folder / "dbmate"
    _empty(ours)
    theirs.mkdir(exist_ok=True)
    for number in range(1, MIGRATIONS + 1):
        up = f"CREATE TABLE t{number} (id bigint PRIMARY KEY, name text NOT NULL);"
        down = f"DROP TABLE t{number};"
        (ours / f"{number:04d}_t.sql").write_text(f"{up}\n")
        (ours / f"{number:04d}_t.rollback.sql").write_text(f"{down}\n")
        text = f"-- migrate:up\n{up}\n\n-- migrate:down\n{down}\n"
        (theirs / f"{number:04d}_t.sql").write_text(text)
    name = "many"
    peer = [str(dbmate), "--url", bench.url(name), "--migrations-dir", str(theirs)]
    _compare(
        bench,
        f"{MIGRATIONS} one-table migrations",
        {
            "dbmate migrate": [*peer, "--no-dump-schema", "migrate"],
            "stockctl db migrate": _stockctl(bench, "migrate", "--yes"),
        },
        rounds,
        lambda: bench.new_database(name),
        at_most=1.0,
    )


def one_large_file(bench: Bench, rounds: int) -> None:
    """10,000 statements in one file, one transaction."""
    ours = bench.folder / "migrations"
    _empty(ours)
    rows = "".join(f"INSERT INTO t VALUES ({n}, 'row number {n}');\n" for n in range(INSERTS))
    up = ours / "0001_t.sql"
    up.write_text(f"CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL);\n{rows}")
    (ours / "0001_t.rollback.sql").write_text("DROP TABLE t;\n")
    name = "large"
    psql = [str(binaries(VERSION) / "psql"), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"]
    _compare(
        bench,
        f"one file of {INSERTS} inserts",
        {
            "psql -f -1": [*psql, "-d", bench.url(name), "-f", str(up)],
            "stockctl db migrate": _stockctl(bench, "migrate", "--yes"),
        },
        rounds,
        lambda: bench.new_database(name),
        at_most=1.2,
    )


def status(bench: Bench, rounds: int) -> None:
    """With 1000 applied."""
    many_files = bench.folder / "migrations"
    _empty(many_files)
    for number in range(1, MIGRATIONS + 1):
        (many_files / f"{number:04d}_t.sql").write_text(f"CREATE TABLE t{number} (id bigint);\n")
        (many_files / f"{number:04d}_t.rollback.sql").write_text(f"DROP TABLE t{number};\n")
    bench.new_database("status")
    _run(bench.server, _stockctl(bench, "migrate", "--yes"))
    _compare(
        bench,
        f"db status, {MIGRATIONS} applied",
        {
            'python -c "import psycopg"': [sys.executable, "-c", "import psycopg"],
            "stockctl db status": _stockctl(bench, "status"),
        },
        4 * rounds,
        lambda: None,
        at_most=4.0,
    )


@contextmanager
def served(folder: str) -> Iterator[Database]:
    """On 127.0.0.1, without fsync: the disk, the same for all, would hide the difference."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-h 127.0.0.1 -p {port} -c shared_buffers=128MB"
    with a_server(VERSION, Path(folder), options=options):
        dsn = Dsn("127.0.0.1", port, "postgres", Secret(PASSWORD), "postgres")
        yield Database(dsn, ClientTools(folder=binaries(VERSION)))


def _project(root: Path) -> Path:
    (root / "environments").mkdir(parents=True)
    (root / "migrations").mkdir()
    (root / "environments" / "bench.toml").write_text(f'env_file = ".env"\n{ENVIRONMENT}')
    compose = "services:\n  app:\n    image: bench\n"
    (root / "environments" / "compose.yaml").write_text(compose)
    return root


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _stockctl(bench: Bench, *arguments: str) -> list[str]:
    return [STOCKCTL, "--root", str(bench.folder), "db", *arguments]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run, in seconds: until it was over; processor time of it and of the server."""

    wall: float
    client: float
    server: float


def _run(server: Database, argv: list[str]) -> Cost:
    """One whole process, with compiled files, as an installed program has them."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "stockctl-bench-pycache")
    busy, spent = _server_cpu(server), resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{argv}: {done.returncode}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    client = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
    time.sleep(_REAPED_S)
    return Cost(seconds, client, _server_cpu(server) - busy)


def _server_cpu(server: Database) -> float:
    """Seconds, of the postmaster, the children that have ended and those that have not."""
    with server.connect() as connection:
        path = connection.execute("SHOW data_directory").fetchone()
    assert path is not None
    postmaster = (Path(path[0]) / "postmaster.pid").read_text().split()[0]
    ticks = sum(_ticks(postmaster)[1])
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            parent, its = _ticks(process.name)
            ticks += sum(its[:2]) if parent == postmaster else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(process: str) -> tuple[str, list[int]]:
    """Its parent; time as a user, as the system, and both of its children that have ended
    (proc_pid_stat(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return fields[1], [int(each) for each in fields[11:15]]


def _compare(
    bench: Bench,
    title: str,
    argvs: dict[str, list[str]],
    rounds: int,
    prepare: Callable[[], None],
    *,
    at_most: float,
) -> None:
    """The first of them is the baseline. They take turns in who begins."""
    taken: dict[str, list[Cost]] = {name: [] for name in argvs}
    for number in range(rounds + 1):
        order = list(argvs.items())
        for name, argv in order if number % 2 else reversed(order):
            prepare()
            cost = _run(bench.server, argv)
            if number:  # the first round fills the caches
                taken[name].append(cost)
    base = next(iter(taken.values()))
    load = os.getloadavg()[0]
    print(f"{title}  (load {load:.1f}; seconds of a processor: program + server)")
    for name, costs in taken.items():
        wall, client, server, cpu = _medians(costs)
        ratio = statistics.median(
            one.wall / other.wall for one, other in zip(costs, base, strict=True)
        )
        limit = f"  (at most {at_most})" if costs is not base else ""
        spent = f"cpu {client:.2f} + {server:.2f}  {cpu / _medians(base)[3]:5.2f}"
        print(f"  {name:<28}{wall * 1000:8.0f} ms  {spent}  wall {ratio:5.2f}{limit}", flush=True)


def _medians(costs: Sequence[Cost]) -> tuple[float, float, float, float]:
    """Wall, program, server, both together."""
    rows = [(each.wall, each.client, each.server, each.client + each.server) for each in costs]
    wall, client, server, both = map(statistics.median, zip(*rows, strict=True))
    return wall, client, server, both


if __name__ == "__main__":
    main()
