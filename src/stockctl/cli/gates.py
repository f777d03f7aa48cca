"""What `deploy ENV` and `deploy preflight` share: building, showing and passing the gates."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.answer import typed
from stockctl.cli.guard import can_ask
from stockctl.cli.session import Session
from stockctl.core.errors import ConfigurationError, UsageError
from stockctl.core.progress import Progress, silent
from stockctl.core.units import format_instant

if TYPE_CHECKING:
    from stockctl.cli.wiring import Opened
    from stockctl.deploy.image import Commit
    from stockctl.deploy.preflight.gate import Candidate, Gate, Preflight
    from stockctl.deploy.site import Site

Override = Annotated[
    list[str] | None,
    typer.Option("--override", metavar="GATE", help="Go on although this gate is red."),
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is journalled.")
]
_NAME_WIDTH = 18  # columns


@contextmanager
def preflight_of(
    opened: Opened, site: Site, candidate: Candidate, errors: int = 0
) -> Iterator[Preflight]:
    """Opens the environment of `gates.staging` as well, for as long as the block runs."""
    from stockctl.deploy.preflight.gate import Preflight
    from stockctl.system.local import LocalHost

    with ExitStack() as stack:
        yield Preflight(
            site=site,
            store=opened.store(),
            candidate=candidate,
            stage=_stage(opened, stack),
            here=LocalHost(),
            root=opened.session.project().root,
            errors=errors,
        )


def candidate_of(version: str, reference: str, commit: Commit | None, *, build: bool) -> Candidate:
    """What is about to be deployed, as gates look at it."""
    from stockctl.deploy.image import built_from, is_dirty
    from stockctl.deploy.preflight.gate import Candidate

    dirty, made_of = is_dirty(commit, build=build), built_from(commit, build=build)
    return Candidate(version, reference, build, dirty, made_of)


def _stage(opened: Opened, stack: ExitStack) -> Site | None:
    from stockctl.cli.wiring import open_environment
    from stockctl.env.needs import RELEASES

    name = opened.environment.gates.staging
    if name is None:
        return None
    where = opened.loaded.layers.where(("gates", "staging"))
    if name == opened.environment.name or name not in opened.session.project().names():
        raise ConfigurationError(f"gates.staging: no other environment {name}", where=where)
    other = open_environment(opened.session, name, needs=RELEASES)
    return stack.enter_context(other.site())


def overrides_of(names: Sequence[str] | None, reason: str | None) -> dict[str, str]:
    """Gate → reason. Raises UsageError for one without the other."""
    if names and not (reason and reason.strip()):
        raise UsageError("--override needs --reason TEXT: somebody will ask")
    if reason and not names:
        raise UsageError("--reason is for --override GATE")
    return dict.fromkeys(names or (), reason or "")


def pass_gates(
    opened: Opened, site: Site, candidate: Candidate, overrides: dict[str, str], *, plan: bool
) -> None:
    """Before anything is touched. Raises Refused; a plan only shows what is red."""
    from stockctl.deploy.preflight.run import preflight, require

    with preflight_of(opened, quietly(site) if plan else site, candidate) as what:
        if not plan:
            ask_people(opened.session, what, overrides)
        with what.site.progress.step("gates") as step:
            gates = preflight(what, overrides)
            red = [gate.name for gate in gates if not gate.passes]
            step.ok = not red
        if plan:
            said = f"RED: {', '.join(red)}" if red else f"{len(gates)} green"
            opened.session.output.note(f"gates     {said}")
        else:
            require(what, gates)


def ask_people(session: Session, what: Preflight, overridden: Container[str] = ()) -> None:
    """At a terminal, the questions that nobody has answered, or not lately.
    Nothing typed is no answer: that gate is red."""
    from stockctl.deploy.preflight.own import answer, question

    if not can_ask(session):
        return
    for name, person in what.settings.questions.items():
        if name in overridden or question(what, name, person).ok:
            continue
        session.output.err.print(f"{session.output.clean(person.ask)} ", end="", soft_wrap=True)
        said = typed().strip()
        if said:
            answer(what, name, said)


def quietly(site: Site) -> Site:
    """The same, where the gates are shown as a list of their own."""
    return replace(site, progress=Progress(silent, site.clock))


def show_gates(session: Session, gates: Sequence[Gate]) -> None:
    """One line each, and what to do below a red one."""
    line = session.output.line
    for gate in gates:
        mark, style = (
            ("✓", "green") if gate.ok else ("!", "yellow") if gate.passes else ("✗", "red")
        )
        first, *more = gate.detail.splitlines() or [""]
        line(f"{mark} {gate.name:<{_NAME_WIDTH}}{first}", style=style)
        for text in more:
            line(f"  {'':<{_NAME_WIDTH}}{text}")
        if gate.overridden:
            line(f"  {'':<{_NAME_WIDTH}}overridden: {gate.overridden}", style="yellow")
        elif not gate.ok and gate.fix:
            line(f"  {'':<{_NAME_WIDTH}}→ {gate.fix}", style="cyan")


def gate_data(gate: Gate) -> dict[str, Any]:
    """For `--json`."""
    return {
        "name": gate.name,
        "ok": gate.ok,
        "detail": gate.detail,
        "since": format_instant(gate.since) if gate.since else None,
        "fix": gate.fix,
        "overridden": gate.overridden or None,
    }
