"""Which tables a migration locks, and how: for the plan, before it is applied.

From https://www.postgresql.org/docs/current/explicit-locking.html and the pages of the commands;
tests/integration/db/test_lint_facts.py asks the server. Locks that only stop other changes of the
schema's shape (ROW EXCLUSIVE and below) are left out: nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stockctl.db.lint.acts import Act, acts
from stockctl.db.lint.words import Piece, Reader
from stockctl.db.statements import split

# from weak to strong
MODES = (
    "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
)  # fmt: skip
_MAINTAIN, _SHARE, _ROWS, _EXCLUSIVE, _ACCESS = MODES
_BY_VERB = {
    "CREATE TRIGGER": _ROWS, "DROP TRIGGER": _ACCESS, "ALTER TRIGGER": _ACCESS,
    "CREATE POLICY": _ACCESS, "DROP POLICY": _ACCESS, "ALTER POLICY": _ACCESS,
    "CREATE RULE": _ACCESS, "DROP RULE": _ACCESS, "DROP TABLE": _ACCESS, "DROP VIEW": _ACCESS,
    "DROP MATERIALIZED VIEW": _ACCESS, "TRUNCATE": _ACCESS, "CLUSTER": _ACCESS,
    "VALIDATE CONSTRAINT": _MAINTAIN, "ATTACH PARTITION": _MAINTAIN, "SET STATISTICS": _MAINTAIN,
    "SET (": _MAINTAIN, "RESET (": _MAINTAIN, "CLUSTER ON": _MAINTAIN,
    "ENABLE TRIGGER": _ROWS, "DISABLE TRIGGER": _ROWS, "ALTER VIEW": _ACCESS,
}  # fmt: skip
_ALTERS = ("ADD", "DROP", "RENAME", "SET", "COLUMN", "ALTER", "RESET", "ENABLE", "DISABLE",
    "FORCE", "NO", "INHERIT", "OWNER", "REPLICA", "OF", "NOT", "DETACH")  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableLock:
    """The strongest lock on a table that was there before."""

    table: str
    mode: str

    def __str__(self) -> str:
        return f"{self.table} {self.mode}"


def expected(sql: str) -> tuple[TableLock, ...]:
    """Of a script as a whole, in the order of its tables."""
    statements = split(sql)
    new: set[str] = set()
    strongest: dict[str, str] = {}
    for act in acts(sql, statements):
        if act.verb in ("CREATE TABLE", "CREATE MATERIALIZED VIEW", "CREATE VIEW"):
            new.add(act.name)
        in_table = statements[act.statement].head[1:2] in (("TABLE",), ("FOREIGN",))
        for table, mode in _locks(act, alters=in_table):
            before = strongest.get(table, mode)
            if table and table not in new:
                strongest[table] = max(mode, before, key=MODES.index)
    return tuple(TableLock(table, mode) for table, mode in strongest.items())


def _locks(act: Act, *, alters: bool) -> Iterator[tuple[str, str]]:
    if "REFERENCES" in act.words and act.verb in (
        "ADD CONSTRAINT", "ADD COLUMN", "COLUMN", "CONSTRAINT",
    ):  # fmt: skip
        yield _referenced(act), _ROWS
    if act.verb == "LOCK":
        yield act.table, _asked_for(act)
    elif act.verb in ("VACUUM", "REINDEX", "REFRESH", "CREATE INDEX"):
        yield act.table, _of_upkeep(act)
    elif act.verb in _BY_VERB:
        yield act.table, _BY_VERB[act.verb]
    elif act.verb == "ADD CONSTRAINT" and "FOREIGN" in act.words:
        yield act.table, _ROWS
    elif act.verb == "DETACH PARTITION" and act.concurrently:
        yield act.table, _MAINTAIN
    elif alters and act.verb.split(" ")[0] in _ALTERS and act.verb != "COLUMN":
        yield act.table, _ACCESS


def _of_upkeep(act: Act) -> str:
    if act.verb == "REFRESH":
        return _EXCLUSIVE if act.concurrently else _ACCESS
    if act.verb == "VACUUM":
        return _ACCESS if "FULL" in act.words else _MAINTAIN
    return _MAINTAIN if act.concurrently else _SHARE


def _asked_for(act: Act) -> str:
    words = " ".join(act.words)
    asked = words.rpartition(" IN ")[2].partition(" MODE")[0] if " IN " in words else _ACCESS
    return asked if asked in MODES else _MAINTAIN


def _referenced(act: Act) -> str:
    at = act.words.index("REFERENCES") + 1
    return Reader([Piece(word, 0) for word in act.words[at:]]).name()
