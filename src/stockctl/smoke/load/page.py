"""The report as one HTML page: no script, no other file, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from stockctl.core.units import format_duration
from stockctl.smoke.load.chart import Chart, drawn
from stockctl.smoke.load.sample import Sample
from stockctl.smoke.load.verdict import LoadResult, Threshold

_STYLE = """
:root { color-scheme: light dark; --ink: #16202b; --soft: #66727f; --line: #e1e6ec; --back: #fff;
  --card: #f6f8fa; --blue: #2563eb; --good: #15803d; --bad: #c81e1e; --good-back: #e7f6ec;
  --bad-back: #fdecec }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --soft: #93a0ae; --line: #2c3642;
  --back: #10151b; --card: #19202a; --blue: #6ea0ff; --good: #4ade80; --bad: #f87171;
  --good-back: #12301f; --bad-back: #3a1a1c } }
* { box-sizing: border-box } body { margin: 0 auto; max-width: 1080px; padding: 36px 24px 64px;
  background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 26px; margin: 0; letter-spacing: -.01em } h2 { font-size: 15px; margin: 0 0 6px }
.soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
.verdict { font-weight: 600; margin: 16px 0 24px; padding: 12px 16px; border-radius: 10px;
  border-left: 4px solid currentColor }
.verdict.good { background: var(--good-back) } .verdict.bad { background: var(--bad-back) }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 12px }
.figures div { background: var(--card); border-radius: 10px; padding: 12px 16px }
.figures b { display: block; font-size: 22px; font-variant-numeric: tabular-nums }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr));
  gap: 24px 20px; margin-top: 32px }
section { margin-top: 32px } table { border-collapse: collapse; width: 100% }
td { padding: 7px 12px 7px 0; white-space: nowrap; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums } td.figure { text-align: right; width: 140px }
td.soft { width: 180px; padding-left: 20px } td.meter { width: 30% }
.meter div { height: 6px; border-radius: 3px; background: var(--line); overflow: hidden }
.meter i { display: block; height: 6px; background: currentColor }
figure { margin: 0 } figcaption { display: flex; gap: 6px; margin-bottom: 6px }
.said { margin-left: auto; font-size: 13px; font-variant-numeric: tabular-nums }
svg { width: 100%; height: auto; display: block; background: var(--card); border-radius: 10px }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif }
.grid { stroke: var(--line) } .curve { fill: none; stroke: var(--blue); stroke-width: 2;
  stroke-linejoin: round } .area { fill: var(--blue); opacity: .12 }
.limit { stroke: var(--bad); stroke-dasharray: 5 4 }
@media (max-width: 600px) { td.meter { display: none } td.soft { width: auto } }
@media print { body { padding: 0 } figure, section { break-inside: avoid } }
"""


def page(result: LoadResult, title: str, when: str) -> str:
    """All of it. Nothing in it is a secret: figures, and names from the configuration."""
    metrics, settings = result.metrics, result.settings
    failed = [f"{each.name} {_value(each)}" for each in result.thresholds if not each.ok]
    word = f"Not passed: {', '.join(failed)}" if failed else "Passed: every threshold holds"
    seen = charts(result)
    until = max([settings.duration, *(chart.points[-1][0] for chart in seen)])
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
        f'<div class="charts">{"".join(drawn(each, until) for each in seen)}</div></body></html>\n'
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
    rows = "".join(map(_row, found))
    return f"<section><h2>Thresholds</h2><table>{rows}</table></section>"


def _row(threshold: Threshold) -> str:
    mark, kind = ("✓", "good") if threshold.ok else ("✗", "bad")
    meter = f'<div><i style="width:{_filled(threshold):.0f}%"></i></div>'
    return (
        f'<tr class="{kind}"><td>{mark} {escape(threshold.name)}</td>'
        f'<td class="figure">{_value(threshold)}</td>'
        f'<td class="soft">at most {threshold.limit:g} {threshold.unit}</td>'
        f'<td class="meter">{meter}</td></tr>'
    )


def _filled(threshold: Threshold) -> float:
    """Percent of what it may be."""
    if threshold.value is None or not threshold.limit:
        return 0.0 if threshold.ok else 100.0
    return max(0.0, min(100.0, 100 * threshold.value / threshold.limit))


def _value(threshold: Threshold) -> str:
    if threshold.value is None:
        return "not measured"
    return f"{threshold.value:.2f} {threshold.unit}".strip()
