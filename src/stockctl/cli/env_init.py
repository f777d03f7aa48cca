"""`env init` on the terminal: asks, writes, tells. What comes of it: stockctl.env.init."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from stockctl.cli.answer import typed
from stockctl.cli.env_scene import SHORTEST_HIDDEN, Scene
from stockctl.cli.guard import can_ask
from stockctl.cli.session import Result, Session
from stockctl.core.errors import ConfigurationError, UsageError
from stockctl.core.report import Severity
from stockctl.core.secret import Secret
from stockctl.core.units import counted
from stockctl.env.generate import strong_value
from stockctl.env.init.answers import Answers, Question, Unanswered
from stockctl.env.init.creation import create, ignore_change, refuse_existing
from stockctl.env.init.plan import InitPlan, check_name, plan
from stockctl.env.variable import Variable


def settle(
    session: Session, scene: Scene, given: Sequence[str], answers: Answers
) -> tuple[list[str], InitPlan]:
    """Asks until nothing is open. Raises UsageError where nobody can be asked."""
    if scene.around.base is not None and answers.settings():
        raise UsageError(
            f"{', '.join(answers.settings())}: environments/base.toml is there, and says it",
            hint="Change it there.",
        )
    names = list(dict.fromkeys(given))
    if not names:
        question = Question("", "What is the environment called?", "ENV", default="prod")
        if not can_ask(session):
            raise UsageError("which environment?", hint="Like this: stockctl env init prod")
        names = [_ask(session, question)]
    for name in names:
        check_name(name)
        suffixes = (f"{name}.toml", f".env.{name}", f".env.{name}.example", f"{name}.env.age")
        refuse_existing(scene.project.folder, suffixes)
    made = _plan(session, scene, names, answers)
    refuse_existing(scene.project.folder, [file.name for file in made.files])
    hidden = (each for each in made.secrets if len(each) >= SHORTEST_HIDDEN)
    session.output.redactor.learn(hidden)
    return names, made


def tell(session: Session, scene: Scene, names: Sequence[str], made: InitPlan) -> Result:
    """`--plan`: the files as they would be, without the secrets in them."""
    for file in made.files:
        session.output.line(f"# {scene.project.folder.name}/{file.name}", style="bold")
        _show(session, file.shown)
    return _result(session, scene, names, made)


def write(session: Session, scene: Scene, names: list[str], made: InitPlan) -> Result:
    """Writes them, and says whether `env validate` likes what it sees."""
    from stockctl.cli.gate import tracked_by_git
    from stockctl.env.validate import validate

    result = _result(session, scene, names, made)
    create(scene.project.folder, made.files)
    for path in result.data["files"]:
        session.output.line(path)
    validation = validate(scene.project, names, os.environ, tracked_by_git)
    session.output.redactor.learn(validation.secrets)
    session.output.findings(validation.findings)
    errors = sum(each.severity is Severity.ERROR for each in validation.findings)
    if errors:
        many = counted(errors, "error")
        session.output.line(f"written, but {', '.join(names)} has {many}", style="bold red")
        return Result(result.data, validation.findings, exit_code=ConfigurationError.exit_code)
    session.output.line(f"{', '.join(names)}: sound", style="green")
    return Result(result.data, validation.findings)


def _result(session: Session, scene: Scene, names: Sequence[str], made: InitPlan) -> Result:
    folder = scene.project.folder.name
    notes = [*scene.notes, *made.notes]
    for note in notes:
        session.output.note(f"note: {note}")
    files = [f"{folder}/.gitignore"] if ignore_change(scene.project.folder) else []
    files += [f"{folder}/{file.name}" for file in made.files]
    found = [{"name": name, "file": f"{folder}/{name}.toml"} for name in names]
    session.environment = names[0] if len(names) == 1 else None
    return Result({"environments": found, "files": files, "notes": notes})


def _show(session: Session, text: str) -> None:
    """As it is: what looks like a secret to the redactor (`secret = true`) is none, since values
    of secrets are not in it."""
    for line in [] if session.as_json else text.split("\n"):
        shown = "".join(each for each in line if each.isprintable())
        session.output.out.print(shown, soft_wrap=True)


def _plan(session: Session, scene: Scene, names: Sequence[str], answers: Answers) -> InitPlan:
    while True:
        try:
            return plan(scene.survey, names, answers, scene.around, _make)
        except Unanswered as unanswered:
            if not can_ask(session):
                _unanswered(unanswered.questions)
            for question in unanswered.questions:
                answers = _answered(session, answers, question)


def _answered(session: Session, answers: Answers, question: Question) -> Answers:
    while True:
        said = _ask(session, question)
        try:
            return answers.with_answer(question, said)
        except ValueError as wrong:
            session.output.err.print(f"expected {wrong}")


def _ask(session: Session, question: Question) -> str:
    """What was typed, or the default. Raises UsageError at the end of the input."""
    shown = f" ({', '.join(question.candidates)})" if question.candidates else ""
    default = f" [{question.default}]" if question.default else ""
    text = f"{session.output.clean(question.text + shown + default)} "
    if question.secret:
        from getpass import getpass

        try:
            return getpass(text, stream=sys.stderr)
        except EOFError:
            _unanswered([question])
    session.output.err.print(text, end="", soft_wrap=True)
    line = typed()
    if not line:
        _unanswered([question])
    return line.strip() or question.default


def _unanswered(questions: Sequence[Question]) -> NoReturn:
    said = "; ".join(
        each.text + (f" Candidates: {', '.join(each.candidates)}." if each.candidates else "")
        for each in questions
    )
    flags = "\n".join(dict.fromkeys(f"Give {each.flag}" for each in questions))
    raise UsageError(said, hint=flags)


def _make() -> Secret:
    return Secret(strong_value(Variable(type="secret")))
