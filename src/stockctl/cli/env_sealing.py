"""`stockctl env`: seal · unseal · edit."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.env import app
from stockctl.cli.guard import Confirm, Plan, Yes
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb

if TYPE_CHECKING:
    from stockctl.cli.secrets_work import Work
    from stockctl.env.sealing import Done
    from stockctl.env.sheet import Sheet


@verb(app, "seal", example="stockctl env seal prod", exits=(3, 4, 5, 6))
def seal(
    session: Session,
    name: str,
    recipient: Annotated[
        list[str] | None,
        typer.Option("--recipient", metavar="KEY", help="One more public key, this once."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Seal anew, for who is in [seal.recipients] now.")
    ] = False,
    plan: Plan = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Turns the env file into an age file that is safe to commit; `[seal.recipients]` can open it.

    The plaintext goes once the sealed file is seen to open here. Run it again after it was
    interrupted: it completes.
    """
    from stockctl.cli.secrets_work import begin
    from stockctl.env.draft import plain_path, sealed_path
    from stockctl.env.sealing import already_sealed, seal_env_file

    work = begin(session, name)
    target = work.draft.project.label(sealed_path(work.draft))
    sealed = already_sealed(work.draft) and not again
    if plan:
        what = "again" if work.draft.label == target else f"as {target}"
        return _planned(work, target, f"{work.draft.label} would be sealed {what}", sealed)
    if sealed and not plain_path(work.draft).exists():
        return _planned(work, target, "", nothing=True)
    if not sealed:
        work.ask(f"seal {work.draft.label} as {target}", given, yes)
    with work.alone("env seal"):
        done = seal_env_file(work.draft, recipient or (), again=again)
    return _show(session, done, f"{target} is sealed", f"{target} is sealed already")


@verb(app, "unseal", example="stockctl env unseal staging", exits=(3, 4, 5, 6))
def unseal(
    session: Session, name: str, plan: Plan = False, given: Confirm = None, yes: Yes = False
) -> Result:
    """Turns a sealed env file back into a plain one, mode 0600. The sealed one stays as it is."""
    from stockctl.cli.secrets_work import begin
    from stockctl.env.draft import plain_path
    from stockctl.env.sealing import unseal_env_file
    from stockctl.env.vault import is_sealed

    work = begin(session, name)
    target = work.draft.project.label(plain_path(work.draft))
    plain = not is_sealed(work.draft.path) and work.draft.path.exists()
    if plan or plain:
        return _planned(work, target, f"{work.draft.label} would be opened as {target}", plain)
    work.ask(f"write {target} in the clear", given, yes)
    with work.alone("env unseal"):
        done = unseal_env_file(work.draft)
    return _show(session, done, f"{target} is in the clear", f"{target} is in the clear already")


@verb(app, "edit", example="stockctl env edit prod", exits=(3, 4, 5, 6))
def edit(session: Session, name: str, given: Confirm = None, yes: Yes = False) -> Result:
    """Opens the env file in $VISUAL or $EDITOR and puts back what you made of it, sealed or plain.

    The plaintext is in a private folder, in memory where there is one, for as long as the editor
    runs. What does not parse is not taken.
    """
    from stockctl.cli.editor import edited
    from stockctl.cli.secrets_work import begin
    from stockctl.env.sheet import write_sheet

    work = begin(session, name)
    sheet = work.require()
    work.ask(f"edit {work.draft.label}", given, yes)
    _require_recipients(sheet)
    new = edited(
        session, f"{name}.env", sheet.plain, os.environ, lambda plain: _accept(work, sheet, plain)
    )
    if new != sheet.plain:
        with work.alone("env edit"):
            write_sheet(sheet, new)
    changed = new != sheet.plain
    said = f"{work.draft.label} is " + ("changed" if changed else "as it was: nothing was changed")
    session.output.line(said, style="green" if changed else "")
    if not changed:
        session.output.note("an editor that opens a window must be told to wait: code --wait")
    env_file = work.draft.written
    return Result({"file": work.draft.label, "env_file": env_file, "changed": changed})


def _require_recipients(sheet: Sheet) -> None:
    """Raises ConfigurationError where nothing could be sealed, before somebody works in vain."""
    from stockctl.env.vault import seal

    if sheet.sealed:
        seal(b"", sheet.draft.environment.seal.recipients)


def _accept(work: Work, sheet: Sheet, plain: bytes) -> bool:
    """Whether the editor's result is taken; False: the person goes on editing.

    Raises ConfigurationError where it does not parse and nobody wants to, or can be asked.
    """
    from stockctl.cli.answer import typed
    from stockctl.core.errors import ConfigurationError
    from stockctl.env.sheet import require_statements

    if plain == sheet.plain:
        return True
    session = work.session
    try:
        require_statements(work.learn(sheet.parsed(plain)))
    except ConfigurationError as error:
        error.message += "; nothing was changed"
        if session.no_input or session.as_json or not sys.stdin.isatty():
            raise
        session.output.findings(error.findings)
        session.output.err.print("Go on editing? [Y/n] ", end="")
        if typed().strip().lower() not in ("", "y", "yes"):
            raise
        return False
    return True


def _planned(work: Work, target: str, said: str, nothing: bool) -> Result:
    work.session.output.line(f"{target} is as you want it: nothing to do" if nothing else said)
    return Result({"file": target, "env_file": work.draft.written, "changed": False})


def _show(session: Session, done: Done, changed: str, unchanged: str) -> Result:
    session.output.line(changed if done.changed else unchanged, "green" if done.changed else "")
    for note in done.notes:
        session.output.note(note)
    for warning in done.warnings:
        session.progress().warn(warning)
    return Result({"file": done.file, "env_file": done.env_file, "changed": done.changed})
