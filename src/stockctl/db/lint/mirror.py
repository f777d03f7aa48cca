"""Does the down script take back what the up script did, and nothing else?

Only by names: `db prove` runs both on a scratch database and knows for certain. Nothing is said
where a DO block does part of the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stockctl.core.report import Finding, Severity
from stockctl.db.lint.acts import Act
from stockctl.db.lint.base import Source, Subject, found, migration, rule
from stockctl.db.lint.words import canonical

_KINDS = (
    "TABLE", "INDEX", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE", "TYPE", "DOMAIN",
    "SCHEMA", "FUNCTION", "PROCEDURE", "TRIGGER", "POLICY", "EXTENSION", "COLUMN", "CONSTRAINT",
)  # fmt: skip
_INSIDE_TABLE = ("INDEX", "TRIGGER", "POLICY", "COLUMN", "CONSTRAINT")
Thing = tuple[str, str]  # TABLE, users


def _things(source: Source, verbs: Iterable[str]) -> dict[Thing, Act]:
    """What is made (CREATE, ADD) or dropped, by kind and name: without the schema, which one of the
    two scripts may leave out; a column with its table's."""
    found: dict[Thing, Act] = {}
    for act in source.acts:
        verb, _, kind = act.verb.partition(" ")
        passing = {"TEMP", "TEMPORARY"} & {*act.words[1:3]}  # gone by itself
        if verb in verbs and kind in _KINDS and act.name and not passing:
            inside = f"{_bare(act.table)}." if kind in ("COLUMN", "CONSTRAINT") else ""
            found.setdefault((kind, inside + _bare(act.name)), act)
    return found


def _renamed(source: Source) -> bool:
    return any(act.verb.startswith("RENAME") or act.verb == "SET SCHEMA" for act in source.acts)


def _comparable(subject: Subject) -> bool:
    other = subject.other
    both = [subject.source, other] if other else []
    return bool(both) and not any(_renamed(each) or any(each.all("DO")) for each in both)


def _bare(name: str) -> str:
    """Without the schema, which one of the two may leave out."""
    return name.rpartition(".")[2]


@rule(
    "L040",
    Severity.WARNING,
    bad=migration("CREATE TABLE notes (id bigint);\n", "SELECT 1;\n"),
    good=migration("CREATE TABLE notes (id bigint);\n", "DROP TABLE notes;\n"),
)
def left_behind(subject: Subject) -> Iterator[Finding]:
    """The up script makes something that the down script does not drop.

    After a rollback it is still there, and the next `db migrate` fails on it.
    """
    if not _comparable(subject) or subject.other is None:
        return
    dropped = _things(subject.other, ("DROP",))
    columns = {each.name for (what, _), each in dropped.items() if what == "COLUMN"}
    gone = _things(subject.source, ("DROP",))
    for thing, act in _things(subject.source, ("CREATE", "ADD")).items():
        if thing in dropped or thing in gone or _goes_along(thing[0], act, dropped, columns):
            continue
        message = f"the down script does not drop {thing[0].lower()} {thing[1]}"
        down = subject.other.script.path.name
        yield found("L040", subject, act, message, f"Drop it in {down}.")


def _goes_along(kind: str, act: Act, dropped: dict[Thing, Act], columns: set[str]) -> bool:
    """With its table, its schema or, if it is a constraint or an index, with one of its columns."""
    if "REPLACE" in act.words[:3]:  # it may have been there before
        return True
    if ("SCHEMA", act.name.partition(".")[0]) in dropped:
        return True
    if kind in _INSIDE_TABLE and ("TABLE", _bare(act.table)) in dropped:
        return True
    return kind in ("CONSTRAINT", "INDEX") and any(canonical(word) in columns for word in act.words)


@rule(
    "L041",
    Severity.ERROR,
    down=Severity.ERROR,
    bad=migration("CREATE TABLE notes (id bigint);\n", "DROP TABLE notes;\nDROP TABLE users;\n"),
    good=migration("CREATE TABLE notes (id bigint);\n", "DROP TABLE notes;\n"),
)
def drops_what_was_there(subject: Subject) -> Iterator[Finding]:
    """The down script drops something that the up script did not make.

    It was there before the migration, with its rows, and a rollback would take it away.
    """
    if not subject.down or not _comparable(subject) or subject.other is None:
        return
    made = _things(subject.other, ("CREATE", "ADD"))
    again = _things(subject.source, ("CREATE", "ADD"))
    for thing, act in _things(subject.source, ("DROP",)).items():
        inside = thing[0] in _INSIDE_TABLE and ("TABLE", _bare(act.table)) in made
        # a constraint may have a name that PostgreSQL gave it
        if thing not in made and thing not in again and not inside and thing[0] != "CONSTRAINT":
            message = f"{thing[0].lower()} {thing[1]} is not made by {subject.up.path.name}"
            yield found("L041", subject, act, message, "Take it out of the down script.")


@rule(
    "L042",
    Severity.WARNING,
    bad=migration("-- phase: contract\n\nALTER TABLE users DROP COLUMN nickname;\n", "SELECT 1;\n"),
    good=migration(
        "-- phase: contract\n\nALTER TABLE users DROP COLUMN nickname;\n",
        "ALTER TABLE users ADD COLUMN nickname text;\n",
    ),
)
def not_brought_back(subject: Subject) -> Iterator[Finding]:
    """The up script drops something that the down script does not make again.

    After a rollback the release before looks for it. If it cannot be brought back, say so: delete
    the down script and write `-- irreversible: why` at the top of the file.
    """
    if not _comparable(subject) or subject.other is None:
        return
    made = _things(subject.other, ("CREATE", "ADD"))
    again = _things(subject.source, ("CREATE", "ADD"))
    nameless = {_bare(act.table) for act in subject.other.all("ADD CONSTRAINT") if not act.name}
    tables = {_bare(act.name) for act in subject.other.all("CREATE TABLE")}
    for (kind, name), act in _things(subject.source, ("DROP",)).items():
        table = _bare(act.table)
        inside = kind in _INSIDE_TABLE and kind != "INDEX" and table in tables
        unnamed = kind == "CONSTRAINT" and table in nameless
        if (kind, name) not in made and (kind, name) not in again and not inside and not unnamed:
            message = f"the down script does not bring {kind.lower()} {name} back"
            fix = f"Make it again in {subject.other.script.path.name}."
            yield found("L042", subject, act, message, fix)
