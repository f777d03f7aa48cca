"""Gates of the project: programs that must end with 0, and questions that people answer."""

from __future__ import annotations

from stockctl.core.command import Command
from stockctl.core.units import format_age, format_duration
from stockctl.deploy.evidence import Evidence
from stockctl.deploy.preflight.gate import SKEW_S, Gate, Preflight, ahead, fresh
from stockctl.env.gate_settings import CommandGate, PersonGate
from stockctl.system.journal_file import operator

SHOWN_LINES = 8  # the last ones of a program that failed


def program(preflight: Preflight, name: str, settings: CommandGate) -> Gate:
    """Run, unless it passed for this version not too long ago; always, and for nobody later, where
    the working tree differs from its commit. Raises ToolMissing, DeadlineExceeded."""
    what, now = preflight.candidate.identity, preflight.site.clock.now()
    kind = f"command-{name}"
    dirty = preflight.candidate.dirty
    before = None if dirty else preflight.evidence.get(kind)
    if before and before.ok and before.of == what:
        age = preflight.age_s(before.at)
        if fresh(age, settings.fresh_for):
            return Gate(
                name, True, f"passed {format_age(age)} for {preflight.candidate.version}", before.at
            )
    command = Command(settings.run, directory=preflight.root)
    done = preflight.here.run(command, timeout_s=settings.timeout, check=False)
    if done.ok:
        if not dirty:
            preflight.evidence.put(Evidence(kind, now, True, operator(), what))
        return Gate(name, True, f"passed in {format_duration(done.duration_s)}", now)
    lines = (done.stdout + done.stderr).strip().splitlines()[-SHOWN_LINES:]
    said = "\n".join((f"{command} ended with {done.exit_code}", *lines))
    return Gate(name, False, said, now, "Mend it; its output says what.")


def question(preflight: Preflight, name: str, settings: PersonGate) -> Gate:
    """Answered by somebody, not too long ago."""
    fix = f"stockctl deploy preflight {preflight.name} --answer {name}=TEXT"
    answer = preflight.evidence.get(f"answer-{name}")
    if answer is None:
        return Gate(name, False, f"{settings.ask} Nobody answered.", fix=fix)
    age = preflight.age_s(answer.at)
    when = format_age(age) if age >= -SKEW_S else ahead(age)
    said = f"{settings.ask} {answer.detail} ({answer.who}, {when})"
    if fresh(age, settings.valid_for):
        return Gate(name, True, said, answer.at)
    old = f"{said}: counts for {format_duration(settings.valid_for)}"
    return Gate(name, False, old, answer.at, fix)


def answer(preflight: Preflight, name: str, text: str) -> None:
    """Kept with name and time, in the journal as well. Raises HostFailed."""
    with preflight.site.journal.operation(f"gate {name}: {text}"):
        now = preflight.site.clock.now()
        preflight.evidence.put(Evidence(f"answer-{name}", now, True, operator(), detail=text))
