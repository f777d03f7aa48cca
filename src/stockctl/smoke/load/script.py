"""Declared checks → a script for k6. Nothing here runs anything.

The script goes to k6 on standard input: headers may hold secrets, and it is on no disk.
https://grafana.com/docs/k6/latest/using-k6/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockctl.core.errors import ConfigurationError
from stockctl.core.secret import Secret
from stockctl.env.load_settings import LoadProfile
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.suite import select

RAMP_S = 30.0


@dataclass(frozen=True, slots=True)
class Rounds:
    """`once`: what each user does first, for the values that others need; `rounds`: again and
    again."""

    once: tuple[SmokeCheck, ...]
    rounds: tuple[SmokeCheck, ...]


def choose(checks: Sequence[SmokeCheck], tag: str) -> Rounds:
    """Those with the tag; where none has it, every plain GET. Raises ConfigurationError."""
    tagged = [check for check in checks if tag in check.tags]
    rounds = tuple(tagged or [check for check in checks if _plain(check)])
    if not rounds:
        raise ConfigurationError(
            f"no smoke check has the tag {tag}, and none is a plain GET",
            hint=f'Give some [[smoke]] tags = ["{tag}"].',
        )
    wanted = {check.name for check in rounds}
    needed: set[str] = set()
    left = list(rounds)
    while left:
        uses = left.pop().uses()
        makers = [c for c in checks if uses & c.capture.keys() and c.name not in needed]
        needed |= {maker.name for maker in makers}
        left += makers
    once = tuple(c for c in _in_order(checks) if c.name in needed - wanted)
    return Rounds(once, rounds)


def _plain(check: SmokeCheck) -> bool:
    simple = check.repeat == 1 and check.any_status is None and not check.cleanup
    return check.method == "GET" and simple and not check.capture


def _in_order(checks: Sequence[SmokeCheck]) -> list[SmokeCheck]:
    """What captures stands before what uses it."""
    found: list[SmokeCheck] = []
    left = list(select(checks))
    while left:
        known = {name for check in found for name in check.capture}
        free = [c for c in left if c.uses() <= known]
        found += free
        left = [c for c in left if c not in free] if free else []
    return found


def stages(profile: LoadProfile) -> list[tuple[float, int]]:
    """(seconds, users at their end), with the sum of `profile.duration`."""
    total, users = profile.duration, profile.users
    if profile.shape == "spike":
        calm, third, jump = max(1, users // 10), total / 3, total / 60
        rise = [(third - jump, calm), (jump, users), (third, users)]
        return [*rise, (jump, calm), (third - jump, calm)]
    ramp = min(RAMP_S, total / 10)
    return [(ramp, users), (total - 2 * ramp, users), (ramp, 0)]


def script(rounds: Rounds, profile: LoadProfile, url: str, run: str) -> Secret:
    """What `k6 run -` reads."""
    plan = {
        "url": url.rstrip("/"),
        "run": run,
        "pause": profile.pause,
        "stages": [
            {"duration": f"{seconds * 1000:.0f}ms", "target": users}
            for seconds, users in stages(profile)
        ],
        "once": [_check(each) for each in rounds.once],
        "rounds": [_check(each) for each in rounds.rounds],
        "options": {
            "summaryTrendStats": ["med", "p(95)", "p(99)", "max", "avg"],
            "discardResponseBodies": False,
            "noVUConnectionReuse": False,
            "userAgent": "stockctl load",
        },
    }
    text = json.dumps(plan, default=str).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    users = Path(__file__).with_name("users.js").read_text(encoding="utf-8")
    return Secret(users.replace("const plan = __PLAN__", f"const plan = {text}", 1))


def _check(check: SmokeCheck) -> dict[str, Any]:
    return {
        "name": check.name,
        "method": check.method,
        "path": check.path,
        "headers": check.headers,
        "json": check.json_body,
        "form": check.form,
        "status": sorted({*check.status, *([check.any_status] if check.any_status else [])}),
        "capture": check.capture,
        "timeout": f"{check.timeout * 1000:.0f}ms",
    }
