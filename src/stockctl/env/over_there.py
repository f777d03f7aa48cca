"""Paths of another machine: with `host.ssh` nothing says from where a relative one would lead."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from stockctl.core.report import Finding, Severity
from stockctl.env.document import dotted
from stockctl.env.layers import OVER_THERE, Layers
from stockctl.env.positions import Path as KeyPath


def relative_paths(layers: Layers) -> Iterator[tuple[KeyPath, Finding]]:
    """One for each that is not absolute. What stands for it in `layers` is seen from its file."""
    ssh = _value(layers.data, ("host", "ssh"))
    for path in OVER_THERE if isinstance(ssh, str) else ():
        where = layers.sources.get(path)
        written = _value(tomllib.loads(layers.texts[where.file]), path) if where else None
        if isinstance(written, str) and not written.startswith(("/", "${")):
            message = f"{dotted(path)}: {written!r} is to be a path on {ssh}: begin it with /"
            yield path, Finding("C003", Severity.ERROR, message, where)


def _value(data: Any, path: KeyPath) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data
