"""`stockctl env`: list · show · validate."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from stockctl.cli.session import Result, Session
from stockctl.cli.table import Row
from stockctl.cli.verb import group, verb
from stockctl.cli.verdict import Format, FormatOption, Strict, Told, choose_format, tell
from stockctl.core.errors import UsageError
from stockctl.env.project import Project

app = group(
    "What the environments are, and whether they are sound.",
    beside=("stockctl.cli.env_project", "stockctl.cli.env_secrets"),
)


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
    """Shows what an environment comes to, and where each value was written. Secrets are masked.

    What nobody wrote has its default.
    """
    from stockctl.cli import env_tree
    from stockctl.cli.wiring import open_environment
    from stockctl.env.document import dotted
    from stockctl.env.masking import is_shown

    opened, output = open_environment(session, name), session.output
    environment, env_file = opened.environment, opened.loaded.env_file
    resolved = environment.model_dump(mode="json", by_alias=True, exclude_none=True)
    resolved.pop("variables")
    values, written, places = {}, {}, opened.loaded.layers.sources
    for binding in env_file.bindings if env_file else ():
        shown = is_shown(binding.key, binding.value, environment.variables.get(binding.key))
        values[binding.key] = binding.value.reveal() if shown else str(binding.value)
        written[binding.key] = binding.where
    title = " · ".join(filter(None, [name, environment.kind, environment.protected * "protected"]))
    rows = env_tree.rows(title, resolved, places, str(session.project().root.resolve()))
    rows += env_tree.variables(env_file.label if env_file else "", values, written)
    output.lines(env_tree.lines(rows, output.clean, output.width))
    sources = {dotted(path): str(where) for path, where in places.items()}
    sources |= {key: str(where) for key, where in written.items()}
    return Result({"environment": {**resolved, "values": values}, "sources": sources})


@verb(
    app,
    "validate",
    example="stockctl env validate staging prod\nstockctl env validate --all --strict"
    "\nstockctl env validate --all --format github",
    exits=(2, 3),
    environment="none",
)
def validate_environments(
    session: Session,
    environments: Annotated[
        list[str] | None, typer.Argument(metavar="ENV…", help="Default: as everywhere.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every environment of the project.")] = False,
    strict: Strict = False,
    format_: FormatOption = Format.TEXT,
) -> Result:
    """Finds everything that is wrong with an environment before something is built on it.

    All findings come at once, each with file, line and what to do. Values are never shown.
    Warnings and notes stop nothing; docs/rules.md says what each code means.
    """
    from stockctl.cli.gate import tracked_by_git
    from stockctl.env.rules import RULES
    from stockctl.env.validate import validate

    choose_format(session, format_)
    project = session.project()
    names = _chosen(session, project, environments or [], all_)
    validation = validate(project, names, os.environ, tracked_by_git)
    session.output.redactor.learn(validation.secrets)
    told = Told(names, {"environments": names}, RULES, "docs/rules.md")
    return tell(session, told, validation.findings, format_, strict=strict)


def _chosen(session: Session, project: Project, given: list[str], all_: bool) -> list[str]:
    """The environments that are meant. Raises UsageError where there is none."""
    if all_ and given:
        raise UsageError("give either names or --all")
    wanted: list[str | None] = [*given] if given else [None]
    names = project.names() if all_ else [session.choose(each) for each in wanted]
    if not names:
        raise UsageError("there is no environment to validate", hint="stockctl env list")
    names = list(dict.fromkeys(names))
    session.environment = names[0] if len(names) == 1 else None
    return names
