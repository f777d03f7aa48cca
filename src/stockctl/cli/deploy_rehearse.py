"""`stockctl deploy rehearse`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stockctl.cli.deploy import Image, Tag, app, what_to_deploy
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import MigrationFailed, Unhealthy
from stockctl.core.units import format_duration

if TYPE_CHECKING:
    from stockctl.deploy.rehearsal.report import Rehearsal, Rehearsed


@verb(
    app,
    "rehearse",
    example="stockctl deploy rehearse prod --tag 1.4.0",
    exits=(2, 3, 4, 5, 6, 7, 8, 9),
)
def rehearse(
    session: Session,
    name: str,
    tag: Tag = None,
    reference: Image = None,
) -> Result:
    """Plays the deploy on a copy of the data, and says how long it will take and what it locks.

    The newest sound backup is restored into a database of the same image (of `database.image`
    where it is no compose service), in a project of its own without a way out. The pending expand
    migrations are applied, taken back and compared, `deploy.release_command` is run, the new image
    is started on the copy and smoke-tested. Nothing of the live system is touched, and nothing is
    left. docs/rehearsal.md
    """
    from stockctl.deploy import image
    from stockctl.deploy.gates import engine_ready, rendered_configuration
    from stockctl.deploy.rehearsal.report import as_data
    from stockctl.deploy.rehearsal.run import Piece, choose_backup, rehearse

    opened = open_environment(session, name)
    with opened.site() as site:
        engine_ready(site)
        store = opened.store()
        choose_backup(store, name, site.clock.now())  # before an image is built for nothing
        version, wanted, commit = what_to_deploy(session, site, tag, reference)
        rendered = rendered_configuration(site)
        with site.progress.step("image") as step:
            build = not reference
            image_id = image.obtain(site, wanted, version, commit, step, build=build)
        built = build and site.service.build is not None
        dirty = image.is_dirty(commit, build=built)
        if dirty:
            session.progress().warn(
                "the working tree differs from its commit: this counts for no gate; commit first"
            )
        made_of = image.built_from(commit, build=built)
        piece = Piece(version, image_id, rendered, dirty, made_of)
        found = rehearse(site, store, piece)
    _show(session, found)
    failed = any(each.failed for each in found.migrations)
    code = MigrationFailed.exit_code if failed else Unhealthy.exit_code
    return Result(as_data(found), exit_code=0 if found.ok else code)


def _show(session: Session, found: Rehearsal) -> None:
    line = session.output.line
    line(f"restore    {format_duration(found.restore_s)}, of backup {found.backup}")
    if not found.migrations:
        line("migrate    nothing is pending")
    for each in found.migrations:
        _show_migration(session, each)
    if found.command_failed:
        line(f"release    ✗ {found.command_failed}", style="red")
    elif found.command_s is not None:
        line(f"release    command ended well after {format_duration(found.command_s)}")
    if found.unwell:
        line(f"start      ✗ {found.unwell}", style="red")
    elif found.start_s is not None:
        line(f"start      healthy after {format_duration(found.start_s)}")
    if found.smoke is not None:
        good = sum(check.ok for check in found.smoke.checks)
        line(f"smoke      {good} of {len(found.smoke.checks)} passed")
        for check in found.smoke.failed:
            line(f"           ✗ {check.name}: {check.detail}", style="red")
    line(f"way back   {found.way_back}")
    spent = ", ".join(f"{name} {format_duration(s)}" for name, s in found.spent_s.items())
    line(f"rehearsed  in {format_duration(sum(found.spent_s.values()))}: {spent}")
    if found.forecast_s is None:
        line("this release is not ready: do not deploy it", style="bold red")
    else:
        took = format_duration(found.forecast_s)
        line(f"the deploy will take about {took}, without building the image", style="green")


def _show_migration(session: Session, each: Rehearsed) -> None:
    line = session.output.line
    if each.failed:
        line(f"migrate    ✗ {each.id}  {each.failed}", style="red")
        return
    took = format_duration(each.up_s or 0.0)
    locks = "no lock to the end" if each.locks is None else ", ".join(map(str, each.locks))
    mark = "✓" if each.ok else "✗"
    line(f"migrate    {mark} {each.id}  {took}  {locks or 'no lock on a table that was there'}")
    for lock in each.blocking:
        line(f"           ! {lock.table} is locked for up to {took}: others wait", style="yellow")
    for problem in each.problems:
        line(f"           ✗ {problem.code} {problem.message}", style="red")
