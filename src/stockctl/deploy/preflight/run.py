"""Asks the gates that an environment has, and says no where one is red."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from stockctl.core.errors import Refused, StockctlError, UsageError
from stockctl.deploy.preflight import backups, database, host, own, stage, staging
from stockctl.deploy.preflight.gate import Ask, Gate, Preflight


def asked(preflight: Preflight) -> dict[str, Ask]:
    """Those that always are, and those that are set, in the order in which they are shown."""
    settings = preflight.settings
    found: dict[str, Ask] = {"environment": _environment, "migrations": database.migrations}
    optional: tuple[tuple[str, object, Ask], ...] = (
        ("lint", settings.lint or None, database.linted),
        ("backup-age", settings.backup_younger_than, backups.age),
        ("backup-verified", settings.backup_verified_within, backups.verified),
        ("backup-drilled", settings.backup_drilled_within, backups.drilled),
        ("staging", settings.staging, staging.same_image),
        ("smoke", settings.smoke_within, stage.smoked),
        ("load", settings.load_within, stage.loaded),
        ("rollback", settings.rollback_within, stage.rolled_back),
        ("rehearsal", settings.rehearsed_within, stage.rehearsed),
        ("disk", settings.disk_used_at_most, host.disk),
        ("connections", settings.connections_used_at_most, database.connections),
        ("certificate", settings.certificate_valid_for, host.certificate),
    )
    found |= {name: ask for name, value, ask in optional if value is not None}
    for name, each in settings.commands.items():
        found[name] = partial(own.program, name=name, settings=each)
    for name, person in settings.questions.items():
        found[name] = partial(own.question, name=name, settings=person)
    return found


def preflight(what: Preflight, overrides: Mapping[str, str] | None = None) -> tuple[Gate, ...]:
    """Every gate, also after a red one. `overrides`: gate → reason. Raises UsageError for one
    that is not asked here."""
    gates = asked(what)
    unknown = [name for name in overrides or {} if name not in gates]
    if unknown:
        raise UsageError(f"no gate {unknown[0]} is asked", hint=f"There are: {', '.join(gates)}.")
    return tuple(_asked_one(what, gates, overrides or {}))


def _asked_one(
    what: Preflight, gates: Mapping[str, Ask], overrides: Mapping[str, str]
) -> Iterator[Gate]:
    for name, ask in gates.items():
        with what.site.progress.step(f"gate {name}") as step:
            try:
                gate = ask(what)
            except (StockctlError, OSError) as error:
                hint = error.hint if isinstance(error, StockctlError) else ""
                gate = Gate(name, False, f"could not be asked: {error}", fix=hint)
            if not gate.ok:
                gate = replace(gate, overridden=overrides.get(name, ""))
            step.ok = gate.passes
            step.detail = gate.detail.partition("\n")[0]
        yield gate


def require(what: Preflight, gates: Sequence[Gate]) -> None:
    """Raises Refused with what to do; what is overridden is said aloud and journalled."""
    red = [gate for gate in gates if not gate.passes]
    if red:
        raise Refused(
            f"{len(red)} of {len(gates)} gates are red: {', '.join(gate.name for gate in red)}",
            details="\n".join(_told(gate) for gate in red),
            hint="--override GATE --reason TEXT goes on without one; that is journalled.",
        )
    for gate in gates:
        if gate.overridden:
            first = gate.detail.partition("\n")[0]
            what.site.progress.warn(f"GATE {gate.name} OVERRIDDEN: {gate.overridden} ({first})")
            with what.site.journal.operation(f"override gate {gate.name}: {gate.overridden}"):
                pass


def _told(gate: Gate) -> str:
    fix = f"\n  → {gate.fix}" if gate.fix else ""
    return f"{gate.name}: {gate.detail}{fix}"


def _environment(what: Preflight) -> Gate:
    if not what.errors:
        return Gate("environment", True, "valid")
    said = f"{what.errors} errors"
    return Gate("environment", False, said, fix=f"stockctl env validate {what.name}")
