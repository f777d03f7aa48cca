"""What comes to its end once it has begun, also where we are killed or the line is cut.

Between the stop of what holds a port and the start of what takes it over nobody serves. What does
both runs in a session of its own, under a lock: whoever comes next waits until it is done.

    <directory>/replace.lock   held by it, flock(2)
    <directory>/replace.log    what it says, while it runs: a pipe would break with its reader
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stockctl.core.command import Command
from stockctl.deploy.site import Site
from stockctl.system.process import failure

LOCK = "replace.lock"
LOG = "replace.log"
SETTLE_S = 300.0
POLL_S = 0.1

# log, program. Its own exit code, and its words once it has ended; on a full disk there are none.
_SCRIPT = """
: >"$1" || set -- /dev/null "$2"
sh -c "$2" >"$1" 2>&1 </dev/null
code=$?
cat "$1" >&2
[ "$1" = /dev/null ] || rm -f "$1"
exit $code
"""


def outlasting(directory: Path, program: str) -> Command:
    """A shell program that outlasts us. What waits for the lock does not: it has not begun."""
    lock, log = str(directory / LOCK), str(directory / LOG)
    alone = ("sh", "-c", 'umask 077; exec flock "$@"', "replace", lock, "setsid")
    return Command((*alone, "sh", "-c", _SCRIPT, "replace", log, program))


def to_the_end(site: Site, commands: Sequence[Command], timeout_s: float) -> None:
    """Runs them one after another. Raises what `Host.run` does, for the first that fails."""
    program = "\n".join(f"{command} || exit" for command in commands)
    done = site.host.run(outlasting(site.directory, program), timeout_s=timeout_s, check=False)
    if not done.ok:
        raise failure(commands[-1], done.exit_code, done.stderr)


def settle(site: Site) -> None:
    """Waits for what a command that was killed has left at work, at most some minutes: what is
    looked at before is about to change."""
    deadline = site.clock.monotonic() + SETTLE_S
    told = False
    while site.host.holder(site.directory / LOCK) and site.clock.monotonic() < deadline:
        if not told:
            site.progress.say("waiting for what another command has left at work")
            told = True
        site.clock.sleep(POLL_S)
