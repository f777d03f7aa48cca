"""What a container has to offer to the client tools that run in it: room and processors."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.command import Command
from stockctl.system.disk import BLOCK, DF_S
from stockctl.system.host import Host

# The folder that is asked for, then those for temporary files: what is large goes into /var/tmp
# (file-hierarchy(7)). POSIX df: `filesystem 1024-blocks used available capacity mounted-on`.
_LOOK = """nproc 2>/dev/null || echo 1
for folder in "$1" "${TMPDIR:-/var/tmp}" /tmp; do
  writable=no; [ -d "$folder" ] && [ -w "$folder" ] && writable=yes
  printf '%s\\t%s\\t%s\\n' "$folder" "$writable" "$(df -Pk "$folder" 2>/dev/null | tail -n 1)"
done"""
_MEANWHILE = 0.01
_MEMORY = ("tmpfs", "ramfs", "shm")


@dataclass(frozen=True, slots=True)
class Folder:
    """In bytes; `free` is what may still be written."""

    path: str
    total: int
    free: int

    def shares(self, other: Folder | None) -> bool:
        """Whether both are on one disk, whatever is between (overlay2): then df says the same of
        both, but for what others wrote since it was asked of the first."""
        if other is None or self.total != other.total:
            return False
        return abs(self.free - other.free) <= self.total * _MEANWHILE


@dataclass(frozen=True, slots=True)
class Inside:
    """`asked` is None where nobody can tell; `temporary` where there is nothing to write to but
    memory, or nothing at all."""

    processors: int
    asked: Folder | None = None
    temporary: Folder | None = None


def look_inside(host: Host, enter: tuple[str, ...], folder: str) -> Inside:
    """Asks the container that `enter` runs programs in. Raises DeadlineExceeded, HostFailed."""
    command = Command((*enter, "sh", "-c", _LOOK, "sh", folder))
    said = host.run(command, timeout_s=DF_S, check=False)
    return parse(said.stdout) if said.ok else Inside(1)


def parse(said: str) -> Inside:
    """What the shell there prints."""
    processors, *lines = said.splitlines() or ["1"]
    asked, *temporary = map(_line, lines) if lines else [None]
    kept = (each for each, usable in filter(None, temporary) if usable)
    return Inside(int(processors), asked[0] if asked else None, next(kept, None))


def _line(text: str) -> tuple[Folder, bool] | None:
    """A folder, and whether it is on a disk that we may write to. Names may hold a tab."""
    path, _, rest = text.rpartition("\t")
    path, _, writable = path.rpartition("\t")
    filesystem, *numbers = (rest.split() or [""])[:4]
    if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
        return None
    folder = Folder(path, int(numbers[0]) * BLOCK, int(numbers[2]) * BLOCK)
    return folder, writable == "yes" and filesystem not in _MEMORY
