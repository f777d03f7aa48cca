"""Env files, read with python-dotenv's parser but with line numbers and without its silences."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret

SIZE_LIMIT_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Binding:
    """One `KEY=value`. The value is interpolated; it may always be a secret."""

    key: str
    value: Secret
    where: Where


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The bindings of one file, in its order, and what is wrong with it."""

    path: Path
    label: str
    bindings: tuple[Binding, ...] = ()
    findings: tuple[Finding, ...] = ()

    def values(self) -> dict[str, Secret]:
        """Key to value; of duplicates the last counts, as with python-dotenv and Compose."""
        return {binding.key: binding.value for binding in self.bindings}

    def where(self, key: str) -> Where | None:
        """Where the value that counts is set."""
        return next((b.where for b in reversed(self.bindings) if b.key == key), None)


def read_env_file(path: Path, label: str, process: Mapping[str, str]) -> EnvFile:
    """Reads `path`; `label` is what messages call it. Problems become findings, never exceptions.

    `${X}` takes X from an earlier line of the file, then from `process`.
    """
    try:
        raw = path.read_bytes() if path.stat().st_size <= SIZE_LIMIT_BYTES else None
    except OSError as error:
        return _unreadable(path, label, error.strerror or "cannot be read")
    if raw is None:
        return _unreadable(path, label, "is larger than 8 MB: not an env file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return _unreadable(path, label, "is not UTF-8 text", line)
    if "\0" in text:
        return _unreadable(
            path, label, "holds a NUL byte", text[: text.index("\0")].count("\n") + 1
        )
    return _parse(path, label, text, process)


def _parse(path: Path, label: str, text: str, process: Mapping[str, str]) -> EnvFile:
    from dotenv.parser import parse_stream

    values: dict[str, Secret] = {}
    bindings: list[Binding] = []
    findings: list[Finding] = []
    for parsed in parse_stream(io.StringIO(text)):
        line = parsed.original.line + _leading_newlines(parsed.original.string)
        where = Where(label, line, 1)
        if parsed.error or (parsed.key is not None and parsed.value is None):
            findings.append(_error("E001", where, "not a KEY=value statement", _PARSE_FIX))
            continue
        if parsed.key is None or parsed.value is None:
            continue  # a comment or blank lines
        value, unresolved = _interpolate(parsed.value, values, process)
        if unresolved:
            findings.append(_error("E006", where, f"{parsed.key}: ${{{unresolved}}} is not set"))
        if parsed.key in values:
            findings.append(_error("E002", where, f"{parsed.key} is set a second time"))
        values[parsed.key] = Secret(value)
        bindings.append(Binding(parsed.key, values[parsed.key], where))
    return EnvFile(path, label, tuple(bindings), tuple(findings))


_PARSE_FIX = "Write KEY=value on one line; close every quote that is opened."


def _interpolate(
    raw: str, values: Mapping[str, Secret], process: Mapping[str, str]
) -> tuple[str, str | None]:
    """The value with `${X}` and `${X:-default}` filled in, and the first X that is not set."""
    from dotenv.variables import Variable, parse_variables

    known = {**process, **{key: value.reveal() for key, value in values.items()}}
    atoms = list(parse_variables(raw))
    missing = (
        atom.name
        for atom in atoms
        if isinstance(atom, Variable) and atom.name not in known and atom.default is None
    )
    return "".join(atom.resolve(known) for atom in atoms), next(missing, None)


def _leading_newlines(text: str) -> int:
    """The lines before the statement: python-dotenv counts blank ones to it."""
    blank = text[: len(text) - len(text.lstrip())]
    return len(re.findall(r"\r\n|\n|\r", blank))


def _error(code: str, where: Where, message: str, fix: str = "") -> Finding:
    return Finding(code, Severity.ERROR, message, where, fix)


def _unreadable(path: Path, label: str, why: str, line: int | None = None) -> EnvFile:
    finding = _error("E000", Where(label, line), f"the env file {why}")
    return EnvFile(path, label, (), (finding,))
