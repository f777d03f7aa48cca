"""`stockctl db prove`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.db import app, migrations_folder
from stockctl.cli.prove_view import data, differing, findings, rows, summary
from stockctl.cli.schema_view import coloured
from stockctl.cli.session import Result, Session
from stockctl.cli.table import Row
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment, private_folder
from stockctl.core.errors import DatabaseFailed, UsageError

if TYPE_CHECKING:
    from stockctl.backup.manifest import Backup
    from stockctl.db.migration import Migration
    from stockctl.db.proof.nouns import Proof
    from stockctl.system.postgres import Database

STATEMENT_TIMEOUT_S = 900.0


class Format(StrEnum):
    """How a proof is shown."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


Where = Annotated[
    str | None,
    typer.Argument(metavar="ENV", help="Whose server and migrations; --embedded needs none."),
]
Since = Annotated[str | None, typer.Option("--from", metavar="ID", help="This one and later ones.")]
Only = Annotated[str | None, typer.Option("--only", metavar="ID", help="This one.")]
Pending = Annotated[
    bool, typer.Option("--pending", help="Those that the database has not applied.")
]
NoRows = Annotated[bool, typer.Option("--no-rows", help="The schema only, on empty tables.")]
WithData = Annotated[
    bool, typer.Option("--with-data", help="Also on the rows of the latest backup.")
]
Embedded = Annotated[
    bool, typer.Option("--embedded", help="On a server of stockctl's own; no database is needed.")
]
Shown = Annotated[Format, typer.Option("--format", help="github: annotations of the files.")]


@verb(
    app,
    "prove",
    example="stockctl db prove staging\nstockctl db prove staging --pending"
    "\nstockctl db prove --embedded --format github",
    exits=(2, 3, 4, 6, 7),
    environment="none",
)
def prove_migrations(
    session: Session,
    environment: Where = None,
    since: Since = None,
    only: Only = None,
    pending: Pending = False,
    no_rows: NoRows = False,
    with_data: WithData = False,
    embedded: Embedded = False,
    format_: Shown = Format.TEXT,
) -> Result:
    """Proves on a scratch database that each migration goes up, down and up again.

    After up and down the schema is what it was before, down to comments and privileges; after the
    second up what it was after the first; with empty tables and with rows in them. The live
    database is not touched. docs/proof.md says what is proved, and what is not.
    """
    from stockctl.db.proof.real import joined, prove_real
    from stockctl.db.proof.walk import Choice, prove
    from stockctl.db.scratch import scratch
    from stockctl.db.session import Limits

    _show_as(session, format_)
    if embedded and (pending or with_data):
        raise UsageError("--pending and --with-data are about an environment; --embedded has none")
    if with_data and no_rows:
        raise UsageError("give either --with-data or --no-rows")
    with _place(session, environment, embedded=embedded) as place:
        chosen = _chosen(place.server, place.migrations, since, only, pending=pending)
        choice = Choice(place.migrations, chosen, not no_rows, shared=not embedded)
        limits, progress = Limits(0, place.timeout_s), session.progress()
        backup = place.latest_backup() if with_data else None
        with scratch(place.server, "db prove", progress) as made:
            proof = prove(made, choice, limits, progress)
            if backup is not None:
                database = made.create()
                _fill(session, place, database, backup)
                proof = joined(proof, prove_real(database, choice, limits, progress))
    return _tell(session, proof, format_)


def _show_as(session: Session, chosen: Format) -> None:
    if chosen is Format.GITHUB and session.as_json:
        raise UsageError("give either --json or --format github")
    session.as_json = session.output.as_json = session.as_json or chosen is Format.JSON


@dataclass(frozen=True)
class _Place:
    """Where scratch databases are made, what is proved, how long a statement may run. `opened` is
    None on a server of our own."""

    server: Database
    migrations: tuple[Migration, ...]
    timeout_s: float
    opened: Opened | None = None

    def latest_backup(self) -> Backup:
        """Raises UsageError where there is none, BackupInvalid."""
        from stockctl.cli.backup_view import choose_backup

        assert self.opened is not None
        return choose_backup(self.opened, self.opened.store(), "latest")


@contextmanager
def _place(session: Session, environment: str | None, *, embedded: bool) -> Iterator[_Place]:
    from stockctl.db.migration import read_migrations

    if embedded:
        folder = migrations_folder(session, environment, say="its name, ENV")
        migrations = read_migrations(folder)
        with own_server(session) as server:
            yield _Place(server, migrations, STATEMENT_TIMEOUT_S)
        return
    opened = open_environment(session, session.choose(environment))
    migrations = opened.migrations()
    with opened.database() as server:
        yield _Place(server, migrations, opened.database_settings().statement_timeout, opened)


def _fill(session: Session, place: _Place, empty: Database, backup: Backup) -> None:
    from stockctl.deploy.real_rows import restore_rows

    opened, progress = place.opened, session.progress()
    assert opened is not None
    progress.say(f"with the rows of {backup.id}")
    store, environment = opened.store(), opened.environment
    restore_rows(environment, backup, store, place.server, empty, opened.journal, progress)


@contextmanager
def own_server(session: Session) -> Iterator[Database]:
    """An embedded one, for all environments of the project; no environment has such a name."""
    from stockctl.system.embedded import serve

    folder = session.project().root / ".stockctl"
    private_folder(folder)
    private_folder(folder / ".scratch")
    with serve(folder / ".scratch" / "postgres") as server:
        yield server


def _chosen(
    server: Database,
    migrations: tuple[Migration, ...],
    since: str | None,
    only: str | None,
    *,
    pending: bool,
) -> frozenset[str]:
    from stockctl.db.ledger import read_status
    from stockctl.db.plan import find

    known = [migration.id for migration in migrations]
    first = find(since, known) if since is not None else ""
    one = find(only, known) if only is not None else None
    if one and first:
        raise UsageError("give either --from or --only")
    ids = {each for each in known if each >= first and one in (None, each)}
    if pending:
        ids &= {entry.id for entry in read_status(server, migrations).pending}
    return frozenset(ids)


def _tell(session: Session, proof: Proof, format_: Format) -> Result:
    from stockctl.cli.findings import github
    from stockctl.cli.verdict import inside_checkout
    from stockctl.db.proof.rules import RULES

    output, label = session.output, session.project().label
    found = findings(proof, label)
    failed = any(finding.severity == "error" for finding in found)
    if format_ is Format.GITHUB:
        checkout = inside_checkout(session.project())
        output.write(github(found, RULES, output.clean, checkout))
    else:
        _show(session, proof)
    output.line(summary(proof), style="bold red" if failed else "green")
    code = DatabaseFailed.exit_code if failed else 0
    return Result(data(proof), found, code)


def _show(session: Session, proof: Proof) -> None:
    output = session.output
    columns = ("MIGRATION", "", "UP", "DOWN", "LOCKS")
    output.table(columns, [Row(*row) for row in rows(proof)], "no migrations to prove")
    for problem, finding in zip(
        proof.problems, findings(proof, session.project().label), strict=True
    ):
        output.lines([()])
        if not output.as_json:
            output.findings([finding], beside=False)
        output.lines(coloured(differing(problem), output.clean))
    for table in proof.unfilled:
        output.note(f"no rows could be made for {table.table}: {table.reason}", style="yellow")
    if proof.verdicts:
        output.lines([()])
