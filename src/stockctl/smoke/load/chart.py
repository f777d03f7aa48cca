"""A curve over the time of a run, as SVG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from stockctl.core.units import format_duration

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 170, 46, 12, 12, 22  # pixels, and of the margins
_STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Chart:
    """Points are seconds and values. `limit` is drawn where it is near enough to be seen."""

    title: str
    points: tuple[tuple[float, float], ...]
    unit: str = ""
    limit: float | None = None


def drawn(chart: Chart, until_s: float) -> str:
    """With what it is at most and in the middle; all charts of a run have the same time axis."""
    values = [value for _, value in chart.points]
    peak, mean = max(values), sum(values) / len(values)
    shown_limit = chart.limit if chart.limit is not None and chart.limit < 4 * peak else None
    top = round_up(max(peak, shown_limit or 0.0))
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(at: float) -> float:
        return LEFT + inner_w * min(1.0, at / max(0.001, until_s))

    def y(value: float) -> float:
        return TOP + inner_h * (1 - value / top)

    curve = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in chart.points)
    first, last = chart.points[0][0], chart.points[-1][0]
    area = f"{x(first):.1f},{y(0):.1f} {curve} {x(last):.1f},{y(0):.1f}"
    lines = "".join(_line("grid", y(v)) + _number(y(v), v) for v in (0, top / 2, top))
    if shown_limit is not None:
        lines += _line("limit", y(shown_limit))
    said = f"{_figure(mean)} on average, {_figure(peak)} at most"
    return (
        f'<figure><figcaption><b>{escape(chart.title)}</b> <span class="soft">{chart.unit}</span>'
        f'<span class="soft said">{said}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">{lines}'
        f'<polygon class="area" points="{area}"/><polyline class="curve" points="{curve}"/>'
        f"{_times(x, until_s)}</svg></figure>"
    )


def _line(kind: str, at: float) -> str:
    return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'


def _number(at: float, value: float) -> str:
    return f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>'


def _times(x: Callable[[float], float], until_s: float) -> str:
    return "".join(
        f'<text x="{x(at):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{said}</text>'
        for at, anchor, said in (
            (0.0, "start", "0"),
            (until_s / 2, "middle", format_duration(until_s / 2)),
            (until_s, "end", format_duration(until_s)),
        )
    )


def _figure(value: float) -> str:
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def round_up(value: float) -> float:
    """To the next step of its magnitude, for an axis that one can read and that is filled."""
    if value <= 0:
        return 1.0
    magnitude = 1.0
    while magnitude * 10 < value:
        magnitude *= 10
    while magnitude > value:
        magnitude /= 10
    return next(step * magnitude for step in _STEPS if step * magnitude >= value * 0.9999)
