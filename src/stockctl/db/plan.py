"""What `db migrate` and `db rollback` would do: pure, so that it can be shown first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from stockctl.core.errors import Refused, UsageError
from stockctl.db.ledger import Entry, State, Status
from stockctl.db.migration import Migration, Phase
from stockctl.db.record import TABLE, Stage


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending migration that is left out, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class MigratePlan:
    """`migrations` to apply, in order; the rest is what it takes to plan again under the lock."""

    migrations: tuple[Migration, ...]
    waiting: tuple[Waiting, ...]
    known: tuple[Migration, ...]
    to: str | None
    phase: Phase | None
    allow_out_of_order: bool = False


@dataclass(frozen=True, slots=True)
class Reversal:
    """A down script to run. `source` is its file, or our table when the file is gone."""

    id: str
    source: str
    down: str
    transactional: bool


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """`reversals` to run, in order: what was applied last goes first."""

    reversals: tuple[Reversal, ...]


def plan_migrate(
    status: Status,
    migrations: Sequence[Migration],
    *,
    to: str | None,
    phase: Phase | None,
    allow_out_of_order: bool = False,
) -> MigratePlan:
    """All that is pending, up to and with `to`, of one phase or of both; with
    `allow_out_of_order` also what should have been applied before something that is.

    Raises UsageError for an unknown `to`; Refused when the database and the files contradict
    each other, or when something to apply needs something that is left out.
    """
    last = find(to, [migration.id for migration in migrations]) if to is not None else None
    wanted = {entry.id for entry in status.entries if _wanted(entry, allow_out_of_order)}
    _refuse([entry for entry in status.blocking if entry.id not in wanted], "migrate")
    todo = [each for each in migrations if each.id in wanted and (not last or each.id <= last)]
    chosen = tuple(each for each in todo if phase in (None, each.phase))
    left = [each for each in todo if phase not in (None, each.phase)]
    for migration in chosen:
        _refuse_dependent(migration, left)
    waiting = tuple(
        Waiting(each.id, f"a migration of the {each.phase} phase runs by itself") for each in left
    )
    return MigratePlan(chosen, waiting, tuple(migrations), to, phase, allow_out_of_order)


def _wanted(entry: Entry, allow_out_of_order: bool) -> bool:
    """To be applied: also what was left half-way and can be begun again."""
    if entry.state is State.DIRTY:
        return entry.resumable and entry.stage is Stage.APPLYING
    return entry.state is State.PENDING or (
        allow_out_of_order and entry.state is State.OUT_OF_ORDER
    )


def _refuse_dependent(migration: Migration, left: list[Migration]) -> None:
    for other in left:
        needed = other.id in migration.depends
        # a contract migration that overtakes an expand one leaves it out of order
        overtaken = other.phase is Phase.EXPAND and other.id < migration.id
        if needed or overtaken:
            raise Refused(
                f"{migration.id} ({migration.phase}) comes after {other.id} ({other.phase}),"
                " which is not applied yet and not of the phase that was asked for",
                hint=f"Apply {other.id} first: stockctl db migrate ENV --phase {other.phase}",
            )


def plan_rollback(
    status: Status, migrations: Sequence[Migration], *, steps: int | None, to: str | None
) -> RollbackPlan:
    """The last `steps` that were applied (one when not said), or all that came after `to`.

    Raises UsageError for an unknown `to` or less than one step; Refused when one of them cannot
    be taken back, or when a statement failed half-way and has to be dealt with first.
    """
    if steps is not None and (steps < 1 or to is not None):
        raise UsageError("give either --steps, at least 1, or --to")
    dirty = [entry for entry in status.entries if entry.state is State.DIRTY]
    _refuse(
        [each for each in dirty if not (each.resumable and each.stage is Stage.REVERTING)],
        "roll back",
    )
    order = [entry.id for entry in status.applied]
    if to is not None:
        steps = len(order) - 1 - order.index(find(to, order))
    chosen = status.applied[::-1][: steps if steps is not None else 1]
    files = {migration.id: migration for migration in migrations}
    return RollbackPlan(tuple(_reversal(entry, files.get(entry.id)) for entry in chosen))


def _reversal(entry: Entry, file: Migration | None) -> Reversal:
    """The file's down script; the copy that was kept where the file is gone or was edited."""
    kept = entry.record.down if entry.record else None
    if file and file.down is not None and (entry.state is not State.CHANGED or kept is None):
        return Reversal(entry.id, str(file.down_path), file.down, entry.transactional)
    if kept is not None and not (file and file.irreversible):
        applied = bool(entry.record and entry.record.transactional)
        return Reversal(entry.id, f"{TABLE}.down of {entry.id}", kept, applied)
    reason = file.irreversible if file else entry.record and entry.record.irreversible
    raise Refused(
        f"{entry.id} cannot be rolled back: {reason or 'it has no down script'}",
        hint="Go forward with a new migration (stockctl db new NAME), or restore a backup.",
    )


def _refuse(entries: Iterable[Entry], verb: str) -> None:
    lines = [f"{entry.id}: {entry.state}: {entry.advice}" for entry in entries]
    if lines:
        raise Refused(
            f"cannot {verb}: the database and the files contradict each other",
            details="\n".join(lines),
            hint="Nothing was changed. See: stockctl db status ENV",
        )


def find(wanted: str, known: Sequence[str]) -> str:
    """A migration by its id or its number."""
    for identity in known:
        if wanted in (identity, identity.partition("_")[0]):
            return identity
    near = get_close_matches(wanted, known, n=1)
    raise UsageError(
        f"no migration {wanted!r} to go to",
        hint=f"Did you mean {near[0]}?" if near else "See: stockctl db status ENV",
    )
