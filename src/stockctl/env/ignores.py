"""`# stockctl: ignore E014 -- the reason`: findings that somebody has looked at and accepts.

On the line above, or at the end of the line; `ignore-file` anywhere in a file is for all of it.
Without a reason, or with a code that there is not, it does not count and is itself reported; so
is one that matches nothing any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stockctl.core.errors import Where
from stockctl.core.report import Finding
from stockctl.env.rules.base import RULES, found

_MARK = "stockctl:"
_DIRECTIVE = re.compile(
    r"#[^\S\n]*stockctl:[^\S\n]*(?P<kind>ignore-file|ignore)\b(?P<codes>[^\n]*?)"
    r"(?:[^\S\n]--(?P<reason>[^\n]*))?$"
)
_QUOTED = re.compile(r"^(?=[^#]*[=:])[^#\"']*(\"(?:\\.|[^\"\\])*\"|'[^']*')")
_CODE = re.compile(r"[A-Z][0-9]{3}")  # anything else may be anything, a secret even
_REASON = "# stockctl: ignore CODE -- why it is right here"


@dataclass(frozen=True, slots=True)
class Ignore:
    """One directive; `lines` is empty for a whole file."""

    where: Where
    codes: tuple[str, ...]
    reason: str
    lines: frozenset[int]

    def matches(self, finding: Finding) -> bool:
        """Whether it is about this finding."""
        place = finding.where
        if place is None or place.file != self.where.file or finding.code not in self.codes:
            return False
        return not self.lines or place.line in self.lines


def apply(
    findings: Iterable[Finding], texts: Mapping[str, str], inside: Mapping[str, frozenset[int]]
) -> list[Finding]:
    """The findings that are left, and those about the directives. `texts` by the file's label;
    `inside` the lines of each that are the middle of a value, where nothing is a comment."""
    left = list(findings)
    for label, text in texts.items():
        for ignore in _read(label, text) if _MARK in text else ():
            if ignore.where.line in inside.get(label, ()):
                continue
            trouble = _trouble(ignore)
            if trouble:
                left.append(found("W111", ignore.where, trouble, _REASON))
                continue
            used = {each.code for each in left if ignore.matches(each)}
            left = [each for each in left if not ignore.matches(each)]
            for code in ignore.codes:
                if code not in used:
                    message = f"nothing to ignore here: no {code}"
                    left.append(found("W110", ignore.where, message, "Remove it."))
    return left


def _trouble(ignore: Ignore) -> str:
    """Why it does not count."""
    unknown = [code for code in ignore.codes if code not in RULES]
    if not ignore.codes:
        return "an ignore without a code"
    if unknown:
        shown = [code for code in unknown if _CODE.fullmatch(code)]
        return f"no such code: {', '.join(shown)}" if shown else "a reason comes behind two dashes"
    fatal = [code for code in ignore.codes if not RULES[code].ignorable]
    if fatal:
        return f"{', '.join(fatal)} cannot be ignored"
    return "" if ignore.reason else "an ignore without a reason"


def _read(label: str, text: str) -> Iterator[Ignore]:
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.search(_unquoted(line)) if _MARK in line else None
        if match is None:
            continue
        codes = tuple(re.split(r"[\s,]+", match["codes"].strip())) if match["codes"].strip() else ()
        meant: frozenset[int] = frozenset()
        if match["kind"] == "ignore":
            alone = not line[: match.start()].strip()
            meant = frozenset({_next(lines, number) if alone else number})
        where = Where(label, number, match.start() + 1)
        yield Ignore(where, codes, (match["reason"] or "").strip(), meant)


def _unquoted(line: str) -> str:
    """The line with what stands in quotes blotted out: a value may talk about directives."""
    return _QUOTED.sub(lambda found: " " * len(found[0]), line.rstrip("\r"))


def _next(lines: list[str], number: int) -> int:
    """The first line below `number` that is not a comment."""
    for after, line in enumerate(lines[number:], number + 1):
        if not line.lstrip().startswith("#"):
            return after
    return number
