"""`# stockctl: ignore E014 -- the reason` in env, TOML and compose files: see core/ignores.py."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from stockctl.core import ignores
from stockctl.core.errors import Where
from stockctl.core.report import Finding
from stockctl.env.rules.base import RULES, found

_QUOTED = re.compile(r"^(?=[^#]*[=:])[^#\"']*(\"(?:\\.|[^\"\\])*\"|'[^']*')")


def apply(
    findings: Iterable[Finding], texts: Mapping[str, str], inside: Mapping[str, frozenset[int]]
) -> list[Finding]:
    """The findings that are left, and those about the directives. `texts` by the file's label;
    `inside` the lines of each that are the middle of a value, where nothing is a comment."""
    ignorable = {code: rule.ignorable for code, rule in RULES.items()}
    read = (
        ignore
        for label, text in texts.items()
        if ignores.MARK in text
        for ignore in ignores.read(label, text, "#", _unquoted)
        if ignore.where.line not in inside.get(label, ())
    )
    return ignores.apply(findings, read, ignores.Codes(ignorable, _unused, _wrong, "#"))


def _unused(where: Where, message: str, fix: str) -> Finding:
    return found("W110", where, message, fix)


def _wrong(where: Where, message: str, fix: str) -> Finding:
    return found("W111", where, message, fix)


def _unquoted(line: str) -> str:
    """The line with what stands in quotes blotted out: a value may talk about directives."""
    return _QUOTED.sub(lambda quoted: " " * len(quoted[0]), line)
