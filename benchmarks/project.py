"""A project of its own for a benchmark: environments that name running databases by address.

As a service has it: `database.url`, not `embedded`, whose starting and stopping would be measured
along. The server is an embedded one all the same, and its client tools come first on PATH.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyrage

from stockctl.core.units import format_size
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database
from timing import Took, postmaster, run

_TOML = """
env_file = ".env.{name}"
[database]
url = "${{DATABASE_URL}}"
[host]
directory = "../state-{name}"
[backup]
recipients = ["{recipient}"]
identity_file = "key.txt"
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A filled database, and the environment of that name. `server` is its postmaster."""

    root: Path
    name: str
    database: Database
    server: int

    @property
    def key(self) -> Path:
        return self.root / "environments" / "key.txt"

    @property
    def stored(self) -> Path:
        """The newest backup in the folder."""
        return sorted((self.root / f"state-{self.name}" / "backups").glob("*.zst.age"))[-1]

    def stockctl(self, *arguments: str, stdout: int | IO[bytes] = subprocess.DEVNULL) -> Took:
        """The program as it is installed."""
        argv = [str(Path(sys.executable).with_name("stockctl")), "--root", str(self.root)]
        path = f"{self.database.tools.folder}:{os.environ['PATH']}"
        return run(
            [*argv, *arguments],
            server=self.server,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
        )

    def tool(self, program: str, *arguments: str, database: Database | None = None) -> Took:
        """pg_dump or pg_restore; what it writes goes nowhere."""
        target = database or self.database
        with target.tools.command(program, *arguments, dsn=target.dsn) as command:
            settings = {"env": {**os.environ, **command.environment}, "pass_fds": command.inherits}
            nowhere = subprocess.DEVNULL
            return run(list(command.argv), server=self.server, stdout=nowhere, **settings)

    def dump(self) -> Took:
        """The floor of a backup: what the server's COPY takes."""
        return self.tool("pg_dump", "-Fc", "-Z0")


@contextmanager
def filled(root: Path, name: str, fill: Callable[[Database], int]) -> Iterator[Bench]:
    """Serves a new database while the block runs, filled and with an environment."""
    data = root / f"state-{name}" / "postgres"
    data.parent.mkdir()
    with serve(data, name) as database:  # no two environments may share a name on one address
        print(f"\n{name}: a database of {format_size(fill(database))}", flush=True)
        bench = Bench(root, name, database, postmaster(data))
        environment(bench, name)
        yield bench


def environment(bench: Bench, name: str, more: str = "", values: str = "") -> None:
    """One of the same database; `more` goes into its [backup], `values` into its env file."""
    folder = bench.key.parent
    folder.mkdir(exist_ok=True)
    if not bench.key.exists():
        bench.key.write_text(f"{pyrage.x25519.Identity.generate()}\n")
        bench.key.chmod(0o600)
    recipient = pyrage.x25519.Identity.from_str(bench.key.read_text().strip()).to_public()
    (folder / f"{name}.toml").write_text(_TOML.format(name=name, recipient=recipient) + more)
    secrets = folder / f".env.{name}"
    secrets.write_text(f"DATABASE_URL={bench.database.dsn.url().reveal()}\n{values}")
    secrets.chmod(0o600)
