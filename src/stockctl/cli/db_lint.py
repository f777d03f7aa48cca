"""`stockctl db lint`."""

from __future__ import annotations

from typing import Annotated

import typer

from stockctl.cli.db import app, migrations_folder
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.verdict import Format, FormatOption, Strict, Told, choose_format, tell


@verb(
    app,
    "lint",
    example="stockctl db lint\nstockctl db lint staging --strict --since 0012"
    "\nstockctl db lint --format github",
    exits=(2, 3, 6),
    environment="none",
)
def lint_migrations(
    session: Session,
    environment: Annotated[
        str | None,
        typer.Argument(metavar="ENV", help="Whose migrations; default: where all share one folder"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="ID", help="Rules look at this one and later ones."),
    ] = None,
    strict: Strict = False,
    format_: FormatOption = Format.TEXT,
) -> Result:
    """Finds what in the migrations would hurt: locks, rewrites, what the running release misses.

    Looks at files only: no database, no env file is needed. Errors end it with exit 3; warnings
    and notes stop nothing. docs/lint.md says what each code means and how to accept a finding.
    """
    from stockctl.db.lint import RULES
    from stockctl.db.lint.run import lint
    from stockctl.system.local import LocalHost

    choose_format(session, format_)
    folder = migrations_folder(session, environment, say="its name, ENV")
    label = session.project().label
    found = lint(folder, LocalHost(), label, since)
    data = {"folder": label(folder), "migrations": found.migrations}
    told = Told([label(folder)], data, RULES, "docs/lint.md")
    return tell(session, told, found.findings, format_, strict=strict)
