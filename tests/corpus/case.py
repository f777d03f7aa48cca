"""A case of the corpus: a text file that becomes a project folder. README.md has the format."""

from __future__ import annotations

import ast
import base64
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.report import Finding, Severity
from stockctl.env.project import FOLDER, Project

HERE = Path(__file__).parent
_SECTION = re.compile(r"^-- (\S+) --\n", re.MULTILINE)
_DIRECTIVE = re.compile(r"([a-z0-9-]+):(?: (.*))?")
_COMPOSE = """\
services:
  app:
    image: stockmind-api
  postgres:
    image: postgres:16-alpine
"""

Place = tuple[str, int | None, int | None]
Said = tuple[Place, str]
"""What was said where: the place is relative to `environments/`."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One line of `expect`: any of these, or, where optional, none."""

    anyone: tuple[tuple[str, str], ...]  # place, as written, and code
    optional: bool

    def is_met_by(self, said: Said) -> bool:
        return any(_matches(place, code, said) for place, code in self.anyone)

    def __str__(self) -> str:
        return " or ".join(f"{place} {code}" for place, code in self.anyone)


@dataclass(frozen=True, slots=True)
class Made:
    """A case on disk."""

    project: Project
    names: Sequence[str]
    process: dict[str, str]
    tracked: Callable[[Sequence[Path]], set[Path]]


@dataclass(frozen=True, slots=True)
class Case:
    """One file of the corpus."""

    name: str
    directives: tuple[tuple[str, str], ...]
    files: dict[str, str]
    expected: tuple[Expected, ...]

    def all(self, directive: str) -> list[str]:
        return [value for name, value in self.directives if name == directive]

    def codes(self) -> set[str]:
        return {code for each in self.expected if not each.optional for _, code in each.anyone}

    def make(self, root: Path) -> Made:
        """Writes the case below `root`."""
        folder = root / FOLDER
        folder.mkdir(parents=True)
        for name, raw in self._contents():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
            path.chmod(0o600)
        for link in self.all("link"):
            name, _, target = link.partition(" -> ")
            (folder / name).symlink_to(target)
        for mode in self.all("mode"):
            name, octal = mode.split()
            (folder / name).chmod(int(octal, 8))
        process = dict(
            each.replace("{root}", str(root)).split("=", 1) for each in self.all("process")
        )
        ours = {(folder / name).resolve() for name in self.all("tracked")}
        project = Project(root)
        names = " ".join(self.all("validate")).split() or project.names()
        return Made(
            project,
            names,
            process,
            lambda paths: {path for path in paths if path.resolve() in ours},
        )

    def _contents(self) -> Iterable[tuple[str, bytes]]:
        files = dict(self.files)
        tables = "".join(text for name, text in files.items() if name.endswith(".toml"))
        if 'extends = "base"' in tables and "base.toml" not in files:
            files["base.toml"] = (HERE / "base.toml").read_text()
        if '"compose.yaml"' in tables and "compose.yaml" not in files:
            files["compose.yaml"] = _COMPOSE
        crlf = self.all("crlf")
        for name, text in files.items():
            yield name, (text.replace("\n", "\r\n") if name in crlf else text).encode()
        for name, literal in (each.split(" ", 1) for each in self.all("bytes")):
            yield name, ast.literal_eval(literal)
        for name, coded in (each.split(" ", 1) for each in self.all("base64")):
            yield name, base64.b64decode(coded)


def read_case(path: Path) -> Case:
    """Raises ValueError for a file that is none."""
    # split keeps what stands between the headers: head, name, text, name, text …
    head, *parts = _SECTION.split(path.read_text())
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    if len(sections) * 2 != len(parts):
        raise ValueError(f"{path.name}: two sections have one name")
    directives = []
    for line in head.splitlines():
        found = _DIRECTIVE.fullmatch(line)
        if found:
            directives.append((found[1], found[2] or ""))
        elif line and not line.startswith("#"):
            raise ValueError(f"{path.name}: neither a comment nor a directive: {line}")
    expected = tuple(map(_expected, sections.pop("expect", "").splitlines()))
    return Case(f"{path.parent.name}/{path.stem}", tuple(directives), sections, expected)


def cases(kind: str) -> list[Case]:
    """All in `bad/` or `good/`, by name."""
    return [read_case(path) for path in sorted((HERE / kind).glob("*.txt"))]


def said(findings: Iterable[Finding]) -> list[tuple[Said, Severity]]:
    """Place and code of each, the file as the corpus writes it."""
    found = []
    for finding in findings:
        where = finding.where
        file = os.path.relpath(where.file, FOLDER) if where else "-"
        place = (file, where.line if where else None, where.column if where else None)
        found.append(((place, finding.code), finding.severity))
    return found


def differences(case: Case, findings: Iterable[Finding]) -> tuple[list[str], list[str]]:
    """What was expected and not said, and what was said and not expected."""
    spoken = said(findings)
    missing = [
        str(each)
        for each in case.expected
        if not each.optional and not any(each.is_met_by(one) for one, _ in spoken)
    ]
    surplus = {
        written(one)
        for one, severity in spoken
        if severity is not Severity.INFO and not any(each.is_met_by(one) for each in case.expected)
    }
    return missing, sorted(surplus)


def written(one: Said) -> str:
    """As in `expect`."""
    (file, line, column), code = one
    return f"{':'.join(str(part) for part in (file, line, column) if part)} {code}"


def _expected(line: str) -> Expected:
    optional = line.startswith("? ")
    pairs = [each.split() for each in line.removeprefix("? ").split(" or ")]
    if not all(len(pair) == 2 and re.fullmatch(r"[CEWI]\d{3}", pair[1]) for pair in pairs):
        raise ValueError(f"expected FILE:LINE:COLUMN CODE, got {line!r}")
    return Expected(tuple((place, code) for place, code in pairs), optional)


def _matches(place: str, code: str, one: Said) -> bool:
    (file, line, column), said_code = one
    if said_code != code:
        return False
    wanted, _, position = place.partition(":")
    wanted_line, _, wanted_column = position.partition(":")
    return (
        os.path.normpath(wanted) == file
        and wanted_line == str(line or "")
        and wanted_column in ("*", str(column or ""))
    )
