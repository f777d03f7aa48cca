"""The screen of `deploy watch`: a line for each signal, with its last looks as a curve."""

from __future__ import annotations

from collections.abc import Sequence

from stockctl.cli.findings import Line
from stockctl.core.units import format_duration
from stockctl.deploy.watching.judge import Judge, Reading

_BARS = "▁▂▃▄▅▆▇█"
CURVE = 32  # looks


def screen(title: str, judge: Judge, readings: Sequence[Reading], left_s: float) -> list[Line]:
    """`left_s`: seconds until it is over."""
    lines: list[Line] = [((title, "bold"), (f"  {format_duration(max(0.0, left_s))} left", "dim"))]
    for each in readings:
        mark, colour = ("✗", "red") if each.broken else ("✓", "green")
        if each.value is None:
            mark, colour = "·", "dim"
        drawn = curve(judge.history[each.name][-CURVE:], each.limit)
        said = f" {each.name:<12}{_value(each):>12}  {_limit(each):<16}"
        lines.append(((mark, colour), (said, "red" if each.broken else ""), (drawn, colour)))
    return lines


def _value(reading: Reading) -> str:
    if reading.name == "health":
        return "not well" if reading.broken else "well"
    if reading.value is None:
        return reading.why or "—"
    return f"{reading.value:.1f} {reading.unit}".strip() if reading.unit else f"{reading.value:.0f}"


def _limit(reading: Reading) -> str:
    if reading.name in ("health", "restarts"):
        return ""
    return f"at most {reading.limit:g} {reading.unit}".strip()


def curve(values: Sequence[float | None], limit: float) -> str:
    """One bar a look; the highest is the limit or more. A dot where nothing was seen."""
    top = max([limit, *(value for value in values if value is not None)]) or 1.0
    steps = len(_BARS) - 1
    return "".join("·" if v is None else _BARS[round(steps * min(1.0, v / top))] for v in values)
