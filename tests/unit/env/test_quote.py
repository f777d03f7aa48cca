"""Quoted lines: enough to find the place, nothing that could be a secret."""

from __future__ import annotations

import pytest

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.quote import quote

SHOWN = [
    (".env.prod", "KEY=value", "KEY=***"),
    (".env.prod", "export KEY = 'value' # why", "export KEY =***"),
    (".env.prod", "\ufeffKEY=value\r", "KEY=***"),
    (".env.prod", "half a secret", "***"),
    (".env.prod", "# KEY=value", "***"),
    (".env.prod", "   ", ""),
    (".env.prod", "# stockctl: ignore E014 -- so", "# stockctl: ignore E014 -- so"),
    (".env.prod", "KEY=value # stockctl: ignore E014", "KEY=***"),
    ("prod.toml", "[service]", "[service]"),
    ("prod.toml", 'image = "shop"', 'image = "***"'),
    ("prod.toml", 'url = "http://${HOST}:${PORT}/x"', 'url = "***${HOST}***${PORT}***"'),
    ("prod.toml", 'url = "${URL}"', 'url = "${URL}"'),
    ("prod.toml", "keep = { last = 3, within = '48h' }", "keep = { last = 3, within = '***' }"),
    ("prod.toml", 'image = "never closed', 'image = "***"'),
    ("prod.toml", "half a value", "***"),
    ("compose.yaml", "      KEY: ${API_KEY}", "      KEY: ${API_KEY}"),
    ("compose.yaml", "      URL: postgres://app:pw@db/${DB}", "      URL: ***${DB}"),
    ("compose.yaml", "      KEY: ${API_KEY:-hunter2hunter2}", "      KEY: ${API_KEY…}"),
    ("compose.yaml", "  - PASSWORD=hunter2hunter2", "  - ***"),
    ("compose.yaml", "}{", "***"),
]


@pytest.mark.parametrize(("file", "line", "expected"), SHOWN)
def test_a_line_is_shown_without_its_value(file: str, line: str, expected: str) -> None:
    finding = Finding("E001", Severity.ERROR, "x", Where(file, 2, 1))
    assert quote(finding, {file: ["", line]}) == expected


def test_images_and_ports_are_no_secrets() -> None:
    finding = Finding("E034", Severity.ERROR, "x", Where("compose.yaml", 1))
    assert quote(finding, {"compose.yaml": ["image: redis:latest"]}) == "image: redis:latest"


def test_no_place_no_quote() -> None:
    for where in (None, Where("a"), Where("a", 3), Where("b", 1)):
        assert quote(Finding("E001", Severity.ERROR, "x", where), {"a": ["x"]}) == ""
