"""`stockctl env`: generate · rotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli import env_sealing as _env_sealing  # noqa: F401  registers its verbs
from stockctl.cli.env import app
from stockctl.cli.guard import Confirm, Plan, Yes
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb

if TYPE_CHECKING:
    from stockctl.cli.secrets_work import Work
    from stockctl.env.generate import Plan as Filling
    from stockctl.env.generate import Rotated
    from stockctl.env.sheet import Sheet


@verb(app, "generate", example="stockctl env generate staging --plan", exits=(3, 4, 5, 6))
def generate(
    session: Session, name: str, plan: Plan = False, given: Confirm = None, yes: Yes = False
) -> Result:
    """Writes a strong value for each declared secret that is missing, empty or a placeholder.

    The rest of the env file stays as it is, byte for byte. A file that is not there is made from
    its example, else from what is declared.
    """
    from stockctl.cli.secrets_work import begin

    work = begin(session, name)
    _, text, todo = _filling(work)
    if plan:
        return _show_filling(work, todo, planned=True)
    if todo.placeholders:
        work.ask(f"replace {', '.join(todo.placeholders)} in {work.draft.label}", given, yes)
    if todo.secrets or text is not None:
        with work.alone("env generate"):
            todo = _fill(work, todo)
    return _show_filling(work, todo, planned=False)


@verb(
    app,
    "rotate",
    example="stockctl env rotate prod --key SESSION_SECRET --confirm prod",
    exits=(3, 4, 5, 6),
)
def rotate(
    session: Session,
    name: str,
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="A declared secret.")],
    plan: Plan = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Replaces one secret by a new strong value.

    Where `KEY_PREVIOUS` is declared the old value goes there, for applications that accept both
    until everybody has the new one.
    """
    from stockctl.cli.secrets_work import begin
    from stockctl.env.generate import require_rotatable

    work = begin(session, name)
    require_rotatable(work.draft.environment, key)
    if plan:
        return _show_rotated(work, key, _rotated(work.require(), key), planned=True)
    work.require()
    work.ask(f"replace {key} of {name}", given, yes)
    with work.alone(f"env rotate --key {key}"):
        done = _rotate(work, key)
    return _show_rotated(work, key, done, planned=False)


def _filling(work: Work) -> tuple[Sheet, str | None, Filling]:
    """The env file, the text to begin with where there is none, and what is to be filled in."""
    from stockctl.env.dotenv import read_env_file
    from stockctl.env.draft import example_of, other_form
    from stockctl.env.generate import first_text, plan_generate
    from stockctl.env.sheet import require_statements

    draft, sheet = work.draft, work.read()
    if sheet.raw is None:
        other_form(draft)
    source = example_of(draft)
    example = read_env_file(source, draft.project.label(source), draft.process) if source else None
    env, text = sheet.parsed(), None
    if sheet.raw is None:
        text = example.text.reveal() if example else first_text(draft.environment)
        env = example or sheet.parsed(text.encode())
    require_statements(env)
    known = example.values() if example else {}
    return sheet, text, plan_generate(draft.environment, env, known, new=sheet.raw is None)


def _fill(work: Work, confirmed: Filling) -> Filling:
    """Does it, under the lock; what is done."""
    from stockctl.core.errors import Refused
    from stockctl.env.generate import apply_plan
    from stockctl.env.sheet import write_sheet

    sheet, text, todo = _filling(work)
    if not {*todo.placeholders} <= {*confirmed.placeholders}:
        raise Refused("the env file was changed by somebody else meanwhile", hint="Run it again.")
    if not todo.secrets and text is None:
        return todo
    before = sheet.plain.decode("utf-8") if text is None else text
    plain = apply_plan(before, todo, work.draft.environment).encode("utf-8")
    work.learn(sheet.parsed(plain))
    write_sheet(sheet, plain)
    return todo


def _show_filling(work: Work, todo: Filling, *, planned: bool) -> Result:
    output, label = work.session.output, work.draft.label
    for key in todo.secrets:
        done = "would be generated" if planned else "generated"
        instead = " in place of a placeholder" if key in todo.placeholders else ""
        output.line(f"{key} {done}{instead}", style="green")
    for key, why in todo.missing:
        output.line(f"{key} is for you to set: {why}", style="yellow")
    if not todo.secrets:
        output.line(f"{label}: no secret is missing; nothing to generate")
    if todo.missing:
        output.note(f"→ stockctl env edit {work.draft.name}", style="cyan")
    data = {
        "generated": [] if planned else list(todo.secrets),
        "missing": [key for key, _ in todo.missing],
        "file": label,
    }
    return Result({**data, "planned": list(todo.secrets)} if planned else data)


def _rotated(sheet: Sheet, key: str) -> Rotated:
    from stockctl.env.generate import rotate
    from stockctl.env.sheet import require_statements

    env = sheet.parsed()
    require_statements(env)
    return rotate(
        sheet.draft.environment, env, key, lambda text: sheet.parsed(text.encode("utf-8"))
    )


def _rotate(work: Work, key: str) -> Rotated:
    """Does it, under the lock, on what the one before has left."""
    from stockctl.cli.secrets_work import revealed
    from stockctl.env.sheet import write_sheet

    sheet = work.require()
    done = _rotated(sheet, key)
    work.learn(sheet.parsed(revealed(done.text)))
    write_sheet(sheet, revealed(done.text))
    return done


def _show_rotated(work: Work, key: str, done: Rotated, *, planned: bool) -> Result:
    output, draft = work.session.output, work.draft
    would = "would have" if planned else "has"
    output.line(f"{key} {would} a new value in {draft.label}", style="green")
    if done.previous:
        output.line(f"{done.previous} {would} the old one")
    else:
        output.note(f"the old value is not kept: {done.why_not_kept}")
    for holder in done.holds_old:
        work.session.progress().warn(f"{holder} has the old value inside and keeps it: change it")
    if done.database:
        output.note(
            f"→ the database does not know it yet: \\password in psql, as the user that {key}"
            " belongs to; then deploy at once",
            style="cyan",
        )
    output.note(f"→ stockctl deploy {draft.name}, until then the old one is in use", style="cyan")
    data = {"key": key, "previous_key": done.previous, "file": draft.label}
    return Result({**data, "holding_old": list(done.holds_old)})
