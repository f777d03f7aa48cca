"""`stockctl deploy ENV`: from the release that serves to the next one.

image → services → backup → migrate (expand only) → replace → healthy → smoke → record

Up to `replace` nothing that serves is touched. From there on every failure, and Ctrl-C, brings
the previous release back. The last write, `live.json`, is the commit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stockctl.backup.stores.base import Store
from stockctl.core.errors import (
    EngineUnavailable,
    HostFailed,
    PlanOutdated,
    Refused,
    StockctlError,
    ToolFailed,
    Unhealthy,
)
from stockctl.deploy import files, image, schema, switch
from stockctl.deploy.adopt import adopt
from stockctl.deploy.events import Happening, ask, reason, tell
from stockctl.deploy.gates import rendered_configuration, status_if_reachable
from stockctl.deploy.health import wait_for_services
from stockctl.deploy.one_off import run_release_command
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.rolling import roll
from stockctl.deploy.site import Site
from stockctl.deploy.standing import serving
from stockctl.deploy.tidy import tidy
from stockctl.deploy.traffic import Traffic
from stockctl.deploy.turn import turn
from stockctl.env.event import Event
from stockctl.smoke.run import require, smoke
from stockctl.system.compose import Rendered, pulled_by_compose
from stockctl.system.journal_file import operator

START_S = 600.0  # the long-lived services; their images may have to be fetched


@dataclass(frozen=True, slots=True)
class DeployPlan:
    """What `deploy ENV` would do. `pending` is None where the database cannot be asked yet."""

    release_id: str
    version: str
    reference: str
    build: bool
    commit: image.Commit | None
    previous: Release | None
    rendered: Rendered
    pending: tuple[str, ...] | None
    waiting: tuple[str, ...]
    database: bool
    backup: bool
    long_lived: tuple[str, ...]  # the compose services that a release does not replace
    smoke_checks: int


def plan_deploy(
    site: Site,
    *,
    version: str,
    reference: str,
    build: bool,
    commit: image.Commit | None,
    skip_backup: bool,
) -> DeployPlan:
    """Looks, changes nothing. Raises Refused where the ledger and the files disagree."""
    release_id = site.releases.next_id()
    rendered = rendered_configuration(site)
    if site.rolling:
        Traffic(site).describe(rendered)  # raises for a service that cannot run twice
    status = status_if_reachable(site)
    pending: tuple[str, ...] | None = None
    waiting: tuple[str, ...] = ()
    if status is not None:
        plan = schema.expand_plan(site)
        pending = tuple(m.id for m in plan.migrations) if plan else ()
        waiting = tuple(m.id for m in plan.waiting) if plan else ()
    return DeployPlan(
        release_id=release_id,
        version=version,
        reference=reference,
        build=build and site.service.build is not None,
        commit=commit,
        previous=site.releases.live(),
        rendered=rendered,
        pending=pending,
        waiting=waiting,
        database=site.database is not None,
        backup=site.database is not None
        and site.environment.deploy.backup_first
        and not skip_backup,
        long_lived=tuple(n for n in rendered.services if n not in site.service.release),
        smoke_checks=len(site.environment.smoke),
    )


def deploy(site: Site, plan: DeployPlan, store: Store, wait_s: float = 0.0) -> Release:
    """Executes the plan when it is our turn. Returns the release that now serves.

    Raises Unhealthy when it was withdrawn and the previous one serves again, PersonNeeded when
    that did not work; any other error came before something was touched.
    """
    command = f"deploy {plan.release_id} ({plan.version})"
    with turn(site, command, wait_s):
        if site.releases.next_id() != plan.release_id:
            raise PlanOutdated("another deploy came first", hint="Run the command again.")
        site.require_live(plan.previous)
        _require_records(site)
        release = Release(
            id=plan.release_id,
            version=plan.version,
            image=plan.reference,
            image_id="",
            created_at=site.clock.now(),
            who=operator(),
            url=site.service.url,
            health=site.service.health,
            previous=plan.previous.id if plan.previous else None,
            configuration=plan.rendered.digest,
        )
        site.releases.put(release)
        tidy(site)
        try:
            ask(site, Happening(Event.BEFORE_DEPLOY, release, plan.previous))
            release = _run(site, plan, store, release)
        except BaseException as error:
            _record_failure(site, release.id, error)
            tell(site, Happening(Event.FAILED, release, plan.previous, reason(error)))
            raise
        tell(site, Happening(Event.AFTER_DEPLOY, release, plan.previous))
        tidy(site)
    return release


def _require_records(site: Site) -> None:
    """Where releases run and none is recorded, it is the folder that is wrong, and what serves
    would be taken for a leftover."""
    if site.releases.all():
        return
    project = site.environment.project
    states = site.engine.beside_states(project)
    found = {release for release, status in states if status == "running"}
    if found:
        raise Refused(
            f"{', '.join(sorted(found))} runs, and {site.directory} has no record of any release",
            hint="Is host.directory the right one, and its disk mounted? To begin anew, without"
            f" what runs: docker ps -aq --filter label=stockctl.project={project}"
            " | xargs docker rm --force",
        )


def _run(site: Site, plan: DeployPlan, store: Store, release: Release) -> Release:
    image_id = _image(site, plan, release)
    commit = image.commit_in(site, image_id)
    release = replace(release, image_id=image_id)
    if commit is not None:
        release = replace(release, commit=commit.id, dirty=commit.dirty)
    rendered, parcels = files.placed(site, plan.rendered)
    files.deliver(site, parcels)
    pinned = rendered.pinned(site.service.release, image_id, release.id)
    site.releases.put_compose(release.id, pinned)
    site.releases.put(release)
    _start_services(site, plan, release)
    previous = plan.previous or adopt(site, rendered) or serving(site)
    release = replace(release, previous=previous.id if previous else None)
    release = schema.prepare(site, store, release, backup=plan.backup)
    site.releases.put(release)
    run_release_command(site, release)
    if site.rolling:
        return roll(site, release, previous, pinned)
    ask(site, Happening(Event.BEFORE_SWITCH, release, previous))
    return _switch(site, release, previous)


def _image(site: Site, plan: DeployPlan, release: Release) -> str:
    """Its id. Raises Unhealthy where it is not to be had and something serves, else ToolFailed."""
    try:
        with site.progress.step("image") as step:
            image_id = image.obtain(
                site, plan.reference, plan.version, plan.commit, step, build=plan.build
            )
            image.hold(site, release.id, image_id)
            if site.rolling and _proxy_is_made(site, plan):
                image.bring(site, site.environment.proxy.image, step)
            return image_id
    except ToolFailed as error:
        if plan.previous is None or isinstance(error, EngineUnavailable):
            raise
        raise Unhealthy(
            f"{release.id} was withdrawn, {plan.previous.id} serves: {error.message}",
            details=error.details,
            hint=error.hint,
        ) from error


def _proxy_is_made(site: Site, plan: DeployPlan) -> bool:
    """By this deploy: there is none yet, or it was described otherwise."""
    traffic = Traffic(site)
    return traffic.running() is None or traffic.describe(plan.rendered) != traffic.described()


def _record_failure(site: Site, release_id: str, error: BaseException) -> None:
    """Unless it went live: then the error came too late to matter to the release."""
    why = reason(error)
    try:
        if not site.is_live(release_id):
            failed = site.releases.get(release_id)
            site.releases.put(failed.ended(ReleaseState.FAILED, site.progress.steps, why))
    except HostFailed as unwritten:
        error.add_note(str(unwritten))  # the first error matters more


def _start_services(site: Site, plan: DeployPlan, release: Release) -> None:
    """The long-lived services: started where they are not running, otherwise left alone."""
    if not plan.long_lived:
        return
    with site.progress.step("services") as step:
        for name in plan.long_lived:
            service = plan.rendered.document["services"][name]
            if pulled_by_compose(service):
                image.bring(site, service["image"], step)
        command = site.stack(release).start(plan.long_lived)
        site.host.run(command, timeout_s=START_S, on_line=step.line)
        wait_for_services(site, site.environment.project, plan.long_lived)
        step.detail = ", ".join(plan.long_lived)


def _switch(site: Site, release: Release, previous: Release | None) -> Release:
    """Replace, healthy, smoke, record: until `live.json` is written there is something to put
    back."""
    try:
        switch.put_in_place(site, release, previous)
        tell(site, Happening(Event.AFTER_SWITCH, release, previous))
        if site.environment.smoke:
            require(
                smoke(site.environment.smoke, site.reached(site.service.url), site.progress),
                release.id,
            )
        release = release.ended(ReleaseState.FINISHED, site.progress.steps)
        site.releases.put(release)
        site.releases.set_live(release.id, previous, site.clock.now())
    except BaseException as error:
        if site.is_live(release.id):
            raise
        switch.put_back(site, release, previous, error)
        if previous is not None and isinstance(error, StockctlError):
            raise Unhealthy(
                f"{release.id} was withdrawn, {previous.id} serves again: {error.message}",
                details=error.details,
                hint=f"stockctl deploy history {site.environment.name}",
            ) from error
        raise
    return release
