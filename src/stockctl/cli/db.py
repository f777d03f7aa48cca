"""`stockctl db`: status · migrate · rollback · new; each other verb has a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.db_view import (
    durations,
    planned_rollback,
    show_migrate_plan,
    show_rollback_plan,
    show_status,
    status_data,
)
from stockctl.cli.guard import Confirm, DataLoss, Plan, SkipBackup, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import group, verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import ConfigurationError, UsageError
from stockctl.core.units import counted

if TYPE_CHECKING:
    from stockctl.db.ledger import Status
    from stockctl.db.migration import Migration
    from stockctl.db.plan import MigratePlan
    from stockctl.db.runner import Applied
    from stockctl.env.model import Environment
    from stockctl.system.postgres import Database

app = group(
    "Migrations of the database, with a way back; what it suffers from.",
    beside=(
        "stockctl.cli.db_lint",
        "stockctl.cli.db_prove",
        "stockctl.cli.db_baseline",
        "stockctl.cli.db_drift",
        "stockctl.cli.db_repair",
        "stockctl.cli.db_inspect",
        "stockctl.cli.db_shell",
    ),
)
To = Annotated[str | None, typer.Option("--to", metavar="ID", help="Up to and with this one.")]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", help="How many; default 1.")]
OutOfOrder = Annotated[
    bool,
    typer.Option("--allow-out-of-order", help="Also what is older than something applied."),
]
BackTo = Annotated[
    str | None, typer.Option("--to", metavar="ID", help="Back to this one, which stays.")
]


@verb(app, "status", example="stockctl db status staging", exits=(3, 6, 7, 10))
def status(
    session: Session,
    name: str,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 10 where not all is applied.")
    ] = False,
) -> Result:
    """Shows which migrations are applied, which wait, and what is out of joint. Creates nothing."""
    from stockctl.db.ledger import State, read_status

    opened = open_environment(session, name)
    with opened.database() as database:
        found = read_status(database, opened.migrations())
    show_status(session, found)
    differs = any(entry.state is not State.APPLIED for entry in found.entries)
    return Result(status_data(found), exit_code=10 if exit_code and differs else 0)


@verb(app, "migrate", example="stockctl db migrate staging --plan", exits=(3, 4, 5, 6, 7))
def migrate(
    session: Session,
    name: str,
    to: To = None,
    phase: Annotated[
        str | None, typer.Option("--phase", help="expand or contract; default: both.")
    ] = None,
    allow_out_of_order: OutOfOrder = False,
    plan: Plan = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Applies what is pending, each file with its record in one transaction.

    Nothing is applied while an applied file has changed or is missing, or while one with a lower
    number than what is applied is new.
    """
    from stockctl.db.plan import plan_migrate

    opened = open_environment(session, name, changes=True)
    with opened.database() as database:
        files = opened.migrations()
        found, chosen = _status(database, files), _phase(phase)
        todo = plan_migrate(
            found, files, to=to, phase=chosen, allow_out_of_order=allow_out_of_order
        )
        show_migrate_plan(session, todo, locks=plan)
        if plan or not todo.migrations:
            planned = [migration.id for migration in todo.migrations]
            return Result({"planned": planned, "applied": [], "head": found.head})
        _confirm_migrations(session, opened.environment, todo, given=given, yes=yes)
        applied = _migrate(session, opened, database, todo)
        head = _head(database)
    session.output.line(f"{len(applied)} applied, the schema is at {head}", style="green")
    return Result({"applied": durations(applied), "head": head})


def _migrate(
    session: Session, opened: Opened, database: Database, todo: MigratePlan
) -> tuple[Applied, ...]:
    from stockctl.db.runner import migrate

    settings = opened.database_settings()
    with opened.journal.alone(opened.lock_file, "db migrate"):
        return migrate(
            database,
            todo,
            progress=session.progress(),
            lock_timeout_s=settings.lock_timeout,
            statement_timeout_s=settings.statement_timeout,
            lock_retry_s=settings.lock_retry,
        )


@verb(app, "rollback", example="stockctl db rollback staging --steps 1", exits=(3, 4, 5, 6, 7))
def rollback(
    session: Session,
    name: str,
    steps: Steps = None,
    to: BackTo = None,
    plan: Plan = False,
    allow_data_loss: DataLoss = False,
    skip_backup: SkipBackup = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Takes migrations back with their down scripts, the last applied one first.

    A backup is made before. Without a down script, or where rows would go, it is refused.
    """
    from stockctl.db.forecast import forecast, refuse_foreseen
    from stockctl.db.plan import plan_rollback
    from stockctl.deploy.safety import take_back

    opened = open_environment(session, name, changes=True)
    with opened.database() as database:
        files = opened.migrations()
        found = _status(database, files)
        todo = plan_rollback(found, files, steps=steps, to=to)
        drops = forecast(database, todo) if todo.reversals else ()
        show_rollback_plan(session, todo, drops)
        if plan or not todo.reversals:
            return Result(planned_rollback(todo, drops, found.head))
        if not allow_data_loss:
            refuse_foreseen(drops)
        what = f"take back {counted(len(todo.reversals), 'migration')} of {name}"
        protected = opened.environment.protected
        confirm(session, name, what, protected=protected, given=given, yes=yes)
        reverted = take_back(
            opened.environment,
            todo,
            database,
            opened.store(),
            opened.journal,
            session.progress(),
            allow_data_loss=allow_data_loss,
            backup_first=not skip_backup,
        )
        head = _head(database)
    session.output.line(
        f"{len(reverted)} taken back, the schema is at {head or 'nothing'}", style="green"
    )
    return Result({"reverted": durations(reverted), "head": head})


@verb(app, "new", example="stockctl db new add_projects_archived", exits=(2, 3), environment="none")
def new(
    session: Session,
    title: Annotated[str, typer.Argument(metavar="NAME", help="What it does, in a few words.")],
    phase: Annotated[str, typer.Option("--phase", help="expand or contract.")] = "expand",
    no_transaction: Annotated[
        bool, typer.Option("--no-transaction", help="For CREATE INDEX CONCURRENTLY and the like.")
    ] = False,
    environment: Annotated[
        str | None, typer.Option("--env", help="Whose migrations folder; default: as everywhere.")
    ] = None,
) -> Result:
    """Writes the two files of a new migration: the way up and the way down."""
    from stockctl.db.migration import Phase, new_migration

    folder = migrations_folder(session, environment)
    chosen = _phase(phase) or Phase.EXPAND
    up, down = new_migration(folder, title, chosen, not no_transaction)
    label = session.project().label
    for path in (up, down):
        session.output.line(label(path))
    return Result({"up": label(up), "down": label(down)})


def _confirm_migrations(
    session: Session, environment: Environment, todo: MigratePlan, *, given: Confirm, yes: Yes
) -> None:
    """Contract migrations take something away, and a protected environment asks for all."""
    contract = [m.id for m in todo.migrations if m.phase == "contract"]
    if not contract and not environment.protected:
        return
    what = f"apply {counted(len(todo.migrations), 'migration')} to {environment.name}"
    if contract:
        what += f"; {', '.join(contract)} take away what older releases may need"
    protected = environment.protected
    confirm(session, environment.name, what, protected=protected, given=given, yes=yes)


def migrations_folder(session: Session, environment: str | None, *, say: str = "--env NAME") -> Any:
    """The migrations folder; all environments that have one normally share it.

    Raises ConfigurationError where none is named, UsageError where it is not clear which is meant;
    `say` is how the user would name an environment.
    """
    import os
    from pathlib import Path

    from stockctl.env.layers import read_layers

    project = session.project()
    names = [session.choose(environment)] if environment else project.names()
    layers = [read_layers(project, name) for name in names]
    tables = [each.data.get("database") for each in layers]
    named = [table.get("migrations") for table in tables if isinstance(table, dict)]
    folders = {Path(folder) for folder in named if isinstance(folder, str) and folder}
    if os.environ.get("STOCKCTL_ENV") and not environment and len(folders) > 1:
        return migrations_folder(session, os.environ["STOCKCTL_ENV"], say=say)
    if len(folders) == 1:
        return folders.pop()
    if not folders:
        found = tuple(each for layer in layers for each in layer.findings)
        raise ConfigurationError("no environment has database.migrations", findings=found)
    raise UsageError("the environments have different migrations folders", hint=f"Give {say}.")


def _status(database: Database, files: tuple[Migration, ...]) -> Status:
    from stockctl.db.ledger import read_status

    return read_status(database, files)


def _head(database: Database) -> str | None:
    from stockctl.db.ledger import read_head

    return read_head(database)


def _phase(text: str | None) -> Any:
    from stockctl.db.migration import Phase

    if text is None:
        return None
    try:
        return Phase(text)
    except ValueError:
        raise UsageError(f"--phase: expected expand or contract, got {text}") from None
