"""A lock on a file, and what its holder leaves in there for whoever finds it held."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress

from stockctl.core.errors import Locked
from stockctl.core.units import format_instant
from stockctl.system.host import Holder

SOMEBODY = "another stockctl"
_TRIES, _PAUSE_S = 50, 0.02
_GLANCES = 5  # whoever only asks who holds it has the lock for an instant too


def take(descriptor: int) -> str:
    """Locks an open file, flock(2). Returns who holds it instead, or nothing when it is ours.

    One that has not signed yet, or no more, comes or goes at this instant: it is asked again. On a
    full disk it never signs.
    """
    who = SOMEBODY
    for attempt in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = said(os.pread(descriptor, 1000, 0))
        else:
            return ""
        if attempt >= _GLANCES and who != SOMEBODY:
            break
        time.sleep(_PAUSE_S)
    return who


def sign(descriptor: int, holder: Holder) -> None:
    """On a full disk it is held all the same, just not signed."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note(holder), 0)


def note(holder: Holder) -> bytes:
    """The content of the lock's file."""
    fields = {
        "who": holder.who,
        "doing": holder.doing,
        "since": format_instant(holder.since),
        "pid": os.getpid(),
    }
    return json.dumps(fields).encode()


def said(content: bytes) -> str:
    """A note for people; it may be empty for the instant in which it is being written."""
    try:
        fields = json.loads(content)
        return f"{fields['who']} (pid {fields['pid']}), {fields['doing']} since {fields['since']}"
    except (ValueError, KeyError, TypeError):
        return SOMEBODY


def held(who: str) -> Locked:
    """The error for a lock that somebody else holds."""
    return Locked(
        f"locked by {who}",
        hint="Wait for it to end and run the command again.",
        retry_after_s=30,
    )
