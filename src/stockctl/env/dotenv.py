"""Env files, read with python-dotenv's parser but with line numbers and without its silences."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret

if TYPE_CHECKING:
    from dotenv.parser import Reader

SIZE_LIMIT_BYTES = 8_000_000
MOST_REFERENCES = 500  # in one value: python-dotenv takes quadratic time for ${ that do not close
BOM = "\ufeff"
# a line of a key that nobody quoted; it must not pass for a variable's name
_BASE64 = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z0-9+/]{16,}={1,2}")
_INDENT = re.compile(r"\s*")
_EXPORT = re.compile(r"export[^\S\r\n]+")
_NO_TEXT = Secret("")
_NEWLINE = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Binding:
    """One `KEY=value`, with what the rules want to know of how it is written."""

    key: str
    value: Secret  # interpolated
    where: Where
    written: Secret  # the whole statement as it stands in the file, without the lines before it
    unset: tuple[str, ...] = ()  # the X of each `${X}` that has no value


@dataclass(frozen=True, slots=True)
class Broken:
    """A statement that is none, up to the end of its first line."""

    where: Where
    written: Secret


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The statements of one file, in its order. `findings` says why it could not be read."""

    path: Path
    label: str
    bindings: tuple[Binding, ...] = ()
    broken: tuple[Broken, ...] = ()
    findings: tuple[Finding, ...] = ()
    text: Secret = _NO_TEXT
    sealed: bool = False

    def values(self) -> dict[str, Secret]:
        """Key to value; of duplicates the last counts, as with python-dotenv and Compose."""
        return {binding.key: binding.value for binding in self.bindings}

    def where(self, key: str) -> Where | None:
        """Where the value that counts is set."""
        return next((b.where for b in reversed(self.bindings) if b.key == key), None)


def revealed(values: Mapping[str, Secret]) -> dict[str, str]:
    """In clear, for whoever fills them in."""
    return {key: value.reveal() for key, value in values.items()}


def read_env_file(path: Path, label: str, process: Mapping[str, str]) -> EnvFile:
    """Reads `path`; `label` is what messages call it. Problems become findings, never exceptions.

    `${X}` takes X from an earlier line of the file, then from `process`.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT_BYTES:
            return unreadable(path, label, "is larger than 8 MB: not an env file")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        return unreadable(
            path, label, f"cannot be read: {getattr(error, 'strerror', error)}".lower()
        )
    return parse_env_file(path, label, raw, process)


def parse_env_file(
    path: Path, label: str, raw: bytes, process: Mapping[str, str], *, sealed: bool = False
) -> EnvFile:
    """The same for bytes that were read already. A sealed file's plaintext comes in here."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return unreadable(path, label, "is not UTF-8 text", line)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return unreadable(path, label, "holds a NUL byte", line)
    known = dict(process)
    bindings: list[Binding] = []
    broken: list[Broken] = []
    size = 0
    for statement in _statements(text, label):
        if isinstance(statement, Broken):
            broken.append(statement)
            continue
        where, key, raw_value, written = statement
        if _BASE64.fullmatch(written) or raw_value.count("${") > MOST_REFERENCES:
            broken.append(Broken(where, Secret(written)))
            continue
        value, unset = _interpolate(raw_value, known)
        size += len(value)
        if size > SIZE_LIMIT_BYTES:
            why = "comes to more than 8 MB when its ${…} are filled in"
            return unreadable(path, label, why, where.line)
        known[key] = value
        bindings.append(Binding(key, Secret(value), where, Secret(written), unset))
    return EnvFile(path, label, tuple(bindings), tuple(broken), (), Secret(text), sealed)


def unreadable(
    path: Path, label: str, why: str, line: int | None = None, code: str = "E000", fix: str = ""
) -> EnvFile:
    """A file without bindings, and the finding that says why."""
    finding = Finding(code, Severity.ERROR, f"the env file {why}", Where(label, line), fix)
    return EnvFile(path, label, findings=(finding,))


# Comments, and one statement that needs no library: no quote, no #, no white space before the
# value. Nearly all of them are like this; python-dotenv takes twenty times as long for each.
_ABOVE = re.compile(r"(?:[ \t]*(?:#[^\n\r]*)?\n)*")
_PLAIN = re.compile(
    rf"(?P<above>{_ABOVE.pattern})"
    r"(?P<export>export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)="
    r"(?P<value>[^\s\"'#][^\n\r#]*)?(?:\n|\Z)"
)


def _statements(text: str, label: str) -> Iterator[tuple[Where, str, str, str] | Broken]:
    """Place, key, value and full text of each statement."""
    text = text.removeprefix(BOM).replace("\r\n", "\n")  # files are opened with universal newlines
    at, line, reader = 0, 1, None
    while at < len(text):
        plain = _PLAIN.match(text, at)
        if plain is None:
            above_it = _ABOVE.match(text, at)  # not again for each line of it
            end = above_it.end() if above_it else at
            at, line = end, line + text.count("\n", at, end)
            reader = reader or _reader(text)
            reader.position.chars, reader.position.line = at, line
            yield from _by_library(reader, label)
            at, line = reader.position.chars, reader.position.line
            continue
        above, export, key, value = plain.groups("")
        line += above.count("\n")
        written = text[at + len(above) : plain.end()].rstrip("\n")
        yield Where(label, line, 1 + len(export)), key, value.rstrip(), written
        at, line = plain.end(), line + 1


def _reader(text: str) -> Reader:
    from dotenv.parser import Reader

    return Reader(io.StringIO(BOM + text, newline=""))  # it takes one away by itself


def _by_library(reader: Reader, label: str) -> Iterator[tuple[Where, str, str, str] | Broken]:
    """The next statement, if it is not just a comment.

    Where python-dotenv gives one up, it has often run through lines that belong to others: an
    unclosed quote swallows all up to the next one. Here only the line where it opens is lost.
    """
    from dotenv.parser import parse_binding

    begin = reader.position.chars
    found = parse_binding(reader)
    written = found.original.string
    blank = _INDENT.match(written)
    indent = written[: blank.end()] if blank else ""
    line = found.original.line + len(_NEWLINE.findall(indent))
    nameless = found.key is None and written[len(indent) :].startswith("export")
    if found.error or nameless or (found.key is not None and found.value is None):
        lines = written[len(indent) :].splitlines(keepends=True) or [""]
        end = begin + len(indent) + len(lines[0])
        reader.position.chars, reader.position.line = end, line + 1
        yield Broken(Where(label, line, _column(indent)), Secret(lines[0].rstrip("\r\n")))
    elif found.key is not None and found.value is not None:
        export = _EXPORT.match(written, len(indent))
        where = Where(label, line, _column(indent) + (len(export[0]) if export else 0))
        yield where, found.key, found.value, written[len(indent) :].rstrip("\r\n")


def _column(indent: str) -> int:
    """From 1, of what stands behind `indent`."""
    return len(indent) - max(indent.rfind("\n"), indent.rfind("\r"))


def _interpolate(raw: str, known: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The value with `${X}` and `${X:-default}` filled in, and each X that has no value."""
    if "${" not in raw:
        return raw, ()
    from dotenv.variables import Variable, parse_variables

    atoms = list(parse_variables(raw))
    unset = tuple(
        atom.name
        for atom in atoms
        if isinstance(atom, Variable) and atom.name not in known and atom.default is None
    )
    return "".join(atom.resolve(known) for atom in atoms), unset
