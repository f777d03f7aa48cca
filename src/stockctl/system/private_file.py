"""Files for the client tools that have no name: nobody else can open them, and the kernel takes
them away when we end, however we end. Nothing is left to be swept.

On this machine the tools inherit the descriptor. In a container a shell keeps the file open for as
long as we keep that shell's standard input open, and the tools find it among its descriptors.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stockctl.core.command import Command
from stockctl.core.errors import HostFailed, ToolFailed
from stockctl.system.host import Host, Streaming

# What some file systems say to O_TMPFILE (open(2), ERRORS).
_NO_NAMELESS_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
# The name is gone before the shell says where the file is found, and the shell goes with its input.
_HOLD = """umask 077; name=$(mktemp "$1/stockctl-XXXXXX") && exec 3<>"$name"; code=$?
rm -f "$name"; [ "$code" = 0 ] && echo "/proc/$$/fd/3" || exit "$code"
while IFS= read -r _; do :; done"""
_FILL = 'cat > "$1" && wc -c < "$1"'
_HINT = "Make room there. A restore with --jobs 1 needs none."


class PrivateFile(Protocol):
    """`path` is how the tools open it, each for itself; they must inherit these descriptors."""

    @property
    def path(self) -> str: ...
    @property
    def inherits(self) -> tuple[int, ...]: ...

    def write(self, blocks: Iterable[bytes]) -> int:
        """All of them; how many bytes that were. Raises HostFailed where there is no room."""


@contextmanager
def in_memory() -> Iterator[PrivateFile]:
    """On this machine, for what is small."""
    descriptor = os.memfd_create("stockctl")
    try:
        yield _Here(descriptor, "memory")
    finally:
        os.close(descriptor)


@contextmanager
def on_disk(folder: Path) -> Iterator[PrivateFile]:
    """On this machine, in a folder that is made if need be. Raises HostFailed."""
    descriptor = _nameless(folder)
    try:
        yield _Here(descriptor, str(folder))
    finally:
        os.close(descriptor)


@contextmanager
def in_container(host: Host, enter: tuple[str, ...], folder: str) -> Iterator[PrivateFile]:
    """In a folder of the container that `enter` runs programs in. Raises ToolFailed."""
    command = Command((*enter, "sh", "-c", _HOLD, "sh", folder))
    with host.stream(command, stdin=True) as shell:
        path = shell.stdout.readline().decode().strip()
        if path:
            try:
                yield _Inside(host, enter, path, folder)
            finally:
                shell.close_stdin()
        shell.check()
        if not path:
            raise ToolFailed(f"there is no file to be had in {folder} of the container")


@dataclass(frozen=True, slots=True)
class _Here:
    descriptor: int
    folder: str

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self.descriptor}"

    @property
    def inherits(self) -> tuple[int, ...]:
        return (self.descriptor,)

    def write(self, blocks: Iterable[bytes]) -> int:
        done = 0
        for block in blocks:
            rest = memoryview(block)
            try:
                while rest:
                    rest = rest[os.write(self.descriptor, rest) :]
            except OSError as error:
                said = error.strerror or str(error)
                raise HostFailed(f"cannot write to {self.folder}: {said}", hint=_HINT) from error
            done += len(block)
        return done


@dataclass(frozen=True, slots=True)
class _Inside:
    host: Host
    enter: tuple[str, ...]
    path: str
    folder: str
    inherits: tuple[int, ...] = ()

    def write(self, blocks: Iterable[bytes]) -> int:
        done = 0
        command = Command((*self.enter, "sh", "-c", _FILL, "sh", self.path))
        with self.host.stream(command, stdin=True) as child:
            try:
                for block in blocks:
                    child.stdin.write(block)
                    done += len(block)
            except BrokenPipeError:
                pass  # it left early: its exit code and standard error tell why
            child.close_stdin()
            said = child.stdout.read().strip()
            _settle(child, f"{self.folder} of the container")
        if said != str(done).encode():  # whoever carries our bytes there may have lost some
            raise HostFailed(f"of {done} bytes only {said.decode() or 0} came into the container")
        return done


def _settle(child: Streaming, where: str) -> None:
    try:
        child.check()
    except HostFailed:
        raise  # the line to the machine was cut
    except ToolFailed as error:
        said = f"cannot write to {where}"
        raise HostFailed(said, details=error.details, hint=_HINT) from error


def _nameless(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _NO_NAMELESS_FILES:
            raise HostFailed(f"cannot write to {folder}: {error.strerror}") from error
    descriptor, name = tempfile.mkstemp(dir=folder)  # 0600
    Path(name).unlink()
    return descriptor
