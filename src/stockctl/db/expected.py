"""The schema that migrations give: run one after the other on a scratch database, then read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from stockctl.core.errors import Refused
from stockctl.db.catalog.nouns import Catalog
from stockctl.db.catalog.read import read_catalog
from stockctl.db.ledger import compare
from stockctl.db.migration import Migration
from stockctl.db.proof.reach import reaching, refuse_reaching
from stockctl.db.proof.trial import Script, Trial
from stockctl.db.record import TABLE, Stage, read_records
from stockctl.db.scratch import Scratch
from stockctl.db.session import Limits

_TEXTS = "SELECT id, up, transactional FROM {} WHERE up IS NOT NULL"


def expected_schema(
    scratch: Scratch, scripts: Sequence[Script], limits: Limits, *, shared: bool
) -> Catalog:
    """Raises Refused where a script reaches out of its database and others are on the server;
    MigrationFailed when one does not run on an empty database."""
    if shared:
        refuse_reaching(reaching([(each.file, each.text) for each in scripts]))
    database = scratch.create()
    trial = Trial(database, limits, shared=shared)
    try:
        for script in scripts:
            trial.run(script)
        return trial.catalog()
    finally:
        trial.close()
        scratch.drop(database)


def live_schema(connection: Connection[Any]) -> Catalog:
    """The schema of a database in which others are at work: one moment of it. Changes nothing,
    and needs no right but to connect."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        return read_catalog(connection)
    finally:
        connection.execute("ROLLBACK")


def applied_scripts(
    connection: Connection[Any], migrations: Sequence[Migration]
) -> tuple[Script, ...]:
    """What a database has applied, in that order: the text as it was applied, from the ledger's
    copy, else the file.

    Raises Refused for one that is half applied, or that plain yoyo applied and whose file is gone.
    """
    status = compare(migrations, read_records(connection))
    dirty = [entry for entry in status.entries if entry.stage not in (None, Stage.APPLIED)]
    if dirty:
        raise Refused(
            f"{dirty[0].id} is dirty: nobody can say what the schema should be",
            hint=f"First {dirty[0].advice}",
        )
    texts = _texts(connection)
    files = {each.id: (str(each.path), each.up, each.transactional) for each in migrations}
    scripts = []
    for entry in status.applied:
        found = texts.get(entry.id) or files.get(entry.id)
        if found is None:
            raise Refused(
                f"{entry.id} is applied, its file is not here, and the ledger has no copy of it",
                hint=f"Bring {entry.id}.sql back, or work from the version that has it.",
            )
        scripts.append(Script(entry.id, *found))
    return tuple(scripts)


def _texts(connection: Connection[Any]) -> dict[str, tuple[str, str, bool]]:
    found = connection.execute("SELECT to_regclass(%s)::text", (TABLE,)).fetchone()
    if found is None or found[0] is None:
        return {}
    rows = connection.execute(_TEXTS.format(found[0]).encode()).fetchall()
    return {identity: (f"{TABLE}.up of {identity}", text, plain) for identity, text, plain in rows}
