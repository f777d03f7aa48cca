"""How the env file is written: nothing here changes a value today."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.dotenv import BOM
from stockctl.env.rules.base import Subject, found, prod, rule
from stockctl.env.rules.statements import NAME

_PROXY = re.compile(r"(?:https?|ftp|all|no)_proxy")  # curl reads http_proxy in lower case only
_SPACED = re.compile(
    r"(?:export\s+)?(?P<name>[^\s=]+)(?P<before>[^\S\n]*)=(?P<after>[^\S\n]*)"
    r"(?P<value>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[^\n]*)(?P<rest>[^\n]*)",
    re.DOTALL,
)


@rule("W102", Severity.WARNING, bad=prod("log_level=info\n"), good=prod("LOG_LEVEL=info\n"))
def key_not_upper_case(subject: Subject) -> Iterator[Finding]:
    """A key is not in upper case.

    Names are case-sensitive, and `Port` is not `PORT` to whoever looks for it. Declared ones are
    taken as they are.
    """
    for binding in subject.env.bindings:
        if binding.key == binding.key.upper():
            continue
        plain = NAME.fullmatch(binding.key) and binding.key not in subject.environment.variables
        if plain and not _PROXY.fullmatch(binding.key):
            message = f"{binding.key} is not in upper case"
            yield found("W102", binding.where, message, f"{binding.key.upper()}=…")


@rule("W103", Severity.WARNING, bad=prod("PORT = 5000\n"), good=prod("PORT=5000\n"))
def surrounding_space(subject: Subject) -> Iterator[Finding]:
    """White space before the key, around `=`, behind the value, or at the ends of a quoted one.

    Shells and other readers of the file take it differently; inside quotes it is part of the value.
    """
    for binding in subject.env.bindings:
        match = _SPACED.match(binding.written.reveal())
        indented = match is not None and binding.where.column != 1 + match.start("name")
        if indented or (match and _is_spaced(match)):
            yield found("W103", binding.where, f"{binding.key}: white space around it")


def _is_spaced(match: re.Match[str]) -> bool:
    value = match["value"]
    quoted = value[:1] in ("'", '"')
    inner = value[1:-1] if quoted else ""
    around = match["before"] or (match["after"] and (quoted or value.strip()))
    trailing = match["rest"] if quoted else value
    comment = "#" in trailing
    behind = not comment and trailing != trailing.rstrip()
    single_line = "\n" not in inner
    return bool(around or behind or (inner and single_line and inner != inner.strip()))


@rule("W108", Severity.WARNING, bad=prod("\ufeffA=1\n"), good=prod("A=1\n"))
def byte_order_mark(subject: Subject) -> Iterator[Finding]:
    """The file begins with a byte order mark.

    Many readers take it for a part of the first key.
    """
    if subject.env.text.reveal().startswith(BOM):
        yield found("W108", Where(subject.env.label, 1, 1), "begins with a byte order mark")


@rule("W109", Severity.WARNING, bad=prod("A=1\r\n"), good=prod("A=1\n"))
def windows_line_ends(subject: Subject) -> Iterator[Finding]:
    """Lines end in CR LF.

    A shell that reads the file has a carriage return at the end of every value.
    """
    text = subject.env.text.reveal()
    at = text.find("\r\n")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        where = Where(subject.env.label, line, 1)
        yield found("W109", where, "lines end in CR LF", "dos2unix, or the editor's line ends: LF")


@rule(
    "I201",
    Severity.INFO,
    bad=prod("B=2\nA=1\n", **{".env.prod.example": "A=\nB=\n"}),
    good=prod("A=1\nB=2\n", **{".env.prod.example": "A=\nB=\n"}),
)
def other_order(subject: Subject) -> Iterator[Finding]:
    """The keys stand in another order than in the example file.

    Two files that are compared by eye should have the same order.
    """
    order = {key: number for number, key in enumerate(subject.example)}
    last = -1
    for key, binding in subject.bound.items():
        if key in order and order[key] < last:
            message = f"{key} comes earlier in the example file"
            yield found("I201", binding.where, message)
            return
        last = max(last, order.get(key, last))


@rule("I202", Severity.INFO, bad=prod("A=1\n\n\nB=2\n"), good=prod("A=1\n\nB=2\n"))
def blank_lines(subject: Subject) -> Iterator[Finding]:
    """Blank lines: more than one in a row, at the beginning, or no line end after the last line.

    The next line that is appended would become part of the last one.
    """
    text = subject.env.text.reveal().removeprefix(BOM).replace("\r\n", "\n")
    if not text:
        return
    label = subject.env.label
    inside = {n for b in subject.env.bindings for n in _inner_lines(b.where, b.written.reveal())}
    lines = text.split("\n")
    for number, (before, line) in enumerate(zip(["", *lines], lines, strict=False), 1):
        last = number == len(lines)
        if not line.strip() and not before.strip() and not last and number not in inside:
            yield found("I202", Where(label, number, 1), "more blank lines than one")
    if not text.endswith("\n"):
        yield found("I202", Where(label, len(lines), 1), "the last line has no end")


def _inner_lines(where: Where, written: str) -> range:
    """The lines of a statement below its first one."""
    first = where.line or 0
    return range(first + 1, first + written.count("\n") + 1)
