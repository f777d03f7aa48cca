"""An environment whose env file may be missing, incomplete or sealed: what can be known of it.

The verbs that make an env file good cannot ask for a good one first, as the strict loader does.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockctl.core.errors import ConfigurationError
from stockctl.core.report import Severity
from stockctl.core.secret import Secret
from stockctl.core.units import counted
from stockctl.env.layers import Layers, read_layers
from stockctl.env.load import try_load
from stockctl.env.masking import is_secret, passwords_in
from stockctl.env.model import Environment
from stockctl.env.project import Project
from stockctl.env.vault import is_sealed, plain_names, sealed_name

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WITHOUT_VALUES = ("protected", "stage", "seal", "variables")  # tables that need no env file


@dataclass(frozen=True, slots=True)
class Draft:
    """`environment` lacks the tables that take values from the env file."""

    project: Project
    environment: Environment
    layers: Layers
    path: Path  # of the env file, as it is named in TOML
    process: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def label(self) -> str:
        """What messages call the env file."""
        return self.project.label(self.path)

    @property
    def written(self) -> str:
        """`env_file` as it stands in TOML."""
        where = self.layers.where(("env_file",))
        assert where is not None, "a draft has an env_file"
        return written_env_file(self.project, where.file)

    @property
    def folder(self) -> Path:
        """What stockctl keeps beside the project for this environment."""
        return self.project.root / ".stockctl" / self.name

    def secrets_in(self, values: Mapping[str, Secret]) -> list[Secret]:
        """What the redactor must know of an env file's values."""
        declared = self.environment.variables
        found = [v for k, v in values.items() if is_secret(k, v, declared.get(k))]
        return [*found, *(password for each in found for password in passwords_in(each))]


def read_draft(project: Project, name: str, process: Mapping[str, str]) -> Draft:
    """Raises ConfigurationError, with findings, where the TOML files are not sound."""
    layers = read_layers(project, name)
    if layers.findings:
        raise _unsound(name, layers.findings)
    where = layers.where(("env_file",))
    if where is None or not isinstance(layers.data.get("env_file"), str):
        raise ConfigurationError(
            f"{name} has no env_file",
            where=where,
            hint=f'Add env_file = ".env.{name}" to {project.label(project.file(name))}.',
        )
    path = _filled(written_env_file(project, where.file), process)
    if path is None:
        raise ConfigurationError("env_file: a ${NAME} in it is not set", where=where)
    environment = _environment(project, name, layers, process)
    return Draft(project, environment, layers, project.folder / Path(path).expanduser(), process)


def written_env_file(project: Project, toml: str) -> str:
    """`env_file` as it stands in a file: a link there is not followed, unlike in the layers."""
    text = (project.root / toml).read_text("utf-8")
    return str(tomllib.loads(text)["env_file"])


def plain_path(draft: Draft) -> Path:
    """The env file in the clear: `prod.env.age` is `.env.prod`, or what is there and is sealed
    under that name."""
    if not is_sealed(draft.path):
        return draft.path
    paths = [draft.path.with_name(name) for name in plain_names(draft.path.name, draft.name)]
    return next((path for path in paths if path.is_file()), paths[0])


def sealed_path(draft: Draft) -> Path:
    """The sealed one: `.env.prod` is `prod.env.age`, which no `.gitignore` hides that keeps
    `.env.*` out of git."""
    path = draft.path
    return path if is_sealed(path) else path.with_name(sealed_name(path.name, draft.name))


def other_form(draft: Draft) -> None:
    """Raises ConfigurationError where the env file is not there but its other form is: somebody
    has secrets in it, and new ones are not what is wanted."""
    plain, sealed = plain_path(draft), sealed_path(draft)
    other, verb = (plain, "seal") if is_sealed(draft.path) else (sealed, "unseal")
    if other.exists():
        raise ConfigurationError(
            f"there is no {draft.label}, but there is {draft.project.label(other)}",
            where=draft.layers.where(("env_file",)),
            hint=f"stockctl env {verb} {draft.name}",
        )


def example_of(draft: Draft) -> Path | None:
    """The file that shows what the env file looks like, if there is one."""
    names = [f"{draft.path.name}.example", f"{plain_path(draft).name}.example"]
    paths = [draft.path.with_name(name) for name in names]
    return next((path for path in paths if path.is_file()), None)


def sharers(draft: Draft, path: Path) -> list[str]:
    """The other environments whose env file is `path`."""
    found = []
    for other in draft.project.names():
        written = read_layers(draft.project, other).data.get("env_file")
        theirs = _filled(written, draft.process) if isinstance(written, str) else None
        if other != draft.name and theirs and Path(theirs) == path.resolve():
            found.append(other)
    return found


def _environment(
    project: Project, name: str, layers: Layers, process: Mapping[str, str]
) -> Environment:
    from pydantic import ValidationError

    data: dict[str, Any] = {key: layers.data[key] for key in _WITHOUT_VALUES if key in layers.data}
    host = layers.data.get("host")
    directory = host.get("directory") if isinstance(host, dict) else None
    known = _filled(directory, process) if isinstance(directory, str) else None
    data["host"] = {"directory": known or str((project.root / ".stockctl" / name).resolve())}
    data["backup"] = {"store": "."}
    try:
        return Environment.model_validate({**data, "name": name})
    except ValidationError:
        raise _unsound(name, try_load(project, name, process).findings) from None


def _filled(text: str, process: Mapping[str, str]) -> str | None:
    """With each `${NAME}` from the process environment; None where one is not set."""
    if any(name not in process for name in _REFERENCE.findall(text)):
        return None
    return _REFERENCE.sub(lambda found: process[found[1]], text)


def _unsound(name: str, findings: Any) -> ConfigurationError:
    errors = [each for each in findings if each.severity is Severity.ERROR]
    many = counted(len(errors), "error")
    return ConfigurationError(
        f"environment {name} is not sound: {many}",
        findings=findings,
        hint=f"stockctl env validate {name}",
    )
