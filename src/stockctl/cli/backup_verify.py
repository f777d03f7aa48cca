"""`stockctl backup verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.backup import app
from stockctl.cli.backup_view import choose_backup, warn_of_invalid
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import BackupInvalid, UsageError
from stockctl.env.needs import BACKUP

if TYPE_CHECKING:
    from stockctl.backup.verification import Checked

Which = Annotated[
    str | None, typer.Option("--backup", metavar="ID", help="An id of backup list, or latest.")
]


@verb(
    app,
    "verify",
    example="stockctl backup verify prod --all\nstockctl backup verify prod --backup latest",
    exits=(3, 6, 8),
)
def verify(
    session: Session,
    name: str,
    which: Which = None,
    everything: Annotated[bool, typer.Option("--all", help="Every backup there is.")] = False,
) -> Result:
    """Reads backups back, byte for byte, and keeps when each was last found whole.

    Size, sha256, age, zstd, the dump's own structure, and the rows of every table in it. Without
    the private key an encrypted one is compared with its sha256 only. Default: the latest.
    """
    from stockctl.backup.catalog import LATEST, list_backups
    from stockctl.backup.verification import verify_all
    from stockctl.env.keys import load_identities

    if everything and which is not None:
        raise UsageError("give --all or --backup, not both")
    opened = open_environment(session, name, needs=BACKUP)
    store, key = opened.store(), opened.environment.backup.identity_file
    catalogue = list_backups(store, name)
    chosen = catalogue.backups
    if everything:
        warn_of_invalid(session, catalogue)
    else:
        chosen = (choose_backup(session, store, name, which or LATEST),)
    checked = verify_all(
        chosen,
        store,
        load_identities(key) if key and any(each.encrypted for each in chosen) else None,
        progress=session.progress(),
        clock=session.clock,
    )
    broken = catalogue.invalid if everything else ()
    return _tell(session, name, checked, broken)


def _tell(
    session: Session, name: str, checked: tuple[Checked, ...], broken: tuple[tuple[str, str], ...]
) -> Result:
    for each in checked:
        if each.ok:
            note = f" ({each.reason})" if each.reason else ""
            session.output.line(f"{each.id}  whole{note}", style="green")
        else:
            session.output.line(f"{each.id}  NOT WHOLE: {each.reason}", style="red")
    if not checked and not broken:
        session.output.note(f"no backups: stockctl backup create {name}")
    bad = [each.error for each in checked if each.error is not None]
    code = BackupInvalid.exit_code if broken else 0
    if bad:
        code = max(each.exit_code for each in bad)
    data: list[dict[str, Any]] = [
        {"id": each.id, "ok": each.ok, "reason": each.reason, "depth": each.depth}
        for each in checked
    ]
    data += [{"id": each, "ok": False, "reason": why, "depth": None} for each, why in broken]
    return Result({"checked": data}, exit_code=code)
