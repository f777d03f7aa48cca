"""`stockctl backup verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.backup import app
from stockctl.cli.backup_view import choose_backup, warn_of_invalid
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import BackupInvalid, ConfigurationError, UsageError
from stockctl.core.units import format_duration
from stockctl.env.needs import BACKUP

if TYPE_CHECKING:
    from stockctl.backup.manifest import Backup
    from stockctl.backup.verification import Checked

Which = Annotated[
    str | None, typer.Option("--backup", metavar="ID", help="An id of backup list, or latest.")
]


@verb(
    app,
    "verify",
    example="stockctl backup verify prod --all\nstockctl backup verify prod --drill",
    exits=(3, 4, 5, 6, 7, 8),
)
def verify(
    session: Session,
    name: str,
    which: Which = None,
    everything: Annotated[bool, typer.Option("--all", help="Every backup there is.")] = False,
    drill: Annotated[
        bool, typer.Option("--drill", help="Restore it into a scratch database, and count.")
    ] = False,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="Drill on the environment's server.")
    ] = False,
) -> Result:
    """Reads backups back, byte for byte, and keeps when each was last found whole.

    Size, sha256, age, zstd, the dump's own structure, and the rows of every table in it. Without
    the private key an encrypted one is compared with its sha256 only. Default: the latest.

    With --drill it is restored as well, into an embedded Postgres, so that the environment's
    server is not asked, and the time is kept. That server must not be older than the backup's.
    """
    from stockctl.backup.catalog import LATEST, list_backups
    from stockctl.deploy.announce import write_metrics

    if everything and which is not None:
        raise UsageError("give --all or --backup, not both")
    if on_server and not drill:
        raise UsageError("--on-server says where to drill: give --drill, too")
    opened = open_environment(session, name, needs=BACKUP)
    broken: tuple[tuple[str, str], ...] = ()
    if everything:
        catalogue = list_backups(opened.store(), name)
        warn_of_invalid(session, catalogue)
        chosen, broken = catalogue.backups, catalogue.invalid
    else:
        chosen = (choose_backup(opened, opened.store(), which or LATEST),)
    checked = (
        _drilled(opened, chosen, on_server) if drill else _verified(opened, chosen, everything)
    )
    if everything:  # of all that there are, one that was pruned meanwhile is none
        checked = [each for each in checked if not each.removed]
    now = opened.clock.now()
    write_metrics(opened.environment, opened.store(), opened.host, now, session.progress())
    return _tell(session, name, checked, broken)


def _verified(opened: Opened, chosen: tuple[Backup, ...], everything: bool) -> list[Checked]:
    from stockctl.backup.key import require_key
    from stockctl.backup.verification import Checked, verify

    key, store = opened.environment.backup.identity_file, opened.store()
    progress, clock = opened.session.progress(), opened.clock
    checked = []
    for each in chosen:
        try:
            identities = require_key(each, key) if key else None
        except ConfigurationError as error:  # others may be for this key
            if not everything:
                raise
            checked.append(
                Checked(each.id, ok=False, depth=None, reason=error.message, error=error)
            )
            continue
        checked.append(verify(each, store, identities, progress=progress, clock=clock))
    return checked


def _drilled(opened: Opened, chosen: tuple[Backup, ...], on_server: bool) -> list[Checked]:
    from stockctl.backup.key import require_key
    from stockctl.deploy.drill import drill_here, drill_on_server

    for each in chosen:
        require_key(each, opened.environment.backup.identity_file)
    progress, store = opened.session.progress(), opened.store()
    with opened.journal.operation("backup verify --drill"):
        if not on_server:
            return drill_here(
                opened.environment,
                chosen,
                store,
                opened.journal,
                progress,
                folder=opened.folder_here,
            )
        with opened.database() as database:
            return drill_on_server(
                opened.environment, chosen, database, store, opened.journal, progress
            )


def _tell(
    session: Session, name: str, checked: list[Checked], broken: tuple[tuple[str, str], ...]
) -> Result:
    for each in checked:
        if each.ok and session.quiet:
            continue
        if each.ok:
            note = f" ({each.reason})" if each.reason else ""
            took = f", restored in {format_duration(each.restore_s)}" if each.restore_s else ""
            session.output.line(f"{each.id}  whole{took}{note}", style="green")
        else:
            session.output.line(f"{each.id}  FAILED: {each.reason}", style="red")
            if each.error is not None and each.error.details:
                session.output.note(each.error.details)
            if each.error is not None and each.error.hint:
                session.output.note(f"→ {each.error.hint}")
    if not checked and not broken:
        session.output.note(f"no backups: stockctl backup create {name}")
    codes = [each.error.exit_code for each in checked if each.error is not None]
    codes += [BackupInvalid.exit_code] * len(broken)
    data = [_data(each) for each in checked]
    data += [{"id": each, "ok": False, "reason": why, "depth": None} for each, why in broken]
    return Result({"checked": data}, exit_code=max(codes, default=0))


def _data(checked: Checked) -> dict[str, Any]:
    return {
        "id": checked.id,
        "ok": checked.ok,
        "reason": checked.reason,
        "depth": checked.depth,
        "rows_match": checked.ok if checked.depth == "archive" or not checked.ok else None,
        "restore_s": checked.restore_s,
    }
