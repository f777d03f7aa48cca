"""The codes of what is found while files are read, and of the ignores. None can be ignored:
`db migrate` refuses the folder for the M-codes anyway."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.db.lint.base import Rule, Source, add, migration

_FILES = {
    "M001": "there is no such folder",
    "M002": "a name that is not like `0042_add_users.sql`",
    "M003": "two migrations have one number",
    "M004": "`NAME.down.sql`: yoyo would apply it as a migration;"
    " down scripts are `NAME.rollback.sql`",
    "M005": "a down script without its migration",
    "M006": "a migration without down script and without `-- irreversible: why`",
    "M007": "not UTF-8, a NUL byte, or cannot be read",
    "M008": "a byte order mark: yoyo ignores the headers after one",
    "M009": "a header that is ignored where it stands, or because of a capital letter",
    "M010": "a header with a value that it cannot have, or twice",
    "M011": "`depends:` names a migration that is not there or comes later",
    "M012": "no statement in it",
    "M013": "more than one statement outside a transaction",
    "M014": "BEGIN, COMMIT or the like, which would end the transaction that the file runs in",
    "M015": "`irreversible:` without a reason, or beside a down script",
    "M016": "the down script says something else about `transactional:` than the migration",
}
for _code, _what in _FILES.items():
    _why = "See docs/findings.md."
    add(Rule(_code, Severity.ERROR, "file", _what, _why, {}, {}, ignorable=False))


def _known(code: str, name: str, what: str, why: str, bad: str, good: str) -> None:
    files = migration(bad), migration(good)
    add(Rule(code, Severity.WARNING, name, what, why, *files, ignorable=False))


_known(
    "L090",
    "ignore-of-nothing",
    "An ignore that matches nothing.",
    "What it was for is gone, or it stands in the wrong place; it would hide the next one.",
    "-- stockctl: ignore L031 -- the table is a cache\nSELECT 1;\n",
    "-- stockctl: ignore L031 -- the table is a cache\nTRUNCATE visits;\n",
)
_known(
    "L091",
    "ignore-that-does-not-count",
    "An ignore without a reason, or of a code that there is not.",
    "Whoever reads it in a year has to know why it was right.",
    "-- stockctl: ignore L031\nTRUNCATE visits;\n",
    "-- stockctl: ignore L031 -- the table is a cache\nTRUNCATE visits;\n",
)
_known(
    "L092",
    "squawk-ignore",
    "A `squawk-ignore` comment.",
    "squawk heeds it, without a reason and without saying when it is not needed any more.",
    "-- squawk-ignore ban-char-field\nCREATE TEMP TABLE codes (a char(2));\n",
    "-- stockctl: ignore L104 -- as the partner sends it\nCREATE TEMP TABLE codes (a char(2));\n",
)


def squawk_ignores(source: Source) -> Iterator[Finding]:
    """They are comments, so no statement has them."""
    at = source.text.find("squawk-ignore")
    if at >= 0:
        fix = "Write `-- stockctl: ignore CODE -- why` instead."
        message = "an ignore for squawk, which has no reason"
        yield Finding("L092", Severity.WARNING, message, source.where(at), fix)
