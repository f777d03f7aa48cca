"""Findings as people, a CI runner and a code scanner read them: values in, text out.

`Clean` is what every text from outside passes first: secrets masked, control characters gone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import PurePath
from typing import Any

from stockctl.core.errors import Where
from stockctl.core.report import Described, Finding, Severity

Clean = Callable[[str], str]
Span = tuple[str, str]  # a text and how it looks on a terminal
Line = tuple[Span, ...]

COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_KEY = re.compile(r"[\w.\[\]-]+")
LONGEST_QUOTE = 200  # columns; a line of an env file can have megabytes
_GUTTER = 5  # columns: up to line 99,999 the quotes of a file stand below each other
_SARIF_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_GITHUB_COMMAND = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def _remembering(clean: Clean) -> Clean:
    """A file's name comes again and again."""
    return lru_cache(maxsize=64)(clean)


def one_line(text: str, clean: Clean) -> str:
    """Cleaned, and without the line breaks that would end a finding too early."""
    return " ".join(part.strip() for part in clean(text).splitlines())


def said(message: str, clean: Clean) -> str:
    """The key in front is cleaned by itself: in `API_TOKEN: expected a port` nothing is a token."""
    key, colon, rest = message.partition(": ")
    if colon and _KEY.fullmatch(key):
        return f"{clean(key)}: {clean(rest)}"
    return clean(message)


# ------------------------------------------------------------------------ text


def lines(findings: Sequence[Finding], clean: Clean, width: int = LONGEST_QUOTE) -> Iterator[Line]:
    """Each on a line, below it the line that it is about: once, where several are about it. An
    empty line between two files."""
    clean = _remembering(clean)
    for finding, after in zip_longest(findings, findings[1:]):
        yield _headline(finding, clean)
        if after is None or _line(after) != _line(finding):
            yield from _quoted(finding, clean, width)
        if after is not None and _line(after)[0] != _line(finding)[0]:
            yield ()


def _line(finding: Finding) -> tuple[str, int]:
    where = finding.where
    return (where.file, where.line or 0) if where else ("", 0)


def _headline(finding: Finding, clean: Clean) -> Line:
    colour = COLOUR[finding.severity]
    dim = "dim" if finding.severity is Severity.INFO else ""
    place = f"{_place(finding.where, clean)} " if finding.where else ""
    fix = one_line(finding.fix, clean)
    return (
        (place, dim or "bold"),  # where the next one begins, also on a narrow terminal
        (f"{finding.code} {finding.severity} ", dim or colour),
        (one_line(finding.message, partial(said, clean=clean)), dim),
        (f" → {fix}" if fix else "", dim or "cyan"),
    )


def _place(where: Where, clean: Clean) -> str:
    """The numbers stand outside of what is cleaned: `.env.token:1234` is no token."""
    file = one_line(where.file, clean)
    return ":".join([file, *(str(part) for part in (where.line, where.column) if part)])


def _quoted(finding: Finding, clean: Clean, width: int) -> Iterator[Line]:
    """The line with its number, and a caret where the column says more than `at the start`."""
    if not finding.quote:
        return
    written = finding.quote.splitlines()[0]
    quote, room = clean(written).rstrip(), max(width - _GUTTER - 3, 10)
    shown = quote if len(quote) <= room else f"{quote[: room - 1]}…"
    number = (finding.where and finding.where.line) or ""
    yield ((f"{number:>{_GUTTER}} | {shown}", "dim"),)
    column = (finding.where and finding.where.column) or 1
    before = clean(written[: column - 1])
    if before.strip() and before.isascii() and len(before) < len(shown):
        colour = "dim" if finding.severity is Severity.INFO else COLOUR[finding.severity]
        yield ((f"{'':{_GUTTER}} | {'':{len(before)}}", "dim"), ("^", colour))


def total(names: Sequence[str], findings: Sequence[Finding], *, strict: bool = False) -> str:
    """`prod, staging: 2 errors, 1 warning`; `prod: sound` where nothing stops a command."""
    many = Counter(finding.severity for finding in findings)
    words = ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note"))
    counted = [
        f"{many[kind]} {word}{'s' * (many[kind] != 1)}" for kind, word in words if many[kind]
    ]
    sound = [] if any(stops(each, strict=strict) for each in findings) else ["sound"]
    because = " (--strict: warnings count as errors)" if not (sound or many[Severity.ERROR]) else ""
    return f"{', '.join(names)}: {', '.join(sound + counted)}{because}"


def stops(finding: Finding, *, strict: bool = False) -> bool:
    """Whether it stops a command."""
    return finding.severity in ((Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,))


# ---------------------------------------------------------------------- github


def github(
    findings: Sequence[Finding], rules: Mapping[str, Described], clean: Clean, folder: str = ""
) -> str:
    """Workflow commands that become annotations.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    `folder`: where the project is inside the checkout, since files are named from there.
    """
    clean = _remembering(clean)
    return "".join(f"{_annotation(each, rules, clean, folder)}\n" for each in findings)


def _annotation(finding: Finding, rules: Mapping[str, Described], clean: Clean, folder: str) -> str:
    properties: dict[str, object] = {}
    if finding.where:
        file = one_line(finding.where.file, clean)
        properties = {
            "file": str(PurePath(folder, file)),  # an absolute one stays what it is
            "line": finding.where.line,
            "col": finding.where.column,
        }
    rule = rules.get(finding.code)
    properties["title"] = f"{finding.code} {rule.name}" if rule else finding.code
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{_GITHUB_COMMAND[finding.severity]} {given}::{_data(_sentence(finding, clean))}"


def _sentence(finding: Finding, clean: Clean) -> str:
    fix = one_line(finding.fix, clean)
    return one_line(finding.message, partial(said, clean=clean)) + (f" → {fix}" if fix else "")


def _data(text: object) -> str:
    return str(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: object) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# ----------------------------------------------------------------------- sarif


def sarif(
    findings: Sequence[Finding],
    rules: Mapping[str, Described],
    clean: Clean,
    version: str,
    page: str = "docs/rules.md",
) -> dict[str, Any]:
    """A SARIF 2.1.0 log: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

    What a rule says of itself is not cleaned: nobody's secret is in it, and a mask in a text that
    everybody knows would tell what is behind it.
    """
    clean = _remembering(clean)
    codes = sorted({*rules, *(finding.code for finding in findings)})
    described = [
        _descriptor(rules[code], page) if code in rules else {"id": code} for code in codes
    ]
    index = {code: number for number, code in enumerate(codes)}
    seen: Counter[tuple[str, str, str]] = Counter()
    results = [_result(finding, index[finding.code], clean, seen) for finding in findings]
    driver = {"name": "stockctl", "version": version, "rules": described}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [run]}


def _descriptor(rule: Described, page: str) -> dict[str, Any]:
    why = " ".join(rule.why.split())
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": f"{rule.what} {why}".strip()},
        "defaultConfiguration": {"level": _SARIF_LEVEL[rule.severity]},
        "help": {"text": f"{rule.what} {why} See {page}.".replace("  ", " ")},
    }


def _result(
    finding: Finding, index: int, clean: Clean, seen: Counter[tuple[str, str, str]]
) -> dict[str, Any]:
    file = one_line(finding.where.file, clean) if finding.where else ""
    identity = (finding.code, file, one_line(finding.message, partial(said, clean=clean)))
    seen[identity] += 1
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _SARIF_LEVEL[finding.severity],
        "message": {"text": _sentence(finding, clean)},
        "partialFingerprints": {"stockctl/v1": _fingerprint(*identity, str(seen[identity]))},
    }
    if finding.where:
        result["locations"] = [{"physicalLocation": _location(finding, file, clean)}]
    return result


def _location(finding: Finding, file: str, clean: Clean) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": uri(file)}}
    if finding.where and finding.where.line:
        region: dict[str, Any] = {"startLine": finding.where.line}
        if finding.where.column:
            region["startColumn"] = finding.where.column
        if finding.quote:
            region["snippet"] = {"text": one_line(finding.quote, clean)[:LONGEST_QUOTE]}
        location["region"] = region
    return location


def _fingerprint(*parts: str) -> str:
    """Stays when the line moves. Of what is shown, so it tells no more than that."""
    from hashlib import sha256

    return sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def uri(file: str) -> str:
    """A relative reference, from the project's folder; a `file:` URI for what is outside it."""
    from urllib.parse import quote

    quoted = quote(file.encode("utf-8", "surrogateescape"))
    return f"file://{quoted}" if file.startswith("/") else quoted
