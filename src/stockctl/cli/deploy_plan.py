"""How a planned deploy is shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stockctl.cli.session import Session
from stockctl.core.units import counted

if TYPE_CHECKING:
    from stockctl.deploy.preview import Preview
    from stockctl.deploy.rollout import DeployPlan
    from stockctl.system.compose_diff import Difference

SHORT_ID = slice(7, 19)  # of `sha256:…`
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def show_plan(session: Session, name: str, todo: DeployPlan, seen: Preview, *, all_: bool) -> None:
    """`all_`: for `--plan`, with what a deploy itself would show soon enough."""
    note = session.output.note
    before = f"{todo.previous.id} ({todo.previous.version})" if todo.previous else "nothing"
    note(f"deploy    {todo.release_id} ({todo.version}) to {name}, in the place of {before}")
    note(f"image     {_image(todo, seen)}")
    for line in _changes(todo, seen):
        note(line)
    note(f"backup    {'first' if todo.backup else 'none'}")
    note(f"migrate   {_pending(todo)}")
    for each, locks in seen.migrations if all_ else ():
        note(f"            {each}: {', '.join(map(str, locks)) or 'locks no table that is there'}")
    if todo.waiting:
        note(f"waiting   {', '.join(todo.waiting)} (contract: not part of a deploy)")
    note(f"smoke     {counted(todo.smoke_checks, 'check')}")
    if all_:
        note(f"steps     {' → '.join(seen.steps)}")
        note(f"outage    {seen.outage}")
        note(f"way back  {seen.way_back}")


def _image(todo: DeployPlan, seen: Preview) -> str:
    if todo.build:
        return f"{todo.reference}, built here"
    if seen.image_now is None:
        return f"{todo.reference}, {'sent from here' if seen.image_here else 'pulled'}"
    same = todo.previous is not None and todo.previous.image_id == seen.image_now
    return f"{todo.reference} {seen.image_now[SHORT_ID]}{', the one that serves' if same else ''}"


def _changes(todo: DeployPlan, seen: Preview) -> Sequence[str]:
    """One line a service: `web: ~ environment.GREETING, + environment.NEW`."""
    if seen.changes is None:
        return ["changes   nothing to compare with"] if todo.previous else []
    lines = [f"changes   {line}" for line in _by_service(seen.changes)]
    lines = lines or ["changes   none in the configuration"]
    return lines + [
        f"changes   {line}  (not replaced by a deploy: it runs on as it is)"
        for line in _by_service(seen.left_alone)
    ]


def _by_service(found: Sequence[Difference]) -> Sequence[str]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for each in found:
        path = each.path or "the whole service"
        grouped[each.service or "project"].append(f"{SIGNS[each.kind]} {path}")
    return [f"{service}: {', '.join(parts)}" for service, parts in grouped.items()]


def _pending(todo: DeployPlan) -> str:
    if not todo.database:
        return "no database"
    if todo.pending is None:
        return "asked once the database runs"
    return ", ".join(todo.pending) or "nothing"


def plan_data(todo: DeployPlan, seen: Preview) -> dict[str, Any]:
    """For programs; values of the configuration are in neither."""
    changes = None if seen.changes is None else [*seen.changes, *seen.left_alone]
    return {
        "id": todo.release_id,
        "version": todo.version,
        "image": todo.reference,
        "image_id": seen.image_now,
        "previous": todo.previous.id if todo.previous else None,
        "changes": None if changes is None else [_difference(each) for each in changes],
        "migrations": todo.pending,
        "locks": {
            name: [{"table": lock.table, "mode": lock.mode} for lock in locks]
            for name, locks in seen.migrations
        },
        "waiting": todo.waiting,
        "backup": todo.backup,
        "steps": seen.steps,
        "outage": seen.outage,
        "way_back": seen.way_back,
    }


def _difference(each: Difference) -> dict[str, Any]:
    return {"service": each.service, "path": each.path, "change": each.kind.value}
