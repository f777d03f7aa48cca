"""The installed program, on a project with secrets that nobody may ever see."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest
from tests.children import untraced
from tests.integration.cli.conftest import PROGRAM, Ended

CANARY = "c4n4ry" + "7Hq2ZxW9mB4vK6tR" * 2
TOML = """\
extends = "base"
env_file = ".env.prod"   # by whom?
protected = true

[seal.recipients]
alice = "{alice}"
bob = "{bob}"
"""
BASE = """\
[variables.SESSION_SECRET]
type = "secret"
required = true

[variables.SESSION_SECRET_PREVIOUS]
type = "secret"

[variables.POSTGRES_PASSWORD]
type = "secret"
required = true

[variables.PUBLIC_URL]
type = "url"
required = true
"""
ENV = f"""\
# of prod
PUBLIC_URL=https://stockmind.example.com
export SESSION_SECRET = '{CANARY}0'  # each its own
POSTGRES_PASSWORD={CANARY}1

DATABASE_URL=postgresql://u:{CANARY}1@127.0.0.1/db
"""


STRONG = re.compile(r"[A-Za-z0-9]{48}")


def values_of(text: str) -> dict[str, str]:
    """The values of a simple env file."""
    pairs = re.findall(r"^(?:export )?(\w+) ?= ?'?([^'\s]*)", text, re.MULTILINE)
    return dict(pairs)


@dataclass(frozen=True)
class Place:
    """A project, who works on it, and where editors work."""

    root: Path
    home: Path
    runtime: Path

    @property
    def plain(self) -> Path:
        return self.root / "environments" / ".env.prod"

    @property
    def sealed(self) -> Path:
        return self.root / "environments" / "prod.env.age"

    @property
    def toml(self) -> Path:
        return self.root / "environments" / "prod.toml"

    @property
    def identity(self) -> Path:
        return self.home / ".config" / "stockctl" / "identity.txt"

    def variables(self, **more: str) -> dict[str, str]:
        """Alice's process environment."""
        dropped = ("STOCKCTL", "XDG_", "VISUAL", "EDITOR", "NO_COLOR", "FORCE_COLOR")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        own = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime)}
        return {**kept, **own, **more}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """As a process group of its own, as a shell starts it."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.root,
            env=untraced(self.variables(**more)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, **more: str) -> Ended:
        """To the end. Nothing that it prints may hold a secret."""
        with self.start(*arguments, **more) as process:
            out, err = process.communicate(timeout=60)
        assert CANARY not in out + err
        return Ended(process.returncode, out, err)

    def opened(self) -> str:
        """What the sealed file says, read by other code than ours."""
        identity = pyrage.x25519.Identity.from_str(self.identity.read_text().strip())
        found: bytes = pyrage.decrypt(self.sealed.read_bytes(), [identity])
        return found.decode()

    def files(self) -> dict[str, bytes]:
        """All of the project and of what an editor may have left, but for the lock's own file."""
        folders = (self.root, self.runtime)
        paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in paths if path.name != "secrets.lock"}

    def script(self, text: str) -> str:
        """An editor that does what `text` says; `$1` is the file."""
        path = self.home / "editor.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return str(path)


@pytest.fixture
def place() -> Iterator[Place]:
    """`prod`, protected, its env file in the clear; Alice's private key is where it belongs."""
    with tempfile.TemporaryDirectory(prefix="stockctl-env-") as name:
        found = Place(*(Path(name) / each for each in ("project", "home", "runtime")))
        for folder in (found.plain.parent, found.identity.parent, found.runtime):
            folder.mkdir(mode=0o700, parents=True)
        alice, bob = (pyrage.x25519.Identity.generate() for _ in range(2))
        toml = TOML.format(alice=alice.to_public(), bob=bob.to_public())
        found.toml.write_text(toml)
        (found.toml.parent / "base.toml").write_text(BASE)
        for path, text in ((found.identity, f"{alice}\n"), (found.plain, ENV)):
            path.write_text(text)
            path.chmod(0o600)
        yield found


@pytest.fixture
def sealed(place: Place) -> Place:
    """The same with a sealed env file."""
    assert place.run("env", "seal", "prod", "--confirm", "prod").code == 0
    return place


@dataclass
class Waiting:
    """An editor that has said it is there and waits for the word."""

    process: subprocess.Popen[str]
    ready: int
    go: Path

    def until_ready(self) -> Path:
        """The file it has open."""
        readable, _, _ = select.select([self.ready], [], [], 30)
        assert readable, "the editor was not started"
        return Path(os.read(self.ready, 4096).decode().strip())

    def release(self) -> Ended:
        """It may end; how the program ended."""
        self.go.write_text("go\n")
        return self.end()

    def end(self) -> Ended:
        out, err = self.process.communicate(timeout=60)
        assert CANARY not in out + err
        return Ended(self.process.returncode, out, err)


@pytest.fixture
def editing(place: Place, tmp_path: Path) -> Iterator[Callable[..., Waiting]]:
    """`editing("what the editor does then")`: `env edit prod` with an editor that waits."""
    started: list[Waiting] = []

    def begin(then: str = ":", before: str = ":") -> Waiting:
        ready, go = tmp_path / f"ready{len(started)}", tmp_path / f"go{len(started)}"
        os.mkfifo(ready)
        os.mkfifo(go)
        steps = (
            before,
            f'echo "$$" > "{tmp_path}/pid"',
            f'echo "$1" > "{ready}"',
            f'read _ < "{go}"',
            then,
        )
        script = place.script("\n".join(steps))
        descriptor = os.open(ready, os.O_RDONLY | os.O_NONBLOCK)
        process = place.start("env", "edit", "prod", "--confirm", "prod", EDITOR=script)
        waiting = Waiting(process, descriptor, go)
        started.append(waiting)
        return waiting

    yield begin
    for waiting in started:
        os.close(waiting.ready)
        if waiting.process.poll() is None:
            waiting.process.kill()
        _end_editor(tmp_path)
        waiting.process.communicate(timeout=30)


def _end_editor(folder: Path) -> None:
    """One that outlived its command, as it must not, holds the pipes that we read to their end."""
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        editor = int((folder / "pid").read_text())
        if b"editor.sh" in Path(f"/proc/{editor}/cmdline").read_bytes():
            os.kill(editor, signal.SIGKILL)


@pytest.fixture(scope="session")
def age() -> str:
    """Debian's own `age`; tests/testbed/age.sh installs it."""
    found = shutil.which("age")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no age here: tests/testbed/age.sh installs it")
        pytest.skip("there is no age here: tests/testbed/age.sh installs it")
    return found
