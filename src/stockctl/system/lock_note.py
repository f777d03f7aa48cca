"""What the holder of a lock leaves in its file, for whoever finds it held."""

from __future__ import annotations

import json
import os

from stockctl.core.errors import Locked
from stockctl.core.units import format_instant
from stockctl.system.host import Holder

SOMEBODY = "another stockctl"


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
