"""`stockctl backup`: create · list; the other verbs stand beside."""

from __future__ import annotations

from typing import Annotated

import typer

from stockctl.cli.backup_view import data_of, told, warn_of_invalid
from stockctl.cli.session import Result, Session
from stockctl.cli.table import Row
from stockctl.cli.verb import group, verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError
from stockctl.core.units import format_age, format_duration, format_size
from stockctl.env.needs import BACKUP

app = group(
    "Backups that are verified, and restores that can be trusted.",
    beside=(
        "stockctl.cli.backup_prune",
        "stockctl.cli.backup_restore",
        "stockctl.cli.backup_schedule",
        "stockctl.cli.backup_show",
        "stockctl.cli.backup_tidy",
        "stockctl.cli.backup_undo",
        "stockctl.cli.backup_verify",
    ),
)


@verb(
    app,
    "create",
    example='stockctl backup create prod --label "before the move"',
    exits=(3, 4, 5, 6, 7, 8),
)
def create(
    session: Session,
    name: str,
    label: Annotated[str | None, typer.Option("--label", help="What it is for.")] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Never pruned.")] = False,
) -> Result:
    """Makes a backup, reads it back, and lists it only then.

    One snapshot, one stream: pg_dump, zstd, age where recipients are set, sha256. For cron: `-q`.
    """
    from stockctl.backup.checks import read_checks
    from stockctl.backup.emptied import emptied
    from stockctl.deploy.announce import announced, write_metrics
    from stockctl.deploy.back_up import back_up

    if label is not None and not label.isprintable():  # also what is not UTF-8 on the command line
        raise UsageError("--label holds characters that cannot be printed")
    opened = open_environment(session, name, needs=BACKUP, changes=True)
    progress, ping = session.progress(), opened.environment.backup.ping
    with announced(ping, progress), opened.journal.operation("backup create"):
        with opened.database() as database:
            backup = back_up(
                opened.environment,
                database,
                opened.store(),
                opened.journal,
                progress,
                label=label,
                pinned=pin,
            )
        write_metrics(opened.environment, opened.store(), opened.host, opened.clock.now(), progress)
    if not session.quiet:  # a cron job that went well says nothing
        session.output.line(
            f"{backup.id}  {format_size(backup.size_bytes)}  {backup.tables} tables,"
            f" {backup.rows} rows, in {format_duration(backup.duration_s)}"
        )
    said = emptied(opened.store(), backup)
    data = data_of(backup, opened, read_checks(opened.store(), backup))
    return Result({"backup": data, "warnings": [said] if said else []})


@verb(app, "list", example="stockctl backup list prod", exits=(3, 6))
def list_backups(session: Session, name: str) -> Result:
    """Shows the backups of an environment, newest first, and what in the store is not one."""
    from stockctl.backup.overview import overview

    opened = open_environment(session, name, needs=BACKUP)
    catalogue = overview(opened.store(), name)
    now = session.clock.now()
    rows = [
        Row(
            (
                backup.id,
                format_age((now - backup.created_at).total_seconds()),
                format_size(backup.size_bytes),
                str(backup.rows),
                (backup.schema_head or "").partition("_")[0],
                "yes" if backup.encrypted else "no",
                told(catalogue.checks_of(backup), now),
                " ".join(filter(None, ("pinned" * backup.pinned, backup.label))),
            )
        )
        for backup in catalogue.backups
    ]
    columns = ("BACKUP", "AGE", "SIZE", "ROWS", "SCHEMA", "ENCRYPTED", "VERIFIED", "")
    session.output.table(
        columns,
        rows,
        f"no backups in {opened.environment.backup.store}: stockctl backup create {name}",
    )
    warn_of_invalid(session, catalogue)
    invalid = [{"name": broken, "reason": reason} for broken, reason in catalogue.invalid]
    backups = [data_of(b, opened, catalogue.checks_of(b)) for b in catalogue.backups]
    return Result({"backups": backups, "invalid": invalid})
