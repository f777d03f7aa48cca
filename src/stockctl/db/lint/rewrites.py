"""What makes PostgreSQL write the whole table anew, behind a lock that shuts everybody out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stockctl.core.report import Finding, Severity
from stockctl.db.lint.base import Subject, found, migration, rule
from stockctl.db.lint.schema import column_type, default
from stockctl.db.lint.types import SERIALS, is_free

# pg_proc.provolatile is 'i' or 's', or it is no function at all but looks like a call
_STEADY = frozenset(
    """
    NOW TRANSACTION_TIMESTAMP STATEMENT_TIMESTAMP DATE_TRUNC DATE_PART EXTRACT TO_CHAR TO_DATE
    TO_TIMESTAMP TO_NUMBER MAKE_DATE MAKE_INTERVAL MAKE_TIMESTAMP MAKE_TIMESTAMPTZ TIMEZONE LOWER
    UPPER MD5 SHA256 CONCAT FORMAT LEFT RIGHT REPEAT REPLACE TRIM LENGTH ENCODE DECODE COALESCE
    NULLIF GREATEST LEAST CAST ARRAY ROW ARRAY_FILL JSONB_BUILD_OBJECT JSONB_BUILD_ARRAY
    JSON_BUILD_OBJECT JSON_BUILD_ARRAY TO_JSONB TO_JSON CURRENT_SETTING ABS ROUND FLOOR CEIL
    POWER INT4RANGE INT8RANGE NUMRANGE TSRANGE TSTZRANGE DATERANGE VARCHAR NUMERIC CHAR BIT
    CHARACTER VARYING DECIMAL TIMESTAMP TIMESTAMPTZ TIME INTERVAL CURRENT_TIMESTAMP CURRENT_TIME
    LOCALTIMESTAMP LOCALTIME IN AND OR NOT
    """.split()  # noqa: SIM905
)


def _volatile(words: Sequence[str]) -> str:
    """A function in an expression that is not known to give the same value for every row."""
    for number, word in enumerate(words[:-1]):
        if words[number + 1] == "(" and (word[0].isalpha() or word[0] in '_"'):
            qualified = number and words[number - 1] == "." and words[number - 2] != "PG_CATALOG"
            if word not in _STEADY or qualified:
                return word.lower()
    return ""


@rule(
    "L003",
    Severity.ERROR,
    down=Severity.WARNING,
    bad=migration(
        "ALTER TABLE users ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();\n",
        "ALTER TABLE users DROP COLUMN token;\n",
    ),
    good=migration(
        "ALTER TABLE users ADD COLUMN token uuid;\n"
        "ALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();\n",
        "ALTER TABLE users DROP COLUMN token;\n",
    ),
)
def volatile_default(subject: Subject) -> Iterator[Finding]:
    """A column is added to an existing table with a value that differs from row to row: a volatile
    default, GENERATED … STORED, an identity, a serial.

    All of the table is written anew behind ACCESS EXCLUSIVE. A default that is one value for all
    rows (`now()` too) costs nothing since PostgreSQL 11. Add the column without, set the default
    for new rows, fill the old ones in batches. A function that is not known here is taken for
    volatile, as PostgreSQL does unless told otherwise.
    """
    for act in subject.on_old_tables("ADD COLUMN"):
        function = _volatile(default(act))
        if function:
            why = f"the default calls {function}(), which is not known to be stable"
        elif "STORED" in act.words or "IDENTITY" in act.words:
            why = "a generated value is computed for each row"
        elif any(word in SERIALS for word in act.words):
            why = "a serial is numbered for each row"
        else:
            continue
        fix = "Add the column without it, then SET DEFAULT, then fill old rows in batches."
        yield found("L003", subject, act, f"rewrites {act.table}: {why}", fix)


@rule(
    "L004",
    Severity.ERROR,
    down=Severity.WARNING,
    bad=migration("ALTER TABLE users ALTER COLUMN id TYPE numeric;\n"),
    good={
        "0001_users.sql": "CREATE TABLE users (name varchar(50));\n",
        "0001_users.rollback.sql": "DROP TABLE users;\n",
        **migration("ALTER TABLE users ALTER COLUMN name TYPE text;\n"),
    },
)
def type_change_rewrites(subject: Subject) -> Iterator[Finding]:
    """The type of a column is changed in a way that makes PostgreSQL write all rows anew, or check
    each of them.

    That goes on behind ACCESS EXCLUSIVE. Free are a longer or unlimited varchar, varchar to text,
    a numeric with more digits and the same scale, and the like; the type before is known from the
    earlier migrations. squawk's changing-column-type cannot know it and reports them all.
    """
    for act in subject.on_old_tables("COLUMN TYPE"):
        old, new = subject.before.types.get((act.table, act.name)), column_type(act)
        if old and is_free(old, new) and "USING" not in act.words:
            continue
        before = str(old) if old else "a type that is not in the migrations"
        message = f"rewrites {act.table}: {act.name} from {before} to {new}"
        fix = "Add a new column, write both, fill it in batches, then drop the old (contract)."
        yield found("L004", subject, act, message, fix)


_STORAGE = {"SET LOGGED", "SET UNLOGGED", "SET TABLESPACE", "SET ACCESS", "IN TABLESPACE"}


@rule(
    "L005",
    Severity.ERROR,
    down=Severity.WARNING,
    bad=migration("-- transactional: false\n\nVACUUM FULL users;\n"),
    good=migration("-- transactional: false\n\nVACUUM (ANALYZE) users;\n"),
)
def heavy_lock(subject: Subject) -> Iterator[Finding]:
    """VACUUM FULL, CLUSTER, REINDEX and REFRESH MATERIALIZED VIEW without CONCURRENTLY, LOCK TABLE,
    SET LOGGED, SET TABLESPACE: a table is locked for as long as its size takes.

    Nobody reads it meanwhile (with REINDEX nobody writes it). pg_repack, or the CONCURRENTLY
    variant, do the same beside the running service. Here instead of squawk's
    require-concurrent-reindex, which does not see the others.
    """
    for act in subject.on_old_tables("VACUUM", "CLUSTER", "REINDEX", "REFRESH", "LOCK", *_STORAGE):
        words = act.words
        if act.verb in ("REINDEX", "REFRESH"):
            heavy = not act.concurrently and "NO" not in words  # REFRESH … WITH NO DATA
        else:
            heavy = act.verb != "VACUUM" or "FULL" in words
        if heavy:
            what = "VACUUM FULL" if act.verb == "VACUUM" else act.verb
            message = f"{what} locks {act.table or 'every table'} until it is through"
            yield found("L005", subject, act, message, "Use CONCURRENTLY, or pg_repack by hand.")
