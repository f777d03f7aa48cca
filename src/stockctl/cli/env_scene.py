"""What `env init` finds in a folder: compose files, their variables, other environments."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockctl.cli.session import Session
from stockctl.core.command import Command
from stockctl.core.errors import (
    ConfigurationError,
    EngineUnavailable,
    NoProject,
    Refused,
    ToolFailed,
    UsageError,
    Where,
)
from stockctl.core.secret import Secret
from stockctl.env.compose_file import ComposeFile, read_compose_file
from stockctl.env.dotenv import EnvFile, read_env_file
from stockctl.env.init.plan import Around, BaseNeeds
from stockctl.env.init.survey import Survey, survey
from stockctl.env.layers import read_layers
from stockctl.env.load import references, try_load
from stockctl.env.masking import is_secret
from stockctl.env.project import BASE, Project
from stockctl.system import compose_survey
from stockctl.system.local import LocalHost

# As Compose looks for them; https://docs.docker.com/compose/intro/compose-application-model/
_STANDARD = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = (
    *("compose.override.yaml", "compose.override.yml"),
    *("docker-compose.override.yml", "docker-compose.override.yaml"),
)
COMPOSE_S = 60.0
SHORTEST_HIDDEN = 12  # characters: the `postgres` of a developer's .env is a word like any other


@dataclass(frozen=True, slots=True)
class Scene:
    """What was found in the folder."""

    project: Project
    survey: Survey
    around: Around
    notes: tuple[str, ...]

    def relative(self, path: Path) -> str:
        """As a TOML file names it; `environments/` may be a link to somewhere else."""
        return _relative(path, self.project.folder)

    def folder_option(self, flag: str, folder: Path | None) -> str | None:
        """Raises UsageError where there is no such folder."""
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{flag}: there is no folder {folder}")
        return self.relative(folder) if folder is not None else None

    def migrations(self, named: Path | None) -> str | None:
        """The folder that is named, else `migrations/` where it is one of SQL files."""
        usual = self.project.root / "migrations"
        if named is None and usual.is_dir():
            files = [each.suffix for each in usual.iterdir() if not each.name.startswith(".")]
            named = usual if all(suffix == ".sql" for suffix in files) else None
        return self.folder_option("--migrations", named)


def look(session: Session, named: Sequence[Path]) -> Scene:
    """Raises UsageError, ConfigurationError and ToolFailed."""
    project = Project(_root(session))
    base = _base(project)
    files = [Path.cwd() / file for file in named] or _base_compose(base) or _standard(project.root)
    raw = _read(project, files)
    document, variables = _ask_compose(files, project.root)
    home = files[0].parent
    dotenv = _env_file(project, home / ".env").values() if (home / ".env").exists() else {}
    hidden = (v for k, v in dotenv.items() if is_secret(k, v, None) and len(v) >= SHORTEST_HIDDEN)
    session.output.redactor.learn(hidden)
    plain = {key: value.reveal() for key, value in dotenv.items()}
    found = survey(
        document,
        home.resolve().name,
        variables,
        [reference for each in raw for reference in each.references],
        plain,
    )
    around = Around(
        compose=tuple(_relative(file, project.folder) for file in files),
        prefix=_relative(home, project.folder),
        dotenv=dotenv,
        read=_own_env_files(project, home, found),
        process=os.environ,
        others=_others(project),
        base=None if base is None else _base_needs(base),
    )
    return Scene(project, found, around, _taken_along(files, raw, named))


def _read(project: Project, files: Sequence[Path]) -> list[ComposeFile]:
    """As the rules do, who say which line is broken. Raises ConfigurationError."""
    raw = [read_compose_file(file, project.label(file)) for file in files]
    findings = [finding for each in raw for finding in each.findings]
    if findings:
        raise ConfigurationError("the compose files cannot be read", findings=findings)
    return raw


def _root(session: Session) -> Path:
    """`--root`, else $STOCKCTL_ROOT, else the folder that we are in: no `environments/` is there
    yet that could be looked for."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise NoProject("the folder you are in is gone", hint="Go into the project.") from None
    root = here / (session.root or os.environ.get("STOCKCTL_ROOT") or ".")
    if not root.is_dir():
        raise NoProject(f"there is no folder {session.root or root}")
    folder = Project(root).folder
    if os.path.lexists(folder) and not folder.is_dir():
        raise Refused(f"{folder} is there and is no folder", hint="Move it away.")
    return root.resolve()


def _standard(root: Path) -> list[Path]:
    first = next((root / name for name in _STANDARD if (root / name).is_file()), None)
    if first is None:
        raise UsageError(
            f"no compose file in {root}",
            hint="Go to where it is, or name it: stockctl env init ENV --compose FILE",
        )
    override = next((root / name for name in _OVERRIDES if (root / name).is_file()), None)
    return [first, *([override] if override else [])]


def _taken_along(
    files: Sequence[Path], raw: Sequence[ComposeFile], named: Sequence[Path]
) -> tuple[str, ...]:
    if named or len(files) < 2 or files[-1].name not in _OVERRIDES:
        return ()
    return (
        f"{raw[-1].label} is taken along, as Compose does; is it for development only?"
        f" --compose {files[0].name} leaves it out",
    )


def _base(project: Project) -> dict[str, Any] | None:
    if not os.path.lexists(project.file(BASE)):
        return None
    layers = read_layers(project, BASE)
    if layers.findings:
        raise ConfigurationError("base.toml cannot be read", findings=layers.findings)
    return layers.data


def _base_compose(base: dict[str, Any] | None) -> list[Path]:
    service = (base or {}).get("service")
    files = service.get("compose") if isinstance(service, dict) else None
    return [Path(str(file)) for file in files] if isinstance(files, list) else []


def _base_needs(base: dict[str, Any]) -> BaseNeeds:
    declared = base.get("variables")
    items = declared.items() if isinstance(declared, dict) else ()
    rules = {key: each for key, each in items if isinstance(each, dict)}
    required = [key for key, each in rules.items() if each.get("required")]
    return BaseNeeds(
        tuple(dict.fromkeys([*required, *sorted(references(base))])),
        tuple(key for key, each in rules.items() if each.get("type") == "secret"),
    )


def _others(project: Project) -> dict[str, dict[str, Secret]]:
    """The values of those that run compose services; a broken one counts as such."""
    attempts = {name: try_load(project, name, os.environ).loaded for name in project.names()}
    return {
        name: loaded.env_file.values() if loaded and loaded.env_file else {}
        for name, loaded in attempts.items()
        if loaded is None or loaded.environment.service is not None
    }


def _ask_compose(files: Sequence[Path], root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    document = _run(compose_survey.merged(files, root))
    return document, _run(compose_survey.variables(files, root))


def _run(command: Command) -> dict[str, Any]:
    done = LocalHost().run(command, timeout_s=COMPOSE_S, check=False)
    if "is not a docker command" in done.stderr or "unknown shorthand flag" in done.stderr:
        raise EngineUnavailable(
            "Docker Compose v2 is not on this machine",
            hint="Install Docker's Compose plugin; then this works: docker compose version",
        )
    if not done.ok:
        raise ConfigurationError("Docker Compose refuses the compose files", details=done.stderr)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ToolFailed("docker compose config printed something that is not a configuration")
    return document


def _env_file(project: Project, path: Path) -> EnvFile:
    """Raises ConfigurationError where a value would be guessed."""
    read = read_env_file(path, project.label(path), os.environ)
    if read.findings:
        raise ConfigurationError(f"{read.label} cannot be read", findings=read.findings)
    if read.broken:
        raise ConfigurationError(
            "this line does not parse: KEY=value is expected, with its quotes closed",
            where=Where(read.broken[0].where.file, read.broken[0].where.line),
        )
    return read


def _own_env_files(project: Project, home: Path, found: Survey) -> dict[str, dict[str, Secret]]:
    values: dict[str, dict[str, Secret]] = {}
    for part in found.parts.values():
        for name in part.env_files if part.kind == "postgres" else ():
            if (home / name).is_file():
                values.setdefault(part.name, {}).update(_env_file(project, home / name).values())
    return values


def _relative(path: Path, folder: Path) -> str:
    """As a TOML file in `folder` names it."""
    there = path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()
    shown = Path(os.path.relpath(there, folder.resolve())).as_posix()
    if not shown.isprintable():  # a byte that is no UTF-8, say
        raise UsageError(f"{shown!r} cannot be written into a TOML file", hint="Rename it.")
    return shown
