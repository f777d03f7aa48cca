"""What the release that is still running would miss."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.db.lint.acts import Act
from stockctl.db.lint.base import Subject, found, migration, rule
from stockctl.db.lint.schema import column_type, default
from stockctl.db.lint.types import is_wider

_FIX = "Put `-- phase: contract` at the top: it runs when no release needs it any more."
_DROPS = (
    "TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE", "TYPE", "DOMAIN", "SCHEMA",
    "FUNCTION", "PROCEDURE", "AGGREGATE", "EXTENSION",
)  # fmt: skip
_HOLDING = ("TABLE", "SEQUENCE", "SCHEMA")  # what is in them does not come back with the name
_STRICTER = (
    "SET NOT NULL", "DROP DEFAULT", "DROP EXPRESSION", "DROP IDENTITY", "SET GENERATED",
    "ADD GENERATED",
)  # fmt: skip
_RENAMES = ("RENAME TABLE", "RENAME COLUMN", "SET SCHEMA", *(f"RENAME {kind}" for kind in _DROPS))


@rule(
    "L001",
    Severity.ERROR,
    bad=migration(
        "ALTER TABLE users DROP COLUMN nickname;\n", "ALTER TABLE users ADD COLUMN nickname text;\n"
    ),
    good=migration(
        "-- phase: contract\n\nALTER TABLE users DROP COLUMN nickname;\n",
        "ALTER TABLE users ADD COLUMN nickname text;\n",
    ),
)
def contract_in_expand(subject: Subject) -> Iterator[Finding]:
    """Something that the running release may use is dropped, renamed or made stricter in a
    migration of the expand phase.

    `deploy` applies expand migrations while the previous release serves, and a rollback brings
    that release back to the schema as it is then. What takes away waits, in a file with
    `-- phase: contract`, until no release needs it. What the file has made itself, and a view,
    function or type that it makes anew, may go.
    """
    if subject.contract:
        return
    for act in subject.acts:
        if what := _takes_away(subject, act):
            yield found("L001", subject, act, f"{what}, which the running release may need", _FIX)


def _takes_away(subject: Subject, act: Act) -> str:
    """What it takes away, in words; empty when nothing."""
    source, column = subject.source, (act.table, act.name)
    verb, _, kind = act.verb.partition(" ")
    if verb == "DROP" and kind in _DROPS:
        made = source.created.get((f"CREATE {kind}", act.name))
        own = made is not None and (kind not in _HOLDING or made < act.statement)
        return "" if own else f"drops {kind.lower()} {act.name}"
    if act.table in source.new_tables:
        return ""
    if column in source.new_columns:
        strict = act.verb == "SET NOT NULL" and column not in source.filled_columns
        return f"SET NOT NULL on {act.table}.{act.name} without a default" if strict else ""
    if act.verb == "DROP COLUMN":
        return f"drops column {act.table}.{act.name}"
    if act.verb in _RENAMES:
        done = "moves" if act.verb == "SET SCHEMA" else "renames"
        dotted = f".{act.name}" if act.verb == "RENAME COLUMN" else ""
        return f"{done} {act.table}{dotted}"
    if act.verb in _STRICTER:
        return f"{act.verb} on {act.table}.{act.name}"
    old = subject.before.types.get((act.table, act.name))
    if act.verb == "COLUMN TYPE" and old and not is_wider(old, column_type(act)):
        return f"changes {act.table}.{act.name} from {old} to {column_type(act)}"
    return ""


@rule(
    "L002",
    Severity.ERROR,
    bad=migration(
        "ALTER TABLE users ADD COLUMN plan text NOT NULL;\n",
        "ALTER TABLE users DROP COLUMN plan;\n",
    ),
    good=migration(
        "ALTER TABLE users ADD COLUMN plan text NOT NULL DEFAULT 'free';\n",
        "ALTER TABLE users DROP COLUMN plan;\n",
    ),
)
def required_column(subject: Subject) -> Iterator[Finding]:
    """A column is added to an existing table with NOT NULL and without a default.

    With a row in the table it fails. On an empty one it works, and then each INSERT of the running
    release fails, since it does not know the column. (squawk's adding-required-field says it also
    of a table that the same file makes.)
    """
    for act in subject.on_old_tables("ADD COLUMN"):
        words = " ".join(act.words)
        given = "GENERATED" in act.words or "SERIAL" in words or default(act)
        if not given and ("NOT NULL" in words or "PRIMARY KEY" in words):
            message = f"{act.table}.{act.name} is required, and no row has a value for it"
            yield found("L002", subject, act, message, "Give it a DEFAULT, or leave NOT NULL out.")
