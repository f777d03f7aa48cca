"""What a deploy would change, in which steps, how long nobody would be served, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.errors import HostFailed, ToolFailed
from stockctl.core.units import format_duration
from stockctl.db.lint.locks import TableLock, expected
from stockctl.db.migration import Migration
from stockctl.deploy.files import placed
from stockctl.deploy.gates import migrations_of
from stockctl.deploy.parcel import is_here
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.rolling_preview import outage_ahead
from stockctl.deploy.rollout import DeployPlan
from stockctl.deploy.site import Site
from stockctl.system.compose import Rendered
from stockctl.system.compose_diff import Difference, differences


@dataclass(frozen=True, slots=True)
class Preview:
    """`changes` against the live release, None where there is none to compare with; `left_alone`
    are those of services that a deploy does not replace."""

    changes: tuple[Difference, ...] | None
    left_alone: tuple[Difference, ...]
    image_now: str | None  # the id that the reference has on the host; None: not known before
    image_here: bool  # it is on this machine, from where it is sent
    migrations: tuple[tuple[str, tuple[TableLock, ...]], ...]
    steps: tuple[str, ...]
    outage: str
    way_back: str


def preview(site: Site, plan: DeployPlan) -> Preview:
    """Looks, changes nothing."""
    found = _differences(site, plan)
    released = site.service.release
    image_now = None if plan.build else site.engine.image_id(plan.reference)
    touched = [d for d in found or () if d.service in released or d.service is None]
    return Preview(
        changes=None if found is None else tuple(touched),
        left_alone=tuple(d for d in found or () if d.service and d.service not in released),
        image_now=image_now,
        image_here=image_now is None and is_here(site, plan.reference),
        migrations=_locks(migrations_of(site), plan.pending or ()),
        steps=_steps(site, plan),
        outage=_outage(site, plan),
        way_back=_way_back(site, plan),
    )


def _differences(site: Site, plan: DeployPlan) -> tuple[Difference, ...] | None:
    """Both pinned as the live release is, so that only what a person changed is left."""
    live = plan.previous
    if live is None:
        return None
    try:
        kept = Rendered.parse(site.host.read(site.releases.compose_file(live.id)))
    except (HostFailed, ToolFailed):  # a record from elsewhere: nothing to compare with
        return None
    rendered, _ = placed(site, plan.rendered)
    after = rendered.pinned(site.service.release, live.image_id, live.id)
    return differences(kept, after)


def _locks(
    migrations: tuple[Migration, ...], pending: tuple[str, ...]
) -> tuple[tuple[str, tuple[TableLock, ...]], ...]:
    return tuple((each.id, expected(each.up)) for each in migrations if each.id in pending)


def _steps(site: Site, plan: DeployPlan) -> tuple[str, ...]:
    """By the names that progress and history show."""
    deploy, checks = site.environment.deploy, plan.smoke_checks > 0
    hooks = site.environment.hooks if site.hooks else None
    asked = ("hook before-switch", bool(hooks and hooks.before_switch))
    told = ("hook after-switch", bool(hooks and hooks.after_switch))
    first = [
        ("hook before-deploy", bool(hooks and hooks.before_deploy)),
        ("image", True),
        ("services", bool(plan.long_lived)),
        ("backup", plan.backup),
        ("migrate", plan.database),
        ("release command", bool(deploy.release_command)),
    ]
    if site.rolling:
        canary = [(f"canary {percent} %", plan.previous is not None) for percent in deploy.canary]
        candidate = [("start", True), ("healthy", True), ("smoke candidate", checks)]
        middle = [*candidate, asked, *canary, ("switch", True), told, ("smoke", checks)]
        middle.append(("watch", deploy.watch > 0))
    else:
        middle = [asked, ("replace", True), ("healthy", True), told, ("smoke", checks)]
    last = ("hook after-deploy", bool(hooks and hooks.after_deploy))
    return tuple(name for name, wanted in (*first, *middle, last) if wanted)


def _outage(site: Site, plan: DeployPlan) -> str:
    """With `recreate` from the stop of the old container until the new one is healthy; how long
    that took the last time is the best guess. With `rolling` only where the proxy takes the port
    over from a container that has it."""
    if site.rolling:
        return outage_ahead(site, plan)
    if plan.previous is None:
        return "none: nothing serves yet"
    what = "while the container is replaced"
    took = _last_replacement(site.releases.all())
    return f"{what}: {format_duration(took)} the last time" if took is not None else what


def _last_replacement(releases: list[Release]) -> float | None:
    for release in reversed(releases):
        took = {step.name: step.duration_s for step in release.steps}
        if release.state is ReleaseState.FINISHED and "replace" in took:
            return took["replace"] + took.get("healthy", 0.0)
    return None


def _way_back(site: Site, plan: DeployPlan) -> str:
    if plan.previous is None:
        return "none: it is the first release; if it fails it is removed again"
    name = site.environment.name
    before = f"{plan.previous.id} ({plan.previous.version})"
    text = f"to {before}, code and configuration: stockctl deploy rollback {name}"
    if site.rolling:
        soak = format_duration(site.environment.deploy.soak)
        text += f"; for {soak} it runs on, and going back is a switch"
    if plan.waiting:
        text += (
            f"; closed by stockctl deploy contract {name}, which applies {', '.join(plan.waiting)}"
        )
    return text
