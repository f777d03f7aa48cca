"""The env file that an environment names: in clear, or sealed and opened in memory."""

from __future__ import annotations

import errno
import stat
from collections.abc import Mapping
from pathlib import Path

from stockctl.core.errors import ConfigurationError
from stockctl.core.report import Finding, Severity
from stockctl.env import vault
from stockctl.env.dotenv import SIZE_LIMIT_BYTES, EnvFile, parse_env_file, unreadable
from stockctl.env.layers import Layers
from stockctl.env.project import Project, is_there
from stockctl.env.variable import Seal


def open_env_file(
    project: Project, layers: Layers, process: Mapping[str, str]
) -> tuple[EnvFile | None, list[Finding]]:
    """The file with its statements. None and a finding where it cannot be had."""
    named = layers.data.get("env_file")
    if not isinstance(named, str):
        return None, []
    file, label = Path(named), project.label(Path(named))
    missing = _missing(file, project, layers)
    if missing is not None:
        return None, [missing]
    opened = _open(file, label, layers, process)
    return opened, list(opened.findings)


def seal_of(layers: Layers) -> Seal:
    """`[seal]` as far as it is sound: who is needed must be told also when the rest is not."""
    table = layers.data.get("seal", {})
    named = table.get("recipients", {}) if isinstance(table, dict) else {}
    named = named if isinstance(named, dict) else {}
    return Seal(recipients={name: key for name, key in named.items() if isinstance(key, str)})


def _open(file: Path, label: str, layers: Layers, process: Mapping[str, str]) -> EnvFile:
    """In clear, or sealed, whatever it is called; but a name that promises a seal is a promise."""
    try:
        status = file.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return unreadable(file, label, "is a pipe or a device")  # which may have no end
        if status.st_size > vault.SIZE_LIMIT_BYTES:
            return unreadable(file, label, "is larger than 12 MB: not an env file")
        raw = file.read_bytes()
    except OSError as error:
        return unreadable(file, label, f"cannot be read: {error.strerror}".lower())
    if vault.looks_sealed(raw) or (vault.is_sealed(file) and not raw.strip()):
        return _open_sealed(file, label, raw, layers, process)
    if vault.is_sealed(file):
        fix = "Rotate what is in it if it was committed, and seal it."
        return unreadable(file, label, "is not sealed: its values are in clear", None, "E022", fix)
    if len(raw) > SIZE_LIMIT_BYTES:
        return unreadable(file, label, "is larger than 8 MB: not an env file")
    return parse_env_file(file, label, raw, process)


def _open_sealed(
    file: Path, label: str, raw: bytes, layers: Layers, process: Mapping[str, str]
) -> EnvFile:
    try:
        plaintext = vault.open_sealed(raw, label, seal_of(layers), process)
    except ConfigurationError as error:
        return unreadable(file, label, error.message, None, "E037", error.hint)
    return parse_env_file(file, label, plaintext, process, sealed=True)


def _missing(file: Path, project: Project, layers: Layers) -> Finding | None:
    """What to say where there is no such file. One that is there and cannot be read is reported
    by who reads it."""
    try:
        file.stat()
    except FileNotFoundError:
        why = f"there is no {project.label(file)}"
    except ValueError as error:
        why = str(error)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            return None
        why = str(error.strerror)
    else:
        return None
    example = file.with_name(f"{file.name}.example")
    if vault.is_sealed(file):
        fix = (
            "stockctl env generate ENV makes it, stockctl env seal ENV makes it of a plaintext one."
        )
    elif is_there(example):
        fix = f"stockctl env generate ENV makes it of {project.label(example)}; fill in the rest."
    else:
        fix = "Create it with one KEY=value a line, mode 0600."
    return Finding("C006", Severity.ERROR, f"env_file: {why}", layers.where(("env_file",)), fix)
