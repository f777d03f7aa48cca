"""Another machine, as far as Linux makes one out of namespaces: its own network, its own /tmp and
/run, its own name, a second Docker engine with nothing in it, and a real sshd.

What is published on its 127.0.0.1 is not on ours, and no path below our /tmp leads anywhere there.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.remotes import Sshd, serve_ssh, within

_BEGIN = """
mount -t tmpfs none /tmp && mount -t tmpfs none /run && mkdir /run/sshd || exit 1
ip link set lo up && hostname "$1" && touch "$2/begun" || exit 1
exec sleep infinity
"""


@dataclass(frozen=True)
class Machine:
    """Where it is, and what is on it."""

    name: str
    sshd: Sshd
    inside: tuple[str, ...]  # before an argv: runs it there
    home: Path  # of who comes in; seen from here and from there

    def run(self, *argv: str, given: bytes | None = None) -> str:
        """A program there; it must work."""
        done = subprocess.run([*self.inside, *argv], input=given, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def docker(self, *arguments: str) -> str:
        """With the engine there."""
        return self.run("docker", *arguments)

    def give(self, *images: str) -> None:
        """What somebody pulled there: images of our engine."""
        saved = subprocess.run(["docker", "save", *images], capture_output=True, check=True)
        self.run("docker", "load", "--quiet", given=saved.stdout)

    def toml(self, directory: str = "/srv/there") -> str:
        """`[host]`, with the key in a place of this machine."""
        return (
            f'[host]\nssh = "{self.sshd.host}:{self.sshd.port}"\n'
            f'identity_file = "{self.sshd.key}"\ndirectory = "{directory}"\n'
        )


@contextmanager
def serve_machine() -> Iterator[Machine]:
    """Needs root. Not below /tmp, which looks different there."""
    folder = Path(tempfile.mkdtemp(prefix="stockctl-machine-", dir="/var/tmp"))
    name = f"sco{secrets.token_hex(3)}"
    argv = ["unshare", "--mount", "--net", "--uts", "sh", "-c", _BEGIN, "sh", name, str(folder)]
    with subprocess.Popen(argv) as holder:
        inside = ("nsenter", "--target", str(holder.pid), "--mount", "--net", "--uts")
        try:
            assert within(20, (folder / "begun").exists), "no namespaces: are we root?"
            host = _connect(name, holder.pid, inside)
            with _engine(folder, inside), serve_ssh(folder, host=host, inside=inside) as sshd:
                plugins = folder / ".docker" / "cli-plugins"  # its Compose; a login is its own
                plugins.parent.mkdir()
                plugins.symlink_to(Path.home() / ".docker" / "cli-plugins")
                yield Machine(name, sshd, inside, folder)
        finally:
            holder.kill()
    shutil.rmtree(folder)


def _connect(name: str, pid: int, inside: tuple[str, ...]) -> str:
    """Its address, on a wire between the two of us."""
    third, fourth = secrets.randbelow(256), secrets.randbelow(64) * 4
    ours, theirs = (f"10.213.{third}.{fourth + n}" for n in (1, 2))
    for command in (
        ["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid)],
        ["ip", "address", "add", f"{ours}/30", "dev", name],
        ["ip", "link", "set", name, "up"],
        [*inside, "ip", "address", "add", f"{theirs}/30", "dev", "eth0"],
        [*inside, "ip", "link", "set", "eth0", "up"],
        [*inside, "ip", "route", "add", "default", "via", ours],
    ):
        subprocess.run(command, check=True, timeout=20)
    return theirs


@contextmanager
def _engine(folder: Path, inside: tuple[str, ...]) -> Iterator[None]:
    options = ("--data-root", f"{folder}/engine", "--exec-root", "/run/docker")
    with (folder / "engine.log").open("wb") as log:
        argv = [*inside, "dockerd", *options, "--pidfile", "/run/docker.pid"]
        engine = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def answers() -> bool:
        asked = subprocess.run([*inside, "docker", "version"], capture_output=True, timeout=20)
        return asked.returncode == 0

    try:
        assert within(60, answers), (folder / "engine.log").read_text()[-3000:]
        yield
    finally:
        running = subprocess.run([*inside, "docker", "ps", "-q"], capture_output=True, text=True)
        if running.stdout.split():
            argv = [*inside, "docker", "kill", *running.stdout.split()]
            subprocess.run(argv, capture_output=True, timeout=60)
        os.kill(engine.pid, signal.SIGTERM)
        engine.wait(60)
