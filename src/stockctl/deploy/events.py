"""What happens in a deploy is told to programs and webhooks. Until the switch a program may say no;
afterwards, and for messages always, a failure is a warning. Neither can hang a deploy."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.errors import Refused, StockctlError
from stockctl.core.units import format_duration
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.env.event import Event
from stockctl.env.hooks import PLACEHOLDERS
from stockctl.system.notify import deliver, escaped, webhook
from stockctl.system.program import Ended, run_program


@dataclass(frozen=True, slots=True)
class Happening:
    """What there is to tell: which release goes in which one's place. After a rollback `release` is
    the one that came back."""

    event: Event
    release: Release
    previous: Release | None
    error: str = ""

    def facts(self, site: Site) -> dict[str, str]:
        """By the names of PLACEHOLDERS; every one of them, empty where there is nothing to say."""
        release, previous = self.release, self.previous
        seconds = sum(step.duration_s for step in site.progress.steps)
        told = {
            "event": self.event.value,
            "environment": site.environment.name,
            "release": release.id,
            "version": release.version,
            "previous": previous.id if previous else "",
            "previous_version": previous.version if previous else "",
            "commit": release.commit or "",
            "who": site.journal.operator,
            "url": release.url,
            "error": site.journal.redactor.text(self.error),
            "duration": format_duration(seconds),
        }
        told["what"] = self._what(told)
        assert told.keys() == set(PLACEHOLDERS)
        return told

    def _what(self, told: dict[str, str]) -> str:
        release = f"{told['release']} ({told['version']})"
        before = f"{told['previous']} ({told['previous_version']})" if self.previous else "nothing"
        who, took = told["who"], told["duration"]
        return {
            Event.BEFORE_DEPLOY: f"{who} deploys {release} in the place of {before}",
            Event.BEFORE_SWITCH: f"{release} is about to take over from {before}",
            Event.AFTER_SWITCH: f"{release} takes the requests",
            Event.AFTER_DEPLOY: f"{release} serves, after {took}; deployed by {who}",
            Event.FAILED: f"{release} does not serve ({who}): {told['error']}",
            Event.BEFORE_ROLLBACK: f"{who} goes back from {before} to {release}",
            Event.AFTER_ROLLBACK: f"{release} serves again in the place of {before}; by {who}",
        }[self.event]


def reason(error: BaseException) -> str:
    """Ctrl-C and signals have no words of their own."""
    return str(error) or type(error).__name__


def ask(site: Site, happening: Happening) -> None:
    """Before something: raises Refused when a program says no, or does not come to an end.

    One that is not there stops no rollback: another commit may be checked out.
    """
    rollback = happening.event is Event.BEFORE_ROLLBACK
    for program in _programs(site, happening):
        impossible = _unusable(program)
        if impossible and rollback:
            site.progress.warn(f"the hook {happening.event} was left out: {program} {impossible}")
            continue
        why = (impossible, "") if impossible else _run(site, happening, program)
        if why is not None:
            raise Refused(
                f"the hook {happening.event} said no: {program.name} {why[0]}",
                details=why[1],
                hint="If that must not count now: --skip-hooks",
            )
    _notify(site, happening)


def tell(site: Site, happening: Happening) -> None:
    """After something: what goes wrong is said, and changes nothing."""
    for program in _programs(site, happening):
        impossible = _unusable(program)
        why = (impossible, "") if impossible else _run(site, happening, program)
        if why is not None:
            warning = f"the hook {happening.event} failed: {program.name} {why[0]}"
            site.progress.warn("\n".join(filter(None, (warning, why[1]))))
    _notify(site, happening)


def _programs(site: Site, happening: Happening) -> tuple[Path, ...]:
    return site.environment.hooks.programs(happening.event) if site.hooks else ()


def _run(site: Site, happening: Happening, program: Path) -> tuple[str, str] | None:
    """None when it went well, else how it ended and its last words."""
    limit_s = site.environment.hooks.timeout
    with site.progress.step(f"hook {happening.event}") as step:
        step.detail = program.name
        try:
            ended = run_program(
                (str(program),),
                _variables(site, happening),
                directory=program.parent,
                timeout_s=limit_s,
                on_line=step.line,
            )
        except StockctlError as error:
            step.ok = False
            return f"cannot be run: {error}", error.details
        step.ok = ended.ok
        return None if ended.ok else (_how(ended, limit_s), ended.said)


def _unusable(program: Path) -> str:
    try:
        mode = program.stat().st_mode
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    usable = stat.S_ISREG(mode) and os.access(program, os.X_OK)
    return "" if usable else "is not an executable file (chmod +x)"


def _how(ended: Ended, timeout_s: float) -> str:
    if ended.exit_code is None:
        return f"did not end within {format_duration(timeout_s)}, and was ended"
    if ended.exit_code < 0:
        return f"was ended by signal {-ended.exit_code}"
    return f"ended with exit {ended.exit_code}"


def _variables(site: Site, happening: Happening) -> dict[str, str]:
    """What a program gets, and of secrets only what is named in `hooks.variables`."""
    release = happening.release
    facts = {f"STOCKCTL_{key.upper()}": value for key, value in happening.facts(site).items()}
    facts |= {
        "STOCKCTL_IMAGE": release.image,
        "STOCKCTL_IMAGE_ID": release.image_id,
        "STOCKCTL_SCHEMA_HEAD": release.schema_head or "",
        "STOCKCTL_PROJECT": site.environment.project,
        "STOCKCTL_DIRECTORY": str(site.directory),
    }
    asked = site.environment.hooks.variables
    process = {key: os.environ[key] for key in asked if key in os.environ}
    own = {key: site.values[key].reveal() for key in asked if key in site.values}
    return {**process, **own, **facts}


def _notify(site: Site, happening: Happening) -> None:
    settings = site.environment.notify
    if not settings.webhooks or happening.event not in settings.events:
        return
    facts = {key: escaped(value) for key, value in happening.facts(site).items()}
    text = settings.template.format_map(facts)
    for url in settings.webhooks:
        why = deliver(webhook(url, text), timeout_s=settings.timeout)
        if why is not None:
            site.progress.warn(f"nobody was told of {happening.event}: {why}")
