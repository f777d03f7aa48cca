"""squawk's rules under codes of ours; which of them count, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.errors import ToolFailed, ToolMissing, Where
from stockctl.core.report import Finding, Severity
from stockctl.db.lint.base import Rule, add, migration
from stockctl.system import squawk
from stockctl.system.host import Host

OLDEST = "15"  # the oldest server that stockctl is for: what holds there holds later
_DEADLINE_S = 120.0  # 10 MB take it a second
_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

# Off. By us, better: see the rule named.
_OURS = {
    "ban-drop-column": "L001", "ban-drop-table": "L001", "renaming-column": "L001",
    "renaming-table": "L001", "ban-drop-view": "L001", "ban-drop-function": "L001",
    "ban-drop-type": "L001", "ban-drop-schema": "L001", "ban-drop-sequence": "L001",
    "ban-drop-domain": "L001", "renaming-object": "L001", "ban-set-schema": "L001",
    "ban-drop-default": "L001", "ban-drop-generated-expression": "L001",
    "ban-alter-identity": "L001", "ban-drop-extension": "L001",
    "adding-required-field": "L002", "adding-field-with-default": "L003",
    "changing-column-type": "L004", "require-concurrent-reindex": "L005", "prefer-repack": "L005",
    "require-concurrent-index-creation": "L010",
    "ban-concurrent-index-creation-in-transaction": "L011",
    "adding-foreign-key-constraint": "L020", "constraint-missing-not-valid": "L020",
    "disallowed-unique-constraint": "L021", "adding-serial-primary-key-field": "L021",
    "adding-not-nullable-field": "L023", "prefer-bigint-over-int": "L024",
    "prefer-bigint-over-smallint": "L024", "ban-truncate-cascade": "L031",
    "unused-ignore": "L090", "transaction-nesting": "M014", "ban-uncommitted-transaction": "M014",
}  # fmt: skip
# Off. Made moot by the runner, or a matter of taste.
_MOOT = {
    "require-timeout-settings": "the runner sets lock_timeout and statement_timeout",
    "require-lock-timeout": "the runner sets it",
    "require-statement-timeout": "the runner sets it",
    "prefer-robust-stmts": "a file and its record are one transaction: there is no half",
    "prefer-text-field": "a longer varchar costs nothing since PostgreSQL 9.2",
    "ban-drop-not-null": "it lets the running release do all that it did",
    "ban-drop-constraint": "it lets the running release do all that it did",
    "require-table-schema": "search_path is the project's choice",
}
OFF = {**{rule: f"see {code}" for rule, code in _OURS.items()}, **_MOOT}


@dataclass(frozen=True, slots=True)
class Theirs:
    """A rule of squawk that counts; `fix` where squawk's own words are not enough."""

    code: str
    severity: Severity
    fix: str


RULES = {
    "syntax-error": Theirs("L101", _ERROR, "Mend it; PostgreSQL would refuse it as well."),
    "require-concurrent-index-deletion": Theirs(
        "L102", _WARNING, "DROP INDEX CONCURRENTLY, in a file with `-- transactional: false`."
    ),
    "prefer-timestamp-tz": Theirs("L103", _WARNING, "timestamptz."),
    "ban-char-field": Theirs("L104", _WARNING, "text, with a CHECK on the length if it matters."),
    "prefer-identity": Theirs("L105", _INFO, "bigint GENERATED ALWAYS AS IDENTITY."),
    "require-enum-value-ordering": Theirs("L106", _INFO, "Say BEFORE or AFTER which value."),
    "identifier-too-long": Theirs("L107", _ERROR, "63 bytes at most."),
    "require-concurrent-partition-detach": Theirs(
        "L108", _WARNING, "DETACH PARTITION … CONCURRENTLY, with `-- transactional: false`."
    ),
    "ban-create-domain-with-constraint": Theirs("L109", _INFO, "A CHECK on the column."),
    "ban-alter-domain-with-add-constraint": Theirs("L110", _WARNING, "A CHECK on the column."),
    "ban-drop-database": Theirs("L111", _ERROR, "Not in a migration."),
}
_OTHER = Theirs("L199", _WARNING, "See https://squawkhq.com/docs/rules.")
_BROKEN = "L198"


def lint(names: Sequence[str], folder: Path, host: Host) -> Iterator[Finding]:
    """What squawk says of these files of `folder`; the file of a finding is one of `names`.

    A file that ends it is a finding of its own and takes no other file's away. Raises ToolMissing.
    """
    if not names:
        return
    command = squawk.lint(names, folder, version=OLDEST, squawk=squawk.program())
    try:
        done = host.run(command, timeout_s=_DEADLINE_S, check=False)
    except ToolMissing as error:
        hint = "It comes with stockctl: python -m pip install 'squawk-cli>=2.70,<3'"
        raise ToolMissing(str(error), hint=hint) from error
    remarks = squawk.remarks(done)
    if remarks is None and len(names) > 1:
        half = len(names) // 2
        yield from lint(names[:half], folder, host)
        yield from lint(names[half:], folder, host)
    elif remarks is None:
        if done.exit_code == 2:  # it did not like how we called it
            raise ToolFailed("squawk does not take our command", details=done.stderr)
        fix = "Check it with `stockctl db prove ENV`."
        yield Finding(_BROKEN, _WARNING, "squawk cannot read this file", Where(names[0]), fix)
    else:
        yield from _findings(remarks)


def _findings(remarks: Sequence[squawk.Remark]) -> Iterator[Finding]:
    seen: set[tuple[str, int]] = set()
    for each in remarks:
        if each.rule in OFF:
            continue
        known = RULES.get(each.rule, _OTHER)
        if each.rule == "syntax-error":  # the first one of a line; the others follow from it
            if (each.file, each.line) in seen:
                continue
            seen.add((each.file, each.line))
        message = f"{' '.join(each.message.split())} ({each.rule})"
        where = Where(each.file, each.line, each.column)
        fix = known.fix if known is not _OTHER else each.help or known.fix
        yield Finding(known.code, known.severity, message, where, fix)


def _register(rule: str, what: str, why: str, bad: str, good: str, down: str = "SELECT 1;") -> None:
    """`down` is the down script of both examples; `NAME` in it stands for what each creates."""
    known = RULES[rule]
    bad_name, good_name = (text.split()[2] for text in (bad, f"{good} . ."))
    files = (
        migration(f"{bad}\n", f"{down.replace('NAME', bad_name)}\n"),
        migration(f"{good}\n", f"{down.replace('NAME', good_name)}\n"),
    )
    why = f"{why} squawk's rule {rule}."
    add(Rule(known.code, known.severity, rule, what, why, *files))


_NO = "-- transactional: false\n\n"
_register(
    "syntax-error",
    "PostgreSQL's grammar does not know this.",
    "The migration would fail. squawk has a parser of its own and knows the grammar of"
    " PostgreSQL 18; should it be wrong, say so in an ignore.",
    "SELEC 1 + 1;",
    "SELECT 1;",
)
_register(
    "require-concurrent-index-deletion",
    "An index is dropped without CONCURRENTLY.",
    "It waits for every query on the table, and everybody waits behind it.",
    "DROP INDEX users_email;",
    f"{_NO}DROP INDEX CONCURRENTLY users_email;",
    "CREATE INDEX CONCURRENTLY users_email ON users (email);",
)
_register(
    "prefer-timestamp-tz",
    "`timestamp` without time zone.",
    "The offset is thrown away when a value is stored, and two instants hours apart look alike.",
    "CREATE TABLE visits (at timestamp);",
    "CREATE TABLE visits (at timestamptz);",
    "DROP TABLE visits;",
)
_register(
    "ban-char-field",
    "`char(n)`.",
    "It is filled up with spaces, which come back in results and count in none of the comparisons.",
    "CREATE TABLE countries (code char(2));",
    "CREATE TABLE countries (code text CHECK (length(code) = 2));",
    "DROP TABLE countries;",
)
_register(
    "prefer-identity",
    "A serial column.",
    "Its sequence has an owner and rights of its own, and a copied table shares it.",
    "CREATE TABLE notes (id bigserial PRIMARY KEY);",
    "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);",
    "DROP TABLE notes;",
)
_register(
    "require-enum-value-ordering",
    "A value is added to an enum, and where is not said.",
    "It goes to the end, which is how it sorts and compares; that cannot be changed later.",
    "ALTER TYPE mood ADD VALUE 'calm';",
    "ALTER TYPE mood ADD VALUE 'calm' AFTER 'sad';",
)
_LONG = "a_name_of_more_than_sixty_three_bytes_which_postgresql_cuts_off_somewhere"
_register(
    "identifier-too-long",
    "A name of more than 63 bytes.",
    "PostgreSQL cuts it off with no more than a notice, and two such names may become one.",
    f"CREATE TABLE {_LONG} (id bigint);",
    "CREATE TABLE a_name (id bigint);",
    "DROP TABLE NAME;",
)
_register(
    "require-concurrent-partition-detach",
    "A partition is detached without CONCURRENTLY.",
    "The whole partitioned table is locked for it.",
    "ALTER TABLE visits DETACH PARTITION visits_2024;",
    f"{_NO}ALTER TABLE visits DETACH PARTITION visits_2024 CONCURRENTLY;",
)
_register(
    "ban-create-domain-with-constraint",
    "A domain with a constraint.",
    "Changing the constraint later checks every column of that type at once, behind locks.",
    "CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);",
    "CREATE DOMAIN amount AS bigint;",
    "DROP DOMAIN NAME;",
)
_register(
    "ban-alter-domain-with-add-constraint",
    "A constraint is added to a domain.",
    "Every column of that type in every table is checked behind locks.",
    "ALTER DOMAIN amount ADD CONSTRAINT positive CHECK (VALUE > 0);",
    "ALTER DOMAIN amount SET DEFAULT 0;",
)
_register(
    "ban-drop-database",
    "DROP DATABASE.",
    "A migration belongs to one database and must not take another away.",
    f"{_NO}DROP DATABASE archive;",
    "SELECT 1;",
)
add(
    Rule(
        _BROKEN,
        _WARNING,
        "squawk-cannot-read",
        "squawk ends before it is through with this file.",
        "An expression nested some 20,000 deep does it. The other rules hold all the same.",
        {},
        {},
    )
)
add(
    Rule(
        _OTHER.code,
        _WARNING,
        "another-rule-of-squawk",
        "A rule of a newer squawk, for which stockctl has no code yet.",
        "Its name is in the message. It can be ignored like the others.",
        {},
        {},
    )
)
