"""Durations, sizes, instants: how people write them and how we show them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern})+")  # at once: digits alone would take long
_SIZE_UNITS = ("B", "kB", "MB", "GB", "TB")


def parse_duration(text: str) -> float:
    """Seconds in `500ms`, `2s`, `15m`, `48h`, `7d` or a sum of them like `1h30m`.

    Raises ValueError with the expected form; a bare number has no unit and is refused.
    """
    parts = _DURATION.findall(text) if _DURATIONS.fullmatch(text) else []
    if not parts:
        raise ValueError(f'expected a duration like "2s", "15m" or "1h30m", got "{text}"')
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def format_duration(seconds: float) -> str:
    """Two significant places at most: `0.4s`, `12s`, `3m 05s`, `2h 10m`, `5d 3h`."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 48 * 3600:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def write_duration(seconds: float) -> str:
    """As it is written in a TOML file: `parse_duration` reads it back. `90` is `1m30s`."""
    text, left = "", round(seconds * 1000)
    for unit, milliseconds in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        count, left = divmod(left, milliseconds)
        text += f"{count}{unit}" if count else ""
    return text + (f"{left}ms" if left else "") or "0s"


def counted(many: int, noun: str) -> str:
    """`1 check`, `2 checks`: for nouns whose plural takes an s."""
    return f"{many} {noun}{'s' * (many != 1)}"


def format_size(size_bytes: float) -> str:
    """Decimal units, as disks and networks count: `0 B`, `12.3 MB`."""
    value = float(size_bytes)
    for unit in _SIZE_UNITS:
        if abs(value) < 1000 or unit == _SIZE_UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def format_instant(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second: `2026-11-22T03:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str) -> datetime:
    """The inverse of `format_instant`. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def format_age(seconds: float) -> str:
    """How long ago, for a table: `just now`, `3m 05s ago`."""
    return "just now" if seconds < 2 else f"{format_duration(seconds)} ago"
