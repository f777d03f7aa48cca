"""`stockctl deploy preflight`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.deploy import Image, Tag, app, what_to_deploy
from stockctl.cli.gate import count_errors
from stockctl.cli.gates import (
    ask_people,
    candidate_of,
    gate_data,
    preflight_of,
    quietly,
    show_gates,
)
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import Refused, UsageError

if TYPE_CHECKING:
    from stockctl.deploy.preflight.gate import Preflight


@verb(
    app,
    "preflight",
    example="stockctl deploy preflight prod --tag 1.4.0"
    '\nstockctl deploy preflight prod --answer on-call="Ada, until Monday"',
    exits=(2, 3, 4, 6),
)
def preflight(
    session: Session,
    name: str,
    tag: Tag = None,
    reference: Image = None,
    answers: Annotated[
        list[str] | None,
        typer.Option("--answer", metavar="GATE=TEXT", help="Answers a question; may be repeated."),
    ] = None,
) -> Result:
    """Asks every gate that a deploy would have to pass, and says what to do about red ones.

    Nothing is changed but what `--answer` says. Exit 4 where one is red. docs/gates.md
    """
    from stockctl.deploy.preflight.run import preflight

    opened = open_environment(session, name)
    with opened.site() as site:
        version, image, commit = what_to_deploy(session, site, tag, reference)
        build = not reference and bool(site.service.build)
        candidate = candidate_of(version, image, commit, build=build)
        errors = count_errors(session, name)
        with preflight_of(opened, quietly(site), candidate, errors) as what:
            _answer(what, answers or [])
            ask_people(session, what)
            with session.progress().step("gates") as step:
                gates = preflight(what)
                step.ok = all(gate.ok for gate in gates)
    show_gates(session, gates)
    red = sum(not gate.ok for gate in gates)
    said = f"{red} of {len(gates)} gates are red" if red else f"{len(gates)} gates are green"
    session.output.line(said, style="bold red" if red else "green")
    data = {"gates": [gate_data(gate) for gate in gates], "version": version}
    return Result(data, exit_code=Refused.exit_code if red else 0)


def _answer(what: Preflight, answers: list[str]) -> None:
    from stockctl.deploy.preflight.own import answer
    from stockctl.env.gate_settings import ON_CALL

    questions = what.settings.questions
    for given in answers:
        name, _, text = given.partition("=")
        if name not in questions:
            known = ", ".join(questions) or "none"
            raise UsageError(f"no question is called {name}", hint=f"There are: {known}.")
        if name == ON_CALL and not text.strip():
            raise UsageError("on-call wants a name", hint=f'--answer {ON_CALL}="Ada, 555-0100"')
    for given in answers:
        name, _, text = given.partition("=")
        answer(what, name, text.strip() or "yes")
