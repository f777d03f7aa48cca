"""A failed statement as a person can use it: file, line, column, PostgreSQL's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from stockctl.core.errors import MigrationFailed, Refused, Where
from stockctl.db.statements import position, split

_WIDTH = 100
_LOST = (
    "The connection was lost. When the server can be reached again: stockctl db status ENV says how"
    " far it got, and the command can be run again."
)

HINTS: dict[type[psycopg.Error], str] = {
    psycopg.OperationalError: _LOST,  # without a word from the server
    psycopg.errors.AdminShutdown: _LOST,
    psycopg.errors.CrashShutdown: _LOST,
    psycopg.errors.LockNotAvailable: (
        "Another session holds a lock on the table. Try again when it is done. One attempt waits"
        " for database.lock_timeout, attempts are made for database.lock_retry."
    ),
    psycopg.errors.DiskFull: (
        "The server's disk is full. Nothing of the file is left; make room and run it again."
    ),
    psycopg.errors.QueryCanceled: (
        "If it needs the time it took, raise database.statement_timeout and run it again."
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A script that is run: of which migration, from which file."""

    id: str
    file: str
    text: str


def failed(
    identity: str, file: str, sql: str, error: psycopg.Error, done: int | None, *, before: int = 0
) -> MigrationFailed:
    """`done` statements of the script had succeeded before one failed; None: it was none of them.
    `before` is the length of what was sent ahead of it in one text, in characters.

    PostgreSQL gives a position for what it cannot parse or resolve, in characters from 1
    (https://www.postgresql.org/docs/current/protocol-error-fields.html); for the rest the
    number of results tells the statement.
    """
    said = error.diag
    exact = int(said.statement_position) - 1 - before if said.statement_position else None
    offset = min(exact, len(sql.rstrip())) if exact is not None else None
    if offset is None and done is not None and done < len(statements := split(sql)):
        offset = statements[done].start
    line, column = position(sql, offset) if offset is not None else (None, None)
    words = [said.message_detail, said.message_hint and f"Hint: {said.message_hint}", said.context]
    if line is not None and column is not None:
        words.append(_excerpt(sql, line, column))
    return MigrationFailed(
        f"{identity} failed: {said.message_primary or str(error).strip()}",
        where=Where(file, line, column if exact is not None else None),
        details="\n".join(word for word in words if word),
        hint=HINTS.get(type(error), "Mend the file and run the command again."),
    )


def _excerpt(sql: str, line: int, column: int) -> str:
    """The line with a caret below the place; of a long line the part around it."""
    text = sql.split("\n")[line - 1].rstrip("\r").replace("\t", " ")
    start = max(0, column - 1 - _WIDTH // 2) if len(text) > _WIDTH else 0
    label = f"{line}: "
    return f"{label}{text[start : start + _WIDTH]}\n{' ' * (len(label) + column - 1 - start)}^"


@contextmanager
def blamed_on(script: Source) -> Iterator[None]:
    """What only fails at COMMIT (a deferred constraint) is the file's doing all the same."""
    try:
        yield
    except psycopg.Error as error:
        raise failed(script.id, script.file, script.text, error, None) from error


@contextmanager
def said_before(count: int, verb: str) -> Iterator[None]:
    """How many went well before the one that did not."""
    try:
        yield
    except (MigrationFailed, Refused) as error:
        before = f"{count} before it {'is' if count == 1 else 'are'} {verb}. " if count else ""
        error.hint = before + error.hint
        raise
