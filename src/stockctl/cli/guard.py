"""Asking before something is touched that cannot be brought back by itself."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stockctl.cli.answer import typed
from stockctl.cli.session import Session
from stockctl.core.errors import ConfirmationMissing

Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="ENV", help="Answers the question by name.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; not enough where protected.")]
SkipBackup = Annotated[bool, typer.Option("--skip-backup", help="Take no backup first.")]
DataLoss = Annotated[bool, typer.Option("--allow-data-loss", help="Also drop what holds rows.")]
SkipHooks = Annotated[bool, typer.Option("--skip-hooks", help="Run no programs of [hooks].")]
Plan = Annotated[bool, typer.Option("--plan", help="Show what would happen, change nothing.")]


def confirm(
    session: Session, name: str, what: str, *, protected: bool, given: str | None, yes: bool
) -> None:
    """Returns when a person, `--confirm` or (where not protected) `--yes` said so.

    Raises ConfirmationMissing otherwise; without a terminal nobody is asked.
    """
    ways = f"--confirm {name}" + ("" if protected else " or --yes")
    if given is not None and given != name:  # also beside --yes: somebody means another one
        raise ConfirmationMissing(
            f"--confirm {given} is not the name of this environment", hint=f"Give {ways}."
        )
    if given == name or (yes and not protected):
        return
    if not can_ask(session):
        raise ConfirmationMissing(f"this would {what}; nobody confirmed it", hint=f"Give {ways}.")
    session.output.err.print(f"This will {session.output.clean(what)}.", soft_wrap=True)
    session.output.err.print(f"Type {name} to go on: ", end="")
    if typed().strip() != name:
        raise ConfirmationMissing("not confirmed: nothing was changed")


def can_ask(session: Session) -> bool:
    """Whether somebody sits at a terminal and may be asked."""
    return not (session.no_input or session.as_json) and sys.stdin.isatty()
