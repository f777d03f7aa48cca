"""Constraints on tables that hold rows already."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.db.lint.acts import Act
from stockctl.db.lint.base import Subject, found, migration, rule
from stockctl.db.lint.schema import default, proves_not_null

_TWO_FILES = "Add it NOT VALID, and VALIDATE CONSTRAINT in the next migration."


@rule(
    "L020",
    Severity.ERROR,
    down=Severity.WARNING,
    bad=migration(
        "ALTER TABLE users ADD CONSTRAINT users_age CHECK (age > 0);\n",
        "ALTER TABLE users DROP CONSTRAINT users_age;\n",
    ),
    good=migration(
        "ALTER TABLE users ADD CONSTRAINT users_age CHECK (age > 0) NOT VALID;\n",
        "ALTER TABLE users DROP CONSTRAINT users_age;\n",
    ),
)
def constraint_without_not_valid(subject: Subject) -> Iterator[Finding]:
    """A foreign key or a CHECK is added to an existing table without NOT VALID.

    All rows are checked while writes wait; a foreign key holds up both tables. With NOT VALID it
    counts for new rows at once, and VALIDATE CONSTRAINT in a later migration checks the old ones
    beside the running service. A new column with REFERENCES and no default has nothing to check.
    This one replaces squawk's adding-foreign-key-constraint and constraint-missing-not-valid.
    """
    for act in subject.on_old_tables("ADD CONSTRAINT", "ADD COLUMN"):
        kind = _checked(act)
        if kind and "VALID" not in act.words:
            message = f"checks every row of {act.table} for the {kind} while writes wait"
            yield found("L020", subject, act, message, _TWO_FILES)


def _checked(act: Act) -> str:
    if act.verb == "ADD COLUMN":
        return "foreign key" if "REFERENCES" in act.words and default(act) else ""
    kind = next((w for w in act.words if w in ("FOREIGN", "CHECK", "UNIQUE", "PRIMARY", "NOT")), "")
    return {"FOREIGN": "foreign key", "CHECK": "CHECK", "NOT": "NOT NULL"}.get(kind, "")


@rule(
    "L021",
    Severity.ERROR,
    down=Severity.WARNING,
    bad=migration(
        "ALTER TABLE users ADD CONSTRAINT users_email UNIQUE (email);\n",
        "ALTER TABLE users DROP CONSTRAINT users_email;\n",
    ),
    good=migration(
        "ALTER TABLE users ADD CONSTRAINT users_email UNIQUE USING INDEX users_email_index;\n",
        "ALTER TABLE users DROP CONSTRAINT users_email;\n",
    ),
)
def unique_without_index(subject: Subject) -> Iterator[Finding]:
    """UNIQUE, PRIMARY KEY or EXCLUDE is added to an existing table and builds its index itself.

    Nobody reads or writes the table until it is built. Build the index CONCURRENTLY in a migration
    before, then say USING INDEX. (squawk's disallowed-unique-constraint and
    adding-serial-primary-key-field, in one, and without those on a new table.)
    """
    for act in subject.on_old_tables("ADD CONSTRAINT", "ADD COLUMN"):
        kind = next((word for word in act.words if word in ("UNIQUE", "PRIMARY", "EXCLUDE")), "")
        if kind and "INDEX" not in act.words:
            what = "PRIMARY KEY" if kind == "PRIMARY" else kind
            message = f"{act.table} is locked while the index of {what} is built"
            fix = "CREATE UNIQUE INDEX CONCURRENTLY before, then ADD CONSTRAINT … USING INDEX."
            yield found("L021", subject, act, message, fix)


@rule(
    "L022",
    Severity.WARNING,
    down=Severity.WARNING,
    bad=migration(
        "ALTER TABLE users ADD CONSTRAINT users_age CHECK (age > 0) NOT VALID;\n"
        "ALTER TABLE users VALIDATE CONSTRAINT users_age;\n",
        "ALTER TABLE users DROP CONSTRAINT users_age;\n",
    ),
    good={
        **migration(
            "ALTER TABLE users ADD CONSTRAINT users_age CHECK (age > 0) NOT VALID;\n",
            "ALTER TABLE users DROP CONSTRAINT users_age;\n",
        ),
        **migration("ALTER TABLE users VALIDATE CONSTRAINT users_age;\n", name="0003_valid"),
    },
)
def validated_at_once(subject: Subject) -> Iterator[Finding]:
    """A constraint is added NOT VALID and validated in the same transaction.

    The lock that adding it took is held until the end, so all rows are checked behind it after
    all: NOT VALID has won nothing.
    """
    added = {(act.table, act.name) for act in subject.on_old_tables("ADD CONSTRAINT")}
    for act in subject.source.all("VALIDATE CONSTRAINT"):
        if (act.table, act.name) in added and subject.transactional:
            message = f"{act.name} is validated behind the lock that added it"
            yield found("L022", subject, act, message, "Validate it in the next migration.")


@rule(
    "L023",
    Severity.ERROR,
    down=Severity.WARNING,
    bad=migration(
        "-- phase: contract\n\nALTER TABLE users ALTER COLUMN email SET NOT NULL;\n",
        "ALTER TABLE users ALTER COLUMN email DROP NOT NULL;\n",
    ),
    good={
        **migration(
            "ALTER TABLE users\n"
            "    ADD CONSTRAINT email_is_there CHECK (email IS NOT NULL) NOT VALID;\n",
            "ALTER TABLE users DROP CONSTRAINT email_is_there;\n",
        ),
        **migration("ALTER TABLE users VALIDATE CONSTRAINT email_is_there;\n", name="0003_valid"),
        **migration(
            "-- phase: contract\n\nALTER TABLE users ALTER COLUMN email SET NOT NULL;\n",
            "ALTER TABLE users ALTER COLUMN email DROP NOT NULL;\n",
            name="0004_not_null",
        ),
    },
)
def not_null_scan(subject: Subject) -> Iterator[Finding]:
    """SET NOT NULL on an existing table without a validated CHECK (… IS NOT NULL) before.

    All rows are read behind ACCESS EXCLUSIVE. PostgreSQL 12 and later skip that where a valid CHECK
    proves it already: add one NOT VALID, validate it in the next migration, then SET NOT NULL and
    drop the CHECK. (squawk's adding-not-nullable-field does not follow the migrations before.)
    """
    before = subject.before
    here = {
        (act.table, column)
        for act in subject.source.all("ADD CONSTRAINT")
        for column in proves_not_null(act)
    }
    here |= {
        (act.table, column)
        for act in subject.source.all("VALIDATE CONSTRAINT")
        for column in before.checks.get((act.table, act.name), ())
    }
    for act in subject.on_old_tables("SET NOT NULL"):
        if (act.table, act.name) not in before.proven | here:
            message = f"reads all of {act.table} behind ACCESS EXCLUSIVE"
            fix = "CHECK (… IS NOT NULL) NOT VALID, VALIDATE in the next file, then SET NOT NULL."
            yield found("L023", subject, act, message, fix)


@rule(
    "L024",
    Severity.WARNING,
    bad=migration("CREATE TABLE notes (id serial PRIMARY KEY);\n", "DROP TABLE notes;\n"),
    good=migration(
        "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);\n",
        "DROP TABLE notes;\n",
    ),
)
def small_primary_key(subject: Subject) -> Iterator[Finding]:
    """A primary key that is counted in 32 bits or less.

    At 2,147,483,647 inserts fail, and the way to bigint rewrites the table and all that refer to
    it. squawk's prefer-bigint-over-int reports every integer, also an age or a score.
    """
    small = ("INT", "INTEGER", "INT4", "INT2", "SMALLINT", "SERIAL", "SERIAL4", "SMALLSERIAL")
    for act in subject.source.all("COLUMN", "ADD COLUMN"):
        if "PRIMARY" in act.words and any(word in small for word in act.words[1:5]):
            message = f"{act.table}.{act.name} ends at 32 bits"
            fix = "bigint GENERATED ALWAYS AS IDENTITY."
            yield found("L024", subject, act, message, fix)
