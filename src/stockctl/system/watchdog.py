"""Ends our children's process groups when we are gone, even after `kill -9`.

PR_SET_PDEATHSIG reaches a direct child only; `docker compose` and shell wrappers have children of
their own. So a tiny shell, in a session of its own, holds the read end of a pipe and is told which
groups are alive. When the pipe closes (however we ended) it ends what is still on its list.
It is `kill -s TERM -- -N`: of `kill -TERM -- -N` dash says "Illegal number: -" and does nothing.
"""

from __future__ import annotations

import atexit
import subprocess
import threading
from contextlib import suppress

SCRIPT = """
trap '' INT TERM HUP
groups=' '
while read -r change group; do
  case $change in
    +) groups="$groups$group " ;;
    -) rest=' '
       for each in $groups; do [ "$each" = "$group" ] || rest="$rest$each "; done
       groups=$rest ;;
  esac
done
[ "$groups" = ' ' ] && exit 0
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
sleep 2
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"""


class Watchdog:
    """One for each process of ours, started with the first child."""

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()
        self._lock = threading.Lock()

    def _tell(self, change: str, group: int) -> None:
        with self._lock:
            (self._groups.add if change == "+" else self._groups.discard)(group)
            try:
                self._write(f"{change} {group}\n")
            except BrokenPipeError:  # somebody ended the shell; a new one learns what is alive
                self._shell = None
                self._write("".join(f"+ {each}\n" for each in self._groups))

    def _write(self, lines: str) -> None:
        if self._shell is None:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
            atexit.register(self.close)
        assert self._shell.stdin is not None
        self._shell.stdin.write(lines.encode())
        self._shell.stdin.flush()

    def guard(self, group: int) -> None:
        """This process group must not outlive us."""
        self._tell("+", group)

    def release(self, group: int) -> None:
        """It has ended by itself."""
        self._tell("-", group)

    def close(self) -> None:
        """At our own orderly end. With a group still alive the shell is left to do its work."""
        with self._lock:
            if self._shell is not None and not self._groups and self._shell.stdin is not None:
                with suppress(BrokenPipeError):
                    self._shell.stdin.close()
                self._shell.wait()
                self._shell = None
