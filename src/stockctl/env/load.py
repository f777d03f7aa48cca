"""TOML and env file → Environment, or every error at once."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import unquote

from stockctl.core.errors import ConfigurationError, Where
from stockctl.core.redact import Redactor
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.dotenv import EnvFile
from stockctl.env.env_file import open_env_file
from stockctl.env.layers import Files, Layers, absolute, read_layers
from stockctl.env.masking import is_secret, passwords_in
from stockctl.env.model import Environment, Table
from stockctl.env.needs import ALL, Needs
from stockctl.env.positions import Path as KeyPath
from stockctl.env.project import Project, is_there

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

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
        secrets += [url] if url else []
        written = [password for each in secrets for password in passwords_in(each)]
        return [*secrets, *written, *(Secret(unquote(each.reveal())) for each in written)]


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
        f"environment {name} is not sound: {errors} error{'s' * (errors != 1)}",
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
    data = _defaults(project, name, layers.data)
    env_file, unopened = open_env_file(project, layers, process)
    own = env_file.values() if env_file else {}
    values = {**process, **{key: value.reveal() for key, value in own.items()}}
    unset: list[tuple[KeyPath, Finding]] = []
    filled = absolute(_fill(data, (), values, layers, unset), (), project.folder)
    file = Where(project.label(project.file(name)))
    environment, wrong = _validate(filled, layers, file, own, needs)
    wrong = [(path, each) for path, each in wrong if not _waits(filled, path)]
    blocking = [each for path, each in (*unset, *wrong) if needs.holds(path)]
    if unopened:  # without its env file everything would be unset
        blocking = unopened if blocking or needs is ALL else []
        unset = []
    findings = [*unopened, *(each for _, each in (*unset, *wrong))]
    if environment is None:
        return Attempt(None, _sorted(findings), _sorted(findings), layers.texts)
    taken = {key: Secret(process[key]) for key in references(layers.data) if key in process}
    told = {path[:2] for path, _ in wrong}
    missing = [m for m in _missing_files(environment, layers, project) if m[0] not in told]
    blocking += [each for path, each in missing if needs.holds(path)]
    findings += [each for _, each in missing]
    loaded = Loaded(environment, env_file, layers, taken)
    return Attempt(loaded, _sorted(findings), _sorted(blocking), layers.texts)


def _defaults(project: Project, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What depends on the environment's name and so cannot stand in the model."""
    host = data.get("host", {})
    backup = data.get("backup", {})
    directory = str((project.root / ".stockctl" / name).resolve())
    if isinstance(host, dict):
        host = {"directory": directory, **host}
        directory = host["directory"]
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
    if not isinstance(value, str):
        return value
    for name in dict.fromkeys(_REFERENCE.findall(value)):
        if name not in values:
            message = f"{dotted(path)}: ${{{name}}} is not set"
            fix = f"Set {name} in the environment's env file."
            finding = Finding("C005", Severity.ERROR, message, layers.where(path), fix)
            findings.append((path, finding))
    return _REFERENCE.sub(lambda found: values.get(found[1], found[0]), value)


def references(value: Any) -> set[str]:
    """Every NAME that some `${NAME}` asks for."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return {name for item in inner for name in references(item)}
    return set(_REFERENCE.findall(value)) if isinstance(value, str) else set()


# What a command does not use but the model cannot do without.
_STAND_INS: dict[KeyPath, dict[str, Any]] = {
    ("service", "compose"): {"compose": ["compose.yaml"]},
    ("service", "release"): {"release": ["unknown"], "web": "unknown"},
    ("service", "web"): {"release": ["unknown"], "web": "unknown"},
    ("service", "port"): {"port": 1},
    ("service", "image"): {"image": "unknown"},
    ("service", "url"): {"url": "http://unknown.invalid"},
}


def _validate(
    data: dict[str, Any],
    layers: Layers,
    file: Where,
    values: Mapping[str, Secret],
    needs: Needs,
) -> tuple[Environment | None, list[tuple[KeyPath, Finding]]]:
    """The environment, or what is wrong where; a value of the env file is never in a message.

    Mistakes that do not concern what is needed are taken out, and what is left is tried again.
    """
    from pydantic import ValidationError

    try:
        return Environment.model_validate(data), []
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        redactor = Redactor(values.values())
        wrong = [(tuple(each["loc"]), _finding(each, layers, file)) for each in details]
        wrong = [(path, replace(f, message=redactor.text(f.message))) for path, f in wrong]
    others = [path for path, _ in wrong if path and not needs.holds(path)]
    if not others or needs is ALL:
        return None, wrong
    left = copy.deepcopy(data)
    for path in others:
        _take_out(left, path)
        if path[:2] in _STAND_INS:
            left["service"] |= _STAND_INS[path[:2]]
    environment, _ = _validate(left, layers, file, values, ALL)
    return environment, wrong


def _take_out(data: Any, path: KeyPath) -> None:
    """Removes what stands at `path`."""
    if len(path) > 1 and path[0] in ("smoke", "variables"):
        path = path[:1]
    for key in path[:-1]:
        inner = data.get(key) if isinstance(data, dict) else None
        if not isinstance(inner, dict):
            return
        data = inner
    if isinstance(data, dict):
        data.pop(path[-1], None)


def _waits(data: Any, path: KeyPath) -> bool:
    """Whether a value still has a `${NAME}` that is not set: that is reported, once, as such."""
    for key in path:
        try:
            data = data[key]
        except (LookupError, TypeError):
            return False
    return isinstance(data, str) and _REFERENCE.search(data) is not None


def _finding(detail: ErrorDetails, layers: Layers, file: Where) -> Finding:
    path: KeyPath = tuple(detail["loc"])
    where = layers.where(path) or file
    kind, said = detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        near = get_close_matches(str(path[-1]), known, n=1)
        fix = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
        return Finding("C002", Severity.ERROR, f"{dotted(path)}: unknown key", where, fix)
    if kind == "missing":
        return Finding("C004", Severity.ERROR, f"{dotted(path)}: must be set", where)
    said = said.removeprefix("Value error, ")
    message = f"{dotted(path)}: {said}" if path else said
    return Finding("C003", Severity.ERROR, message, where)


def _known_keys(path: KeyPath) -> list[str]:
    """The keys of the table at `path`, read off the model."""
    model: type[Table] = Environment
    for key in path:
        field = next((f for n, f in model.model_fields.items() if key in (n, f.alias)), None)
        if field is not None:
            inner = [t for t in _types(field.annotation) if issubclass(t, Table)]
            model = inner[0] if inner else model
    return [f.alias or name for name, f in model.model_fields.items() if not f.exclude]


def _types(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in _types(part)]


def _missing_files(
    environment: Environment, layers: Layers, project: Project
) -> list[tuple[KeyPath, Finding]]:
    service, database = environment.service, environment.database
    wanted: list[tuple[KeyPath, Path, bool]] = []
    if service:
        wanted += [(("service", "compose"), path, False) for path in service.compose]
    if service and service.build:
        wanted.append((("service", "build"), service.build, True))
    if database and database.migrations:
        wanted.append((("database", "migrations"), database.migrations, True))
    found: list[tuple[KeyPath, Finding]] = []
    for key, path, folder in wanted:
        if not is_there(path, folder=folder):
            kind = "folder" if folder else "file"
            message = f"{dotted(key)}: there is no {kind} {project.label(path)}"
            found.append((key, Finding("C006", Severity.ERROR, message, layers.where(key))))
    return found


def dotted(path: KeyPath) -> str:
    """`smoke[0].path`, as people write it."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=Finding.sort_key))
