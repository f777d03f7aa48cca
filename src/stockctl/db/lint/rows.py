"""What a migration does to rows, and to more than it names."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.db.lint.base import Subject, found, migration, rule
from stockctl.db.lint.words import Piece, outside, pieces


@rule(
    "L030",
    Severity.WARNING,
    down=Severity.WARNING,
    bad=migration("UPDATE users SET plan = 'free';\n"),
    good=migration("UPDATE users SET plan = 'free' WHERE id BETWEEN 1 AND 10000;\n"),
)
def whole_table_written(subject: Subject) -> Iterator[Finding]:
    """UPDATE or DELETE without WHERE on an existing table.

    Every row is locked until the migration ends, and the table doubles in size. Fill old rows in
    batches of some thousands, in a migration with `-- transactional: false` and a DO block that
    commits, or from the application.
    """
    for act in subject.on_old_tables("UPDATE", "DELETE"):
        if "WHERE" not in set(outside(act.words)):
            message = f"{act.verb} of all rows of {act.table} at once"
            yield found("L030", subject, act, message, "Do it in batches, with a WHERE.")


@rule(
    "L031",
    Severity.ERROR,
    down=Severity.ERROR,
    bad=migration("-- phase: contract\n\nTRUNCATE visits;\n"),
    good=migration("DELETE FROM visits WHERE seen_at < now() - interval '1 year';\n"),
)
def truncate(subject: Subject) -> Iterator[Finding]:
    """TRUNCATE of an existing table.

    All rows are gone, no down script brings them back, and with CASCADE those of other tables go
    as well. If that is meant, say why in an ignore. (Wider than squawk's ban-truncate-cascade.)
    """
    for act in subject.on_old_tables("TRUNCATE"):
        yield found(
            "L031", subject, act, f"throws away all rows of {act.table}", "Delete by WHERE."
        )


@rule(
    "L032",
    Severity.ERROR,
    down=Severity.ERROR,
    bad=migration(
        "-- phase: contract\n\nDROP VIEW active_users CASCADE;\n",
        "CREATE VIEW active_users AS SELECT 1;\n",
    ),
    good=migration(
        "-- phase: contract\n\nDROP VIEW active_users;\n",
        "CREATE VIEW active_users AS SELECT 1;\n",
    ),
)
def drop_cascade(subject: Subject) -> Iterator[Finding]:
    """DROP … CASCADE.

    It takes along whatever depends on it, also what nobody thought of, and the down script does not
    know what that was. Name each thing that goes.
    """
    for act in subject.acts:
        if act.verb.startswith("DROP ") and act.cascade:
            message = f"{act.verb} {act.name} takes along what depends on it"
            yield found(
                "L032", subject, act, message, "Drop each of them by name, without CASCADE."
            )


@rule(
    "L033",
    Severity.ERROR,
    bad=migration(
        "ALTER TYPE mood ADD VALUE 'calm' AFTER 'sad';\n"
        "UPDATE users SET mood = 'calm' WHERE mood = 'sad';\n"
    ),
    good={
        **migration("ALTER TYPE mood ADD VALUE 'calm' AFTER 'sad';\n"),
        **migration("UPDATE users SET mood = 'calm' WHERE mood = 'sad';\n", name="0003_use"),
    },
)
def enum_value_used_at_once(subject: Subject) -> Iterator[Finding]:
    """A value is added to an enum and used in the same transaction.

    PostgreSQL refuses it: "unsafe use of new value" of an enum type, unless the file has made the
    type itself (https://www.postgresql.org/docs/current/sql-altertype.html#SQL-ALTERTYPE-NOTES).
    """
    source = subject.source
    made = {act.name for act in source.all("CREATE TYPE")}
    for act in source.all("ADD VALUE") if subject.transactional else ():
        value = next((word for word in act.words if word.startswith("'")), "")
        later = source.statements[act.statement + 1 :]
        if act.name in made or not value:
            continue
        for statement in later:
            uses = value in source.text[statement.start : statement.end]
            words = pieces(source.text, statement.start, statement.end) if uses else ()
            if any(piece.word == value for piece in words):
                message = f"{value} is used in the transaction that adds it to {act.name}"
                at = Piece(value, next(p.start for p in words if p.word == value))
                where = source.where(at.start)
                fix = "Add it in a migration of its own, before this one."
                yield Finding("L033", Severity.ERROR, message, where, fix)
                break


@rule(
    "L034",
    Severity.INFO,
    down=Severity.INFO,
    bad=migration("DO $$ BEGIN PERFORM 1; END $$;\n"),
    good=migration("SELECT 1;\n"),
)
def unseen_block(subject: Subject) -> Iterator[Finding]:
    """A DO block: what it does is not seen here.

    None of the rules looks inside, and neither does squawk. `stockctl db prove` runs it.
    """
    for act in subject.source.all("DO"):
        yield found("L034", subject, act, "what this block does is not looked at", "Read it twice.")
