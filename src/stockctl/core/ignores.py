"""`stockctl: ignore CODE -- the reason` in a comment: findings that somebody has looked at and
accepts.

On the line above, or at the end of the line; `ignore-file` anywhere in a file is for all of it.
Without a reason, or with a code that there is not, it does not count and is itself reported; so
is one that matches nothing any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from stockctl.core.errors import Where
from stockctl.core.report import Finding

MARK = "stockctl:"
_CODE = re.compile(r"[A-Z][0-9]{3}")  # anything else may be anything, a secret even

About = Callable[[Where, str, str], Finding]  # where, what, how to mend it


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


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes that there are, each with whether it may be ignored, and how to report a directive
    that matches nothing (`unused`) or does not count (`wrong`)."""

    ignorable: Mapping[str, bool]
    unused: About
    wrong: About
    comment: str  # what begins one: `#`, `--`


def apply(findings: Iterable[Finding], ignores: Iterable[Ignore], codes: Codes) -> list[Finding]:
    """The findings that are left, and those about the directives."""
    left = list(findings)
    for ignore in ignores:
        trouble = _trouble(ignore, codes)
        if trouble:
            fix = f"{codes.comment} stockctl: ignore CODE -- why it is right here"
            left.append(codes.wrong(ignore.where, trouble, fix))
            continue
        used = {each.code for each in left if ignore.matches(each)}
        left = [each for each in left if not ignore.matches(each)]
        for code in ignore.codes:
            if code not in used:
                message = f"nothing to ignore here: no {code}"
                left.append(codes.unused(ignore.where, message, "Remove it."))
    return left


def _trouble(ignore: Ignore, codes: Codes) -> str:
    """Why it does not count."""
    unknown = [code for code in ignore.codes if code not in codes.ignorable]
    if not ignore.codes:
        return "an ignore without a code"
    if unknown:
        shown = [code for code in unknown if _CODE.fullmatch(code)]
        return f"no such code: {', '.join(shown)}" if shown else "a reason comes behind two dashes"
    fatal = [code for code in ignore.codes if not codes.ignorable[code]]
    if fatal:
        return f"{', '.join(fatal)} cannot be ignored"
    return "" if ignore.reason else "an ignore without a reason"


def directive(comment: str) -> re.Pattern[str]:
    """Finds a directive in a line: groups kind, codes, reason."""
    return re.compile(
        rf"{re.escape(comment)}[^\S\n]*{MARK}[^\S\n]*(?P<kind>ignore-file|ignore)\b"
        r"(?P<codes>[^\n]*?)(?:[^\S\n]--(?P<reason>[^\n]*))?$"
    )


def _one(line: int) -> Iterable[int]:
    return (line,)


def read(
    label: str,
    text: str,
    comment: str,
    bare: Callable[[str], str],
    reach: Callable[[int], Iterable[int]] = _one,
) -> Iterator[Ignore]:
    """The directives of a file. `bare` blots out what stands in quotes in a line; `reach`: all the
    lines that are meant when the one below the directive is."""
    lines, pattern = text.split("\n"), directive(comment)
    for number, line in enumerate(lines, 1):
        match = pattern.search(bare(line.rstrip("\r"))) if MARK in line else None
        if match is None:
            continue
        codes = tuple(re.split(r"[\s,]+", match["codes"].strip())) if match["codes"].strip() else ()
        meant: frozenset[int] = frozenset()
        if match["kind"] == "ignore":
            alone = not line[: match.start()].strip()
            meant = frozenset(reach(_next(lines, number, comment)) if alone else (number,))
        where = Where(label, number, match.start() + 1)
        yield Ignore(where, codes, (match["reason"] or "").strip(), meant)


def _next(lines: list[str], number: int, comment: str) -> int:
    """The first line below `number` that is not a comment."""
    for after, line in enumerate(lines[number:], number + 1):
        if not line.lstrip().startswith(comment):
            return after
    return number
