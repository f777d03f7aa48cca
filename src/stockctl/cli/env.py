"""`stockctl env`: list · show · validate."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from stockctl.cli.output import Row
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import group, verb
from stockctl.core.errors import ConfigurationError, UsageError
from stockctl.core.report import Severity

app = group("What the environments are, and whether they are sound.")


class Format(StrEnum):
    """How findings are shown."""

    TEXT = "text"
    JSON = "json"


@verb(app, "list", example="stockctl env list", exits=(2,), environment="none")
def list_environments(session: Session) -> Result:
    """Shows every environment of the project, also one whose file is broken."""
    from stockctl.env.layers import read_layers

    project = session.project()
    found = []
    for name in project.names():
        layers = read_layers(project, name)
        file = project.label(project.file(name))
        sound = not layers.findings
        protected = layers.data.get("protected") is True if sound else None
        found.append({"name": name, "protected": protected, "file": file})
    shown = {True: "yes", False: "no", None: "cannot be read"}
    rows = [Row((e["name"], shown[e["protected"]], e["file"])) for e in found]  # type: ignore[arg-type, index]
    session.output.table(("NAME", "PROTECTED", "FILE"), rows, "no environments yet")
    return Result({"environments": found})


@verb(app, "show", example="stockctl env show staging", exits=(2, 3))
def show(session: Session, name: str) -> Result:
    """Shows what an environment comes to, and where each value was written. Secrets are masked."""
    from stockctl.cli.wiring import open_environment
    from stockctl.env.load import dotted
    from stockctl.env.masking import is_shown

    opened = open_environment(session, name)
    layers, env_file = opened.loaded.layers, opened.loaded.env_file
    resolved = opened.environment.model_dump(mode="json", by_alias=True, exclude_none=True)
    resolved.pop("variables")
    sources = {dotted(path): str(where) for path, where in layers.sources.items()}
    for key, value in _leaves(resolved, ""):
        text = json.dumps(value, ensure_ascii=False)
        session.output.line(f"{key} = {text}  ({sources.get(key, 'default')})")
    declared = opened.environment.variables
    values = {}
    for binding in env_file.bindings if env_file else ():
        shown = is_shown(binding.key, binding.value, declared.get(binding.key))
        values[binding.key] = binding.value.reveal() if shown else str(binding.value)
        sources[binding.key] = str(binding.where)
        session.output.line(f"{binding.key}={values[binding.key]}  ({binding.where})")
    return Result({"environment": {**resolved, "values": values}, "sources": sources})


@verb(
    app,
    "validate",
    example="stockctl env validate staging prod\nstockctl env validate --all --strict",
    exits=(2, 3),
    environment="none",
)
def validate_environments(
    session: Session,
    environments: Annotated[
        list[str] | None, typer.Argument(metavar="ENV…", help="Default: as everywhere.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every environment of the project.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    format_: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.TEXT,
) -> Result:
    """Finds everything that is wrong with an environment before something is built on it.

    All findings come at once, each with file, line and what to do. Values are never shown.
    """
    from stockctl.env.validate import validate

    if all_ and environments:
        raise UsageError("give either names or --all")
    session.as_json = session.as_json or format_ is Format.JSON
    session.output.as_json = session.as_json
    project = session.project()
    wanted: list[str | None] = [*environments] if environments else [None]
    names = project.names() if all_ else [session.choose(each) for each in wanted]
    if not names:
        raise UsageError("there is no environment to validate", hint="stockctl env list")
    session.environment = names[0] if len(names) == 1 else None
    findings = validate(project, names, os.environ)
    errors = [f for f in findings if f.severity is Severity.ERROR or strict]
    if errors:
        many = f"{len(errors)} error{'s' * (len(errors) != 1)}"
        raise ConfigurationError(f"{', '.join(names)}: {many}", findings=findings)
    session.output.findings(findings)
    session.output.line(f"{', '.join(names)}: sound", style="green")
    return Result({"environments": names}, findings)


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    """The values of a nested document with their dotted keys."""
    if isinstance(value, dict) and value:
        inner = [(f"{path}.{key}" if path else key, item) for key, item in value.items()]
        return [leaf for key, item in inner for leaf in _leaves(item, key)]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [leaf for i, item in enumerate(value) for leaf in _leaves(item, f"{path}[{i}]")]
    return [(path, value)]


from stockctl.cli import env_project as _env_project  # noqa: E402, F401  registers its verbs
