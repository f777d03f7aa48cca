"""Indexes, and what can and cannot run in a transaction."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.db.lint.acts import Act
from stockctl.db.lint.base import Subject, found, migration, rule

_ALONE_BY_NATURE = (
    "CREATE DATABASE", "DROP DATABASE", "CREATE TABLESPACE", "DROP TABLESPACE", "ALTER SYSTEM",
)  # fmt: skip
_BY_ITSELF = ("RENAME", "VALIDATE", "SET SCHEMA", "ATTACH", "DETACH")
_BY_CHOICE = ("DO", "CALL", "ADD VALUE")
_ALONE = "A file of its own with `-- transactional: false` at the top."


@rule(
    "L010",
    Severity.ERROR,
    down=Severity.WARNING,
    bad=migration("CREATE INDEX users_email ON users (email);\n", "DROP INDEX users_email;\n"),
    good=migration(
        "-- transactional: false\n\nCREATE INDEX CONCURRENTLY users_email ON users (email);\n",
        "-- transactional: false\n\nDROP INDEX CONCURRENTLY users_email;\n",
    ),
)
def index_without_concurrently(subject: Subject) -> Iterator[Finding]:
    """An index is built on an existing table without CONCURRENTLY.

    Writes to the table wait until it is built. An index on a table that the same file makes is
    fine, and so is one ON ONLY the parent of partitions, which builds nothing. squawk's
    require-concurrent-index-creation knows neither the phase nor the header; it is off.
    """
    for act in subject.on_old_tables("CREATE INDEX"):
        if not act.concurrently and "ONLY" not in act.words:
            message = f"blocks writes to {act.table} while the index is built"
            fix = f"CREATE INDEX CONCURRENTLY. {_ALONE}"
            yield found("L010", subject, act, message, fix)


def _cannot_be_undone(act: Act) -> str:
    """What PostgreSQL refuses in a transaction (PreventInTransactionBlock in its source)."""
    if act.verb == "VACUUM":
        return "VACUUM"
    if act.verb == "REFRESH":
        return ""
    if act.verb == "REINDEX" and {"DATABASE", "SYSTEM"} & {*act.words[:6]}:
        return "REINDEX of all tables"
    if act.verb == "CLUSTER" and not act.table:
        return "CLUSTER of all tables"
    if act.verb in _ALONE_BY_NATURE:
        return act.verb
    if act.verb == "ALTER DATABASE" and "TABLESPACE" in act.words:
        return "ALTER DATABASE … SET TABLESPACE"
    return f"{act.verb} CONCURRENTLY" if act.concurrently else ""


@rule(
    "L011",
    Severity.ERROR,
    down=Severity.ERROR,
    bad=migration("CREATE INDEX CONCURRENTLY users_email ON users (email);\n"),
    good=migration(
        "-- transactional: false\n\nCREATE INDEX CONCURRENTLY users_email ON users (email);\n",
        "-- transactional: false\n\nDROP INDEX CONCURRENTLY users_email;\n",
    ),
)
def not_in_a_transaction(subject: Subject) -> Iterator[Finding]:
    """A statement that PostgreSQL refuses inside a transaction, in a file that runs in one.

    CONCURRENTLY, VACUUM, CREATE DATABASE and the like: it would fail, at the earliest on the first
    database. The header of the up script counts for the down script as well. (squawk's
    ban-concurrent-index-creation-in-transaction does not know the header.)
    """
    if not subject.transactional:
        return
    for act in subject.acts:
        if what := _cannot_be_undone(act):
            yield found("L011", subject, act, f"{what} cannot run in a transaction", _ALONE)


@rule(
    "L012",
    Severity.WARNING,
    bad=migration(
        "-- transactional: false\n\nALTER TABLE users ADD COLUMN plan text;\n",
        "ALTER TABLE users DROP COLUMN plan;\n",
    ),
    good=migration(
        "ALTER TABLE users ADD COLUMN plan text;\n", "ALTER TABLE users DROP COLUMN plan;\n"
    ),
)
def needless_no_transaction(subject: Subject) -> Iterator[Finding]:
    """`-- transactional: false`, and the statement could run in a transaction.

    In a transaction the statement and its record are one: whatever happens, either both are there
    or neither. Outside one a person may have to look. CALL and DO may commit by themselves, and
    ALTER TYPE … ADD VALUE may be wanted for good at once: these are fine.
    """
    header = subject.up.header("transactional")
    if subject.transactional or header is None or len(subject.source.statements) != 1:
        return
    acts = subject.acts
    ours = any(_cannot_be_undone(act) or act.verb in _BY_CHOICE for act in acts)
    if not ours:
        where = Where(subject.source.label, header.line, 1)
        message = "the statement needs no `transactional: false`"
        yield Finding("L012", Severity.WARNING, message, where, "Take the header out.")


@rule(
    "L013",
    Severity.WARNING,
    down=Severity.WARNING,
    bad=migration(
        "ALTER TABLE users ADD COLUMN a text;\n"
        "ALTER TABLE users ADD COLUMN b text;\n"
        "ALTER TABLE users ADD COLUMN c text;\n",
        "ALTER TABLE users DROP COLUMN a, DROP COLUMN b, DROP COLUMN c;\n",
    ),
    good=migration(
        "ALTER TABLE users\n"
        "    ADD COLUMN a text,\n    ADD COLUMN b text,\n    ADD COLUMN c text;\n",
        "ALTER TABLE users DROP COLUMN a, DROP COLUMN b, DROP COLUMN c;\n",
    ),
)
def many_alters(subject: Subject) -> Iterator[Finding]:
    """Three or more ALTER TABLE of one existing table, which could be one.

    Each asks for the lock and, where it has to, reads or writes the table again; in one statement
    that is done once.
    """
    seen: dict[str, dict[int, Act]] = {}
    for act in subject.acts:
        head = subject.source.statements[act.statement].head
        joinable = not act.verb.startswith(_BY_ITSELF)
        if (
            head[:2] == ("ALTER", "TABLE")
            and joinable
            and act.table not in subject.source.new_tables
        ):
            seen.setdefault(act.table, {}).setdefault(act.statement, act)
    for table, alters in seen.items():
        if len(alters) >= 3:
            last = list(alters.values())[-1]
            message = f"{table} is altered by {len(alters)} statements"
            yield found("L013", subject, last, message, "Join them: ALTER TABLE … a, b, c.")
