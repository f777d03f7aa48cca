"""All rules over a folder of migrations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stockctl.core import ignores
from stockctl.core.errors import UsageError, Where
from stockctl.core.report import Finding, Severity
from stockctl.db.lint import RULES, files, squawk
from stockctl.db.lint.base import Source, Subject
from stockctl.db.lint.schema import Schema
from stockctl.db.migration import read_folder
from stockctl.db.statements import Kind, tokens
from stockctl.system.host import Host

Label = Callable[[Path], str]
_SILENT = (Kind.COMMENT,)


@dataclass(frozen=True, slots=True)
class Lint:
    """What was found, by file and line, and how many migrations were looked at."""

    findings: tuple[Finding, ...]
    migrations: int


def lint(folder: Path, host: Host, label: Label = str, since: str | None = None) -> Lint:
    """What is wrong with the migrations of a folder, all of it at once.

    `label` is how messages call a file. `since`: rules look only at this migration and later ones;
    those before may be applied long ago, where no comment can be added without a new checksum. What
    is wrong with the files themselves stops `db migrate` and is always found. Raises UsageError for
    an unknown `since`, ConfigurationError where there is no folder, HostFailed, ToolMissing.
    """
    read = read_folder(folder)
    first = _first([up.path.stem for up, _ in read.pairs], since)
    found = [_called(each, label) for each in read.findings]
    sources: dict[str, Source] = {}
    schema = Schema()
    for up, down in read.pairs:
        above = Source(label(up.path), up)
        below = Source(label(down.path), down) if down else None
        looked_at = up.path.stem >= first
        if looked_at:
            sources[up.path.name] = above
            found += _rules(Subject(above, below, up, schema))
        schema.follow(above.acts)
        if looked_at and below is not None and down is not None:
            sources[down.path.name] = below
            found += _rules(Subject(below, above, up, schema, down=True))
    found += _squawk(sources, folder, host)
    found += [each for source in sources.values() for each in files.squawk_ignores(source)]
    left = _ignored(found, sources.values())
    by_label = {source.label: source for source in sources.values()}
    quoted = (_quoted(each, by_label) for each in left)
    count = sum(1 for up, _ in read.pairs if up.path.stem >= first)
    return Lint(tuple(sorted(quoted, key=Finding.sort_key)), count)


def _first(stems: list[str], since: str | None) -> str:
    if since is None:
        return ""
    for stem in stems:
        if since in (stem, stem.partition("_")[0]):
            return stem
    raise UsageError(f"no migration {since!r} to begin with", hint="For example: --since 0042")


def _called(finding: Finding, label: Label) -> Finding:
    where = finding.where
    return (
        replace(finding, where=replace(where, file=label(Path(where.file)))) if where else finding
    )


def _rules(subject: Subject) -> Iterator[Finding]:
    if not subject.acts and subject.transactional:
        return
    for rule in RULES.values():
        if rule.check is not None and (rule.down is not None or not subject.down):
            yield from rule.check(subject)


def _squawk(sources: dict[str, Source], folder: Path, host: Host) -> Iterator[Finding]:
    """Only what is text: squawk gives up on all files when one is not UTF-8."""
    names = [name for name, source in sources.items() if source.text]
    for each in squawk.lint(names, folder, host):
        if each.where is None or each.where.file not in sources:
            continue
        source, where = sources[each.where.file], each.where
        if where.line is None or where.column is None:
            yield replace(each, where=Where(source.label))
            continue
        line = source.lines[where.line - 1] if where.line <= len(source.lines) else ""
        column = len(line.encode()[: where.column - 1].decode(errors="ignore")) + 1
        yield replace(each, where=Where(source.label, where.line, column))


def _ignored(findings: list[Finding], sources: Iterable[Source]) -> list[Finding]:
    ignorable = {code: rule.ignorable for code, rule in RULES.items()}
    read = (
        ignore
        for source in sources
        if ignores.MARK in source.text
        for ignore in ignores.read(
            source.label, _comments(source.text), "--", lambda line: line, _reach(source)
        )
    )
    return ignores.apply(findings, read, ignores.Codes(ignorable, _unused, _wrong, "--"))


def _comments(text: str) -> str:
    """The text with all but its `--` comments blotted out: a string may talk about directives."""
    kept, at = [], 0
    for token in tokens(text):
        if token.kind in _SILENT:
            kept += [_blank(text[at : token.start]), text[token.start : token.end]]
            at = token.end
    return "".join([*kept, _blank(text[at:])])


def _blank(text: str) -> str:
    return "".join(char if char.isspace() else "·" for char in text)


def _reach(source: Source) -> Callable[[int], Iterable[int]]:
    """A directive above a statement is for all of its lines."""

    begins: list[int] = []

    def lines(line: int) -> Iterable[int]:
        if not begins:
            begins.extend(source.where(each.start).line or 0 for each in source.statements)
        number = bisect_right(begins, line) - 1
        if number < 0 or begins[number] != line:
            return (line,)
        return range(line, (source.where(source.statements[number].end).line or line) + 1)

    return lines


def _unused(where: Where, message: str, fix: str) -> Finding:
    return Finding("L090", Severity.WARNING, message, where, fix)


def _wrong(where: Where, message: str, fix: str) -> Finding:
    return Finding("L091", Severity.WARNING, message, where, fix)


def _quoted(finding: Finding, sources: dict[str, Source]) -> Finding:
    """With the line that it is about."""
    where = finding.where
    source = sources.get(where.file) if where else None
    if where is None or source is None or not where.line or where.line > len(source.lines):
        return finding
    return replace(finding, quote=source.lines[where.line - 1].rstrip("\r"))
