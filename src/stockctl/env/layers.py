"""TOML files, one on top of the other, each value with the place it came from."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.event import Event
from stockctl.env.positions import Path as KeyPath
from stockctl.env.positions import key_positions
from stockctl.env.project import Project

# Strings that name a file or a folder, relative to the TOML file they stand in.
_PATH_KEYS = {
    ("env_file",),
    ("service", "compose"),
    ("service", "build"),
    ("host", "directory"),
    ("host", "known_hosts"),
    ("host", "identity_file"),
    ("database", "migrations"),
    ("backup", "store"),
    ("proxy", "certificates"),
    ("backup", "identity_file"),
    ("backup", "known_hosts"),
    ("backup", "ssh_identity_file"),
    ("backup", "metrics"),
    *(("hooks", event.value) for event in Event),
}
OVER_THERE: tuple[KeyPath, ...] = (("host", "directory"), ("proxy", "certificates"))  # with ssh
_TABLES = {path[:end] for path in _PATH_KEYS for end in range(len(path))}  # around these


@dataclass(frozen=True, slots=True)
class Layers:
    """The merged document. `sources` has every key path that was written somewhere."""

    data: dict[str, Any]
    sources: dict[KeyPath, Where]
    findings: tuple[Finding, ...]
    texts: dict[str, str] = field(default_factory=dict)  # by the file's label

    def where(self, path: KeyPath) -> Where | None:
        """The place of a key, or of the nearest table around it."""
        while path:
            if path in self.sources:
                return self.sources[path]
            path = path[:-1]
        return None


@dataclass(frozen=True, slots=True)
class Layer:
    """One file: its document, where each key stands, its text."""

    data: dict[str, Any]
    sources: dict[KeyPath, Where]
    text: str


Files = dict[str, "Layer | Finding"]


def read_layers(project: Project, name: str, files: Files | None = None) -> Layers:
    """The environment's file and what it extends, merged: tables key by key, the nearer wins.

    `files` remembers what was read: environments extend the same file.
    """
    files = {} if files is None else files
    findings: list[Finding] = []
    chain: list[Layer] = []
    texts: dict[str, str] = {}
    seen: list[str] = []
    extended_at = Where(project.label(project.file(name)))
    wanted: Any = name
    while wanted is not None:
        if wanted in seen:
            circle = " → ".join([*seen, wanted])
            findings.append(_error("C007", extended_at, f"extends goes in a circle: {circle}"))
            break
        seen.append(wanted)
        if wanted not in files:
            files[wanted] = _read(project, wanted, extended_at)
        layer = files[wanted]
        if isinstance(layer, Finding):
            findings.append(layer)
            break
        chain.append(layer)
        texts[project.label(project.file(wanted))] = layer.text
        wanted = layer.data.get("extends")
        extended_at = layer.sources.get(("extends",), extended_at)
        if wanted is not None and not isinstance(wanted, str):
            findings.append(_error("C003", extended_at, "extends: expected a file's name"))
            break
    data: dict[str, Any] = {}
    sources: dict[KeyPath, Where] = {}
    for layer in reversed(chain):
        if sources:
            _forget_replaced(sources, layer.data, ())
        data = _merge(data, layer.data)
        sources |= layer.sources
    return Layers(data, sources, tuple(findings), texts)


def _read(project: Project, name: str, extended_at: Where) -> Layer | Finding:
    file = project.file(name)
    label = project.label(file)
    try:
        text = file.read_bytes().decode("utf-8")
        if text.startswith("\ufeff"):
            where = Where(label, 1, 1)
            return _error("C001", where, "begins with a byte order mark, which TOML does not allow")
        data = tomllib.loads(text)
    except FileNotFoundError:
        return _error("C007", extended_at, f"extends: there is no {label}")
    except OSError as error:
        return _error("C001", Where(label), f"cannot be read: {error.strerror}")
    except RecursionError:
        return _error("C001", Where(label), "is nested too deeply")
    except UnicodeDecodeError:
        return _error("C001", Where(label), "is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        return _syntax_error(label, str(error))
    positions = key_positions(text)
    sources = {path: Where(label, *position) for path, position in positions.items()}
    try:
        return Layer(absolute(data, (), file.parent), sources, text)
    except (RuntimeError, ValueError) as error:  # ~nobody, a NUL byte
        return _error("C001", Where(label), f"holds an impossible path: {error}")


def _syntax_error(label: str, message: str) -> Finding:
    """tomllib puts the place at the end of its message: `… (at line 3, column 5)`."""
    place = re.search(r"\s*\(at line (\d+), column (\d+)\)$", message)
    if place is None:
        return _error("C001", Where(label), message)
    where = Where(label, int(place[1]), int(place[2]))
    return _error("C001", where, f"not valid TOML: {message[: place.start()]}")


def absolute(value: Any, path: KeyPath, folder: Path) -> Any:
    """Paths as seen from `folder`. One that begins with `${NAME}` waits until that is known."""
    if path in _TABLES and isinstance(value, dict):
        return {key: absolute(item, (*path, key), folder) for key, item in value.items()}
    if path not in _PATH_KEYS:
        return value
    if isinstance(value, list):
        return [absolute(item, path, folder) for item in value]
    if path in OVER_THERE and isinstance(value, str) and value.startswith("/"):
        return value  # it may be one of another machine: links of this one say nothing about it
    if isinstance(value, str) and "://" not in value and not value.startswith("${"):
        named = folder / Path(value).expanduser()
        try:
            return str(named.resolve())
        except (OSError, RuntimeError):  # a loop of links: whoever opens it says so
            return str(named)
    return value


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both_tables else value
    return merged


def _forget_replaced(sources: dict[KeyPath, Where], above: dict[str, Any], path: KeyPath) -> None:
    """A list or value that is replaced takes the places of what was below it along."""
    for key, value in above.items():
        here = (*path, key)
        if isinstance(value, dict):
            _forget_replaced(sources, value, here)
            continue
        for known in [known for known in sources if known[: len(here)] == here]:
            del sources[known]


def _error(code: str, where: Where, message: str) -> Finding:
    return Finding(code, Severity.ERROR, message, where)
