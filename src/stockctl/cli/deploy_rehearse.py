"""`stockctl deploy rehearse`."""

from __future__ import annotations

from stockctl.cli.deploy import Image, Tag, app, what_to_deploy
from stockctl.cli.rehearsal_view import show
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import MigrationFailed, Unhealthy


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
    migrations are applied, taken back and compared, the services that the release depends on are
    started, `deploy.release_command` is run, the new image is started on the copy and
    smoke-tested. Then what `deploy contract` would do later is tried, which is no part of the
    deploy. Nothing of the live system is touched, and nothing is left. docs/rehearsal.md
    """
    from stockctl.deploy import image
    from stockctl.deploy.gates import engine_ready, rendered_configuration
    from stockctl.deploy.rehearsal.report import as_data
    from stockctl.deploy.rehearsal.run import Piece, choose_backup, rehearse

    opened = open_environment(session, name)
    with opened.site() as site:
        engine_ready(site)
        store = opened.store()
        choose_backup(site, store)  # before an image is built for nothing
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
    show(session, found)
    failed = any(each.failed for each in found.migrations)
    code = MigrationFailed.exit_code if failed else Unhealthy.exit_code
    return Result(as_data(found), exit_code=0 if found.ok else code)
