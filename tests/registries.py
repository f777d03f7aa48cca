"""A real image registry for a test: Debian's docker-registry, on a port of 127.0.0.1."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bcrypt

from tests.ports import free_port
from tests.remotes import missing, within

CONFIG = """\
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: "{folder}/data"}}}}
http: {{addr: "127.0.0.1:{port}"}}
{more}
"""
USER, PASSWORD = "ada", "canary-registry-9Wd2k"


class Registry:
    """Where images are pushed to and pulled from. An engine takes plain HTTP from a loopback
    address. `inside`: what runs it, and docker, on a machine of its own."""

    def __init__(self, folder: Path, inside: Sequence[str], *, locked: bool) -> None:
        self._folder, self._inside, self._port = folder, tuple(inside), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        more = ""
        if locked:
            hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
            (folder / "users").write_text(f"{USER}:{hashed}\n")
            more = f'auth: {{htpasswd: {{realm: tests, path: "{folder}/users"}}}}'
        text = CONFIG.format(folder=folder, port=self._port, more=more)
        (folder / "config.yml").write_text(text)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        program = shutil.which("docker-registry")
        if program is None:
            missing("docker-registry", "registry.sh")
            raise AssertionError
        log = self._folder / "log"
        with log.open("wb") as out:
            argv = [*self._inside, program, "serve", str(self._folder / "config.yml")]
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        assert within(20, lambda: "listening on" in log.read_text()), log.read_text()

    def stop(self) -> None:
        """What it holds stays, for the next start."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def docker(self, *arguments: str, given: str = "") -> str:
        argv = [*self._inside, "docker", *arguments]
        done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self, name: str, base: str, *more: str) -> tuple[str, str]:
        """An image of its own, pushed, and of which the engine has nothing but the base; by its
        name and by its digest. `more`: lines of its Dockerfile."""
        reference = f"{self.address}/{name}"
        recipe = "\n".join((f"FROM {base}", f"ENV PUBLISHED={name}", *more))
        self.docker("build", "--quiet", "--tag", reference, "-", given=recipe)
        self.docker("push", "--quiet", reference)
        known = self.docker("image", "inspect", "-f", "{{index .RepoDigests 0}}", reference).strip()
        self.docker("rmi", "--force", reference, known)
        return reference, known


@contextmanager
def serve_registry(
    folder: Path, *, inside: Sequence[str] = (), locked: bool = False
) -> Iterator[Registry]:
    """`locked`: for USER with PASSWORD only."""
    made = Registry(folder, inside, locked=locked)
    made.start()
    try:
        yield made
    finally:
        made.stop()
