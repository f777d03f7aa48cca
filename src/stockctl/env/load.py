"""TOML and env file → Environment, or every error at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from stockctl.core.errors import ConfigurationError, Where
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.core.units import counted
from stockctl.env.document import check, dotted, unknown_key
from stockctl.env.dotenv import EnvFile, revealed
from stockctl.env.env_file import open_env_file
from stockctl.env.event import Event
from stockctl.env.layers import Files, Layers, absolute, read_layers
from stockctl.env.masking import is_secret, passwords_in
from stockctl.env.model import Environment
from stockctl.env.needs import ALL, Needs
from stockctl.env.over_there import relative_paths
from stockctl.env.place import is_default
from stockctl.env.positions import Path as KeyPath
from stockctl.env.project import Project, is_there

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """An Environment with what is known about where it came from."""

    environment: Environment
    env_file: EnvFile | None
    layers: Layers
    process: Mapping[str, Secret]  # what the TOML files took from the process environment
    beside: tuple[Finding, ...] = ()  # what is wrong and does not concern the command

    def secrets(self) -> list[Secret]:
        """What the redactor must know before anything is printed: also the password in a URL, as
        it is and as it is written there."""
        url = self.environment.database.url if self.environment.database else None
        values = {**self.process, **(self.env_file.values() if self.env_file else {})}
        declared = self.environment.variables
        secrets = [v for k, v in values.items() if is_secret(k, v, declared.get(k))]
        secrets += [url] if url and not references(url.reveal()) else []
        secrets += self.environment.notify.webhooks
        written = [password for each in secrets for password in passwords_in(each)]
        passwords = [*written, *(Secret(unquote(each.reveal())) for each in written)]
        # `postgres` everybody knows; masked, it would make every message about it unreadable
        return [each for each in (*secrets, *passwords) if not is_default(each.reveal())]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of loading: `loaded` is None when the findings hold an error that prevents it."""

    loaded: Loaded | None
    findings: tuple[Finding, ...]
    blocking: tuple[Finding, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)  # of the TOML files, by label


def load(project: Project, name: str, process: Mapping[str, str], needs: Needs = ALL) -> Loaded:
    """The environment. Raises ConfigurationError with every error found on the way if one concerns
    what is needed."""
    attempt = try_load(project, name, process, needs=needs)
    if attempt.loaded is None or attempt.blocking:
        raise not_sound(name, attempt.findings)
    return replace(attempt.loaded, beside=attempt.findings)


def not_sound(name: str, findings: Sequence[Finding]) -> ConfigurationError:
    """The error for an environment with these findings."""
    errors = sum(each.severity is Severity.ERROR for each in findings)
    return ConfigurationError(
        f"environment {name} is not sound: {counted(errors, 'error')}",
        findings=tuple(findings),
        hint=f"stockctl env validate {name}",
    )


def try_load(
    project: Project,
    name: str,
    process: Mapping[str, str],
    *,
    needs: Needs = ALL,
    files: Files | None = None,
) -> Attempt:
    """The same without raising, for those who want to report on several environments; `files`
    remembers what was read for the next of them."""
    layers = read_layers(project, name, {} if files is None else files)
    if layers.findings:
        return Attempt(None, layers.findings, layers.findings, layers.texts)
    env_file, unopened = open_env_file(project, layers, process)
    own = env_file.values() if env_file else {}
    filled, unset = _filled(project, name, layers, {**process, **revealed(own)})
    file = Where(project.label(project.file(name)))
    taken = {key: Secret(process[key]) for key in references(layers.data) if key in process}
    environment, wrong = check(filled, layers, file, {**taken, **own}, needs)
    wrong = [(path, each) for path, each in wrong if not _waits(filled, path)]
    wrong += relative_paths(layers)
    if "name" in layers.data:
        wrong.append((("name",), unknown_key(("name",), layers.where(("name",)) or file)))
    wrong += _missing_files(environment, layers, project, {path[:2] for path, _ in wrong})
    blocking = [each for path, each in (*unset, *wrong) if needs.holds(path)]
    if unopened:  # without its env file everything would be unset
        blocking = unopened if blocking or needs is ALL else []
        unset = []
    findings = _sorted([*unopened, *(each for _, each in (*unset, *wrong))])
    if environment is None:
        return Attempt(None, findings, findings, layers.texts)
    loaded = Loaded(environment, env_file, layers, taken)
    return Attempt(loaded, findings, _sorted(blocking), layers.texts)


def _filled(
    project: Project, name: str, layers: Layers, values: Mapping[str, str]
) -> tuple[dict[str, Any], list[tuple[KeyPath, Finding]]]:
    """The document with its defaults and with every `${NAME}` filled in; what is not set."""
    unset: list[tuple[KeyPath, Finding]] = []
    data = _defaults(project, name, layers.data)
    return absolute(_fill(data, (), values, layers, unset), (), project.folder), unset


def _defaults(project: Project, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What depends on the environment's name and so cannot stand in the model."""
    host = data.get("host", {})
    backup = data.get("backup", {})
    directory = str((project.root / ".stockctl" / name).resolve())
    if isinstance(host, dict):
        if host.get("ssh") is None:
            host = {"directory": directory, **host}
            directory = host["directory"]
        host = {"known_hosts": str(project.folder / "known_hosts"), **host}
    if isinstance(backup, dict):
        backup = {"store": f"{directory}/backups", **backup}
    return {**data, "name": name, "host": host, "backup": backup}


def _fill(
    value: Any,
    path: KeyPath,
    values: Mapping[str, str],
    layers: Layers,
    findings: list[tuple[KeyPath, Finding]],
) -> Any:
    """Every `${NAME}` in every string replaced; unset ones become findings at their key."""
    if isinstance(value, dict):
        return {k: _fill(v, (*path, k), values, layers, findings) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, (*path, i), values, layers, findings) for i, v in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    for name in dict.fromkeys(_REFERENCE.findall(value)):
        if name not in values:
            message = f"{dotted(path)}: ${{{name}}} is not set"
            fix = f"Set {name} in the environment's env file."
            finding = Finding("C005", Severity.ERROR, message, layers.where(path), fix, about=name)
            findings.append((path, finding))
    return _REFERENCE.sub(lambda found: values.get(found[1], found[0]), value)


def references(value: Any) -> set[str]:
    """Every NAME that some `${NAME}` asks for."""
    found: set[str] = set()
    left = [value]
    while left:  # no recursion: hundreds of variables are declared in tables of their own
        item = left.pop()
        if isinstance(item, str):
            found.update(_REFERENCE.findall(item) if "${" in item else ())
        elif isinstance(item, dict | list):
            left += item.values() if isinstance(item, dict) else item
    return found


def _waits(data: Any, path: KeyPath) -> bool:
    """Whether a value still has a `${NAME}` that is not set: that is reported, once, as such."""
    for key in path:
        try:
            data = data[key]
        except (LookupError, TypeError):
            return False
    return isinstance(data, str) and _REFERENCE.search(data) is not None


def _missing_files(
    environment: Environment | None, layers: Layers, project: Project, told: set[KeyPath]
) -> list[tuple[KeyPath, Finding]]:
    """What is named and not there, but for keys that are wrong anyhow."""
    if environment is None:
        return []
    service, database = environment.service, environment.database
    wanted: list[tuple[KeyPath, Path, bool]] = []
    if service:
        wanted += [(("service", "compose"), path, False) for path in service.compose]
    if service and service.build:
        wanted.append((("service", "build"), service.build, True))
    if database and database.migrations:
        wanted.append((("database", "migrations"), database.migrations, True))
    for event in Event:
        wanted += [(("hooks", event), path, False) for path in environment.hooks.programs(event)]
    found: list[tuple[KeyPath, Finding]] = []
    for key, path, folder in wanted:
        if key not in told and not is_there(path, folder=folder):
            kind = "folder" if folder else "file"
            message = f"{dotted(key)}: there is no {kind} {project.label(path)}"
            found.append((key, Finding("C006", Severity.ERROR, message, layers.where(key))))
    return found


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=Finding.sort_key))
