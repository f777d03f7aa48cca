"""The report as one HTML page: no script, no other file, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from stockctl.core.units import format_duration
from stockctl.smoke.load.sample import Sample
from stockctl.smoke.load.verdict import LoadResult, Threshold

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 180, 52, 22  # pixels of a chart and of its margins
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #6b7785; --line: #dfe4ea; --back: #fff;
  --card: #f7f9fb; --blue: #2563eb; --good: #15803d; --bad: #c81e1e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --soft: #93a0ae; --line: #2c3642;
  --back: #12171d; --card: #1a2129; --blue: #6ea0ff; --good: #4ade80; --bad: #f87171; } }
* { box-sizing: border-box } body { margin: 0 auto; max-width: 800px; padding: 32px 24px 64px;
  background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 24px; margin: 0 } h2 { font-size: 15px; margin: 28px 0 6px; font-weight: 600 }
.soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
.verdict { font-size: 18px; font-weight: 600; margin: 4px 0 24px }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); gap: 10px }
.figures div { background: var(--card); border-radius: 8px; padding: 10px 14px }
.figures b { display: block; font-size: 20px; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: 6px 12px 6px 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums }
svg { width: 100%; height: auto; display: block; background: var(--card); border-radius: 8px }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif }
.grid { stroke: var(--line) } .curve { fill: none; stroke: var(--blue); stroke-width: 2;
  stroke-linejoin: round } .area { fill: var(--blue); opacity: .12 }
.limit { stroke: var(--bad); stroke-dasharray: 5 4 }
"""


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve over the time of the run; `limit` is drawn where it is near enough to be seen."""

    title: str
    points: tuple[tuple[float, float], ...]
    unit: str
    limit: float | None = None


def page(result: LoadResult, title: str, when: str) -> str:
    """All of it. Nothing in it is a secret: figures, and names from the configuration."""
    metrics, settings = result.metrics, result.settings
    failed = [each.name for each in result.thresholds if not each.ok]
    word = f"Not passed: {', '.join(failed)}" if failed else "Passed"
    figures = (
        ("requests", f"{metrics.requests:,}"),
        ("per second", f"{metrics.rps:,.0f}"),
        ("failed", f"{100 * metrics.error_rate:.2f} %"),
        ("median", f"{metrics.p50_ms:.0f} ms"),
        ("p95", f"{metrics.p95_ms:.0f} ms"),
        ("p99", f"{metrics.p99_ms:.0f} ms"),
    )
    boxes = "".join(
        f'<div><b>{value}</b><span class="soft">{n}</span></div>' for n, value in figures
    )
    shape = f"{settings.users} users, {format_duration(settings.duration)}, {settings.shape}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><div class="soft">{escape(shape)} · {escape(when)}</div>'
        f'<p class="verdict {"bad" if failed else "good"}">{escape(word)}</p>'
        f'<div class="figures">{boxes}</div>{_thresholds(result.thresholds)}'
        f"{''.join(_drawn(each) for each in charts(result))}</body></html>\n"
    )


def charts(result: LoadResult) -> list[Chart]:
    """Those with something to show."""
    seen, limits = result.samples, result.settings
    pairs = list(pairwise(seen))
    rate = tuple(
        (b.at_s, (b.requests - a.requests) / max(0.001, b.at_s - a.at_s)) for a, b in pairs
    )
    errors = tuple(
        (b.at_s, 100 * (b.failed - a.failed) / (b.requests - a.requests))
        for a, b in pairs
        if b.requests > a.requests
    )
    every = [
        Chart("Users", _of(seen, lambda s: s.users), ""),
        Chart("Requests per second", rate, ""),
        Chart("p95 so far", _of(seen, lambda s: s.p95_ms), "ms", limits.p95_ms),
        Chart("Failed", errors, "%", limits.error_rate),
        Chart("Processors", _of(seen, lambda s: s.cpu), "%", limits.cpu),
        Chart("Memory", _of(seen, lambda s: s.memory_bytes and s.memory_bytes / 1e6), "MB"),
    ]
    return [chart for chart in every if len(chart.points) > 1]


def _of(
    seen: Sequence[Sample], value: Callable[[Sample], float | None]
) -> tuple[tuple[float, float], ...]:
    pairs = ((each.at_s, value(each)) for each in seen)
    return tuple((at, found) for at, found in pairs if found is not None)


def _thresholds(found: Sequence[Threshold]) -> str:
    rows = "".join(
        f"<tr><td>{'✓' if each.ok else '✗'} {escape(each.name)}</td>"
        f'<td class="{"good" if each.ok else "bad"}">{_value(each)}</td>'
        f'<td class="soft">at most {each.limit:g} {each.unit}</td></tr>'
        for each in found
    )
    return f"<h2>Thresholds</h2><table>{rows}</table>"


def _value(threshold: Threshold) -> str:
    if threshold.value is None:
        return "not measured"
    return f"{threshold.value:.2f} {threshold.unit}".strip()


def _drawn(chart: Chart) -> str:
    first, last = chart.points[0][0], chart.points[-1][0]
    peak = max(value for _, value in chart.points)
    shown_limit = chart.limit if chart.limit is not None and chart.limit < 4 * peak else None
    top = _round_up(max(peak, shown_limit or 0.0))
    inner_w, inner_h = WIDTH - LEFT - 12, HEIGHT - BOTTOM - 14

    def x(at: float) -> float:
        return LEFT + inner_w * (at - first) / max(0.001, last - first)

    def y(value: float) -> float:
        return 14 + inner_h * (1 - value / top)

    curve = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in chart.points)
    area = f"{x(first):.1f},{y(0):.1f} {curve} {x(last):.1f},{y(0):.1f}"
    lines = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 12}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:g}</text>'
        for v in (0, top / 2, top)
    )
    if shown_limit is not None:
        at = f'y1="{y(shown_limit):.1f}" y2="{y(shown_limit):.1f}"'
        lines += f'<line class="limit" x1="{LEFT}" x2="{WIDTH - 12}" {at}/>'
    foot = HEIGHT - 6
    times = "".join(
        f'<text x="{x(at):.1f}" y="{foot}" text-anchor="{anchor}">{format_duration(at)}</text>'
        for at, anchor in ((first, "start"), ((first + last) / 2, "middle"), (last, "end"))
    )
    unit = f' <span class="soft">{chart.unit}</span>' if chart.unit else ""
    return (
        f"<h2>{escape(chart.title)}{unit}</h2>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">{lines}'
        f'<polygon class="area" points="{area}"/><polyline class="curve" points="{curve}"/>'
        f"{times}</svg>"
    )


def _round_up(value: float) -> float:
    """To 1, 2, 5 or 10 of its magnitude, for an axis one can read."""
    if value <= 0:
        return 1.0
    magnitude = 1.0
    while magnitude * 10 < value:
        magnitude *= 10
    while magnitude > value:
        magnitude /= 10
    return next(step * magnitude for step in (1, 2, 5, 10) if step * magnitude >= value)
