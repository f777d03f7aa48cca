"""An empty database becomes what a backup says: restored, counted, analyzed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from stockctl.backup.archive import Contents
from stockctl.backup.archive_head import Entry
from stockctl.backup.describe import beside
from stockctl.backup.dump import Dump, small_file
from stockctl.backup.extensions import (
    bound,
    entries_to_restore,
    lay_ground,
    lay_last,
    missing_tablespaces,
)
from stockctl.backup.fingerprint import content, difference, fingerprint
from stockctl.backup.manifest import Backup
from stockctl.backup.publications import PUBLICATIONS
from stockctl.backup.restorer import Restorer
from stockctl.backup.stream import Stream
from stockctl.core.command import Command
from stockctl.core.errors import BackupInvalid, StockctlError
from stockctl.core.progress import Progress, Step
from stockctl.system.host import Host, Streaming
from stockctl.system.postgres import Database, errors
from stockctl.system.private_file import PrivateFile

_ROWS, _REST = ("--section=pre-data", "--section=data"), ("--section=post-data",)
_LOOK_S = 1.0  # between two looks at how large the copy is
# Sessions that fill a copy nobody waits for: what a crash loses is thrown away anyway.
_SETTINGS = "-c synchronous_commit=off -c maintenance_work_mem=128MB"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the dump comes from: decoded already, then in `jobs` at once; or as a stream, then what
    follows the rows in `jobs` at once."""

    backup: Backup
    contents: Contents
    archive: Dump | Stream
    jobs: int = 1
    only: frozenset[int] | None = None  # entries of the dump; None: all
    sections: tuple[str, ...] = ()  # arguments of pg_restore
    one_place: bool = False  # all of it in the copy's own tablespace


def fill(
    empty: Database, worker: Restorer, source: Source, *, host: Host, progress: Progress
) -> None:
    """Raises BackupInvalid, ToolFailed, DatabaseFailed; what is in the database then is worth
    nothing. `empty` is the copy as we enter it, `worker` who restores."""
    with progress.step("restore") as step:
        source = _with_tablespaces(empty, source, progress)
        lay_ground(empty, worker, source.backup.extensions, source.contents)
        _load(empty, worker, source, host, step)
        if isinstance(source.archive, Stream):
            with source.archive.table_of_contents(empty.tools, host) as head:
                rest = replace(source, sections=_REST)
                _from_file(empty, worker, rest, head, host, step)
        lay_last(empty, worker, source.contents)
    _finish(empty, source.backup, progress)


def _load(empty: Database, worker: Restorer, source: Source, host: Host, step: Step) -> None:
    """Tables and rows; from a decoded dump all that follows them as well."""
    if isinstance(source.archive, Dump):
        _from_file(empty, worker, source, source.archive, host, step)
    else:
        _rows(empty, worker, source, source.archive, host, step)


def _rows(
    empty: Database, worker: Restorer, source: Source, stream: Stream, host: Host, step: Step
) -> None:
    """Tables and rows as they are decoded."""
    rows = replace(source, sections=_ROWS)
    with _command(empty, worker, rows, None, host) as command:
        feed(command, stream.blocks, source.backup, host, step)


def _from_file(
    empty: Database, worker: Restorer, source: Source, dump: Dump, host: Host, step: Step
) -> None:
    """pg_restore says nothing until it ends: how far it is shows in the size of the copy."""
    total = source.backup.database_bytes
    with (
        _command(empty, worker, source, dump.file, host) as command,
        host.stream(command) as child,
    ):
        ended = threading.Event()
        threading.Thread(target=_until_closed, args=(child, ended), daemon=True).start()
        step.transferred(0, total)
        while not ended.wait(_LOOK_S):
            step.transferred(min(_size(empty), total), total)
        child.check()


def _until_closed(child: Streaming, ended: threading.Event) -> None:
    """It writes nothing to its output, which closes when it ends."""
    try:
        with suppress(OSError, ValueError):  # closed by us, since we are interrupted
            while child.stdout.read(4096):
                pass
    finally:
        ended.set()


def _size(database: Database) -> int:
    try:
        with database.connect() as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    except StockctlError:
        return 0  # it is for the eye only; pg_restore will say what is wrong
    return row[0] if row else 0


def _finish(filled: Database, backup: Backup, progress: Progress) -> None:
    """The server counts and analyzes at the same time."""
    with filled.connect() as connection:

        def analyze() -> None:
            with errors("analyze the copy"):
                connection.execute("ANALYZE")

        with beside(connection, analyze) as analyzed:
            compare(filled, backup, progress)
            with progress.step("analyze"):
                analyzed.result()


def restore_only(
    empty: Database,
    worker: Restorer,
    source: Source,
    entry: Entry,
    *,
    host: Host,
    progress: Progress,
) -> None:
    """The tables of the dump without their indexes, and the rows of one of them."""
    ids = frozenset(e.id for e in source.contents.entries if not e.has_data or e.id == entry.id)
    with progress.step("restore") as step:
        part = replace(source, only=ids, sections=_ROWS)
        part = _with_tablespaces(empty, part, progress)
        lay_ground(empty, worker, part.backup.extensions, part.contents)
        _load(empty, worker, part, host, step)


def _with_tablespaces(empty: Database, source: Source, progress: Progress) -> Source:
    """All of them or none: pg_restore knows nothing between."""
    with empty.connect() as connection:
        lacking = missing_tablespaces(connection, source.contents)
    if not lacking:
        return source
    progress.warn(
        f"this server has no tablespace {', '.join(lacking)}: all goes into the one of the database"
    )
    bare = tuple(replace(each, tablespace="") for each in source.contents.entries)
    return replace(source, one_place=True, contents=replace(source.contents, entries=bare))


def compare(filled: Database, backup: Backup, progress: Progress) -> None:
    """Raises BackupInvalid unless it has the rows of the manifest, and their content where that
    is in the manifest."""
    with progress.step("fingerprint") as step, filled.connect() as connection:
        wrong = difference(backup.fingerprint, fingerprint(connection))
        if backup.content and not wrong:
            found, expected = dict(content(connection)), dict(backup.content)
            wrong = [f"{t}: other content" for t in expected if found.get(t) != expected[t]]
        if wrong:
            raise BackupInvalid(
                f"backup {backup.id} restores to other rows than were saved",
                details="\n".join(wrong[:20]),
            )
        kind = "rows and their content" if backup.content else "rows"
        step.detail = f"{backup.tables} tables, {backup.rows} {kind}"


@contextmanager
def _command(
    empty: Database, worker: Restorer, source: Source, file: PrivateFile | None, host: Host
) -> Iterator[Command]:
    """pg_restore of a file, or of its standard input."""
    entered = worker.entering(empty.dsn.database)
    from_file = ("-j", str(source.jobs), file.path) if file else ()
    with (
        _chosen(entered, worker, source, host) as (chosen, listed),
        entered.tools.command(
            "pg_restore",
            *(*worker.arguments, *_placed(source), *chosen, *from_file),
            dsn=entered.dsn,
            settings=_SETTINGS,
            reads_input=file is None,
        ) as command,
    ):
        inherits = (*command.inherits, *listed, *(file.inherits if file else ()))
        yield replace(command, inherits=inherits)


def _placed(source: Source) -> tuple[str, ...]:
    return ("--no-tablespaces",) if source.one_place else ()


@contextmanager
def _chosen(
    entered: Database, worker: Restorer, source: Source, host: Host
) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Arguments, and descriptors for them, that leave out what was made already."""
    made = source.backup.extensions
    publications = source.contents.of_kind(*PUBLICATIONS)
    chosen = (made or publications) if worker.own else bound(made)
    if not chosen and source.only is None:
        yield source.sections, ()
        return
    text = entries_to_restore(source.contents, made, source.only, helped=worker.own)
    with small_file(entered.tools, host, text.encode()) as file:
        yield ("-L", file.path, *source.sections), file.inherits


def feed(command: Command, blocks: Iterator[bytes], backup: Backup, host: Host, step: Step) -> None:
    """All blocks to pg_restore, or those that it wants. They are read to their end, where what a
    damaged backup raises is the reason for all that pg_restore may have said. Raises ToolFailed."""
    done, total = 0, backup.database_bytes  # which is larger: what follows the rows takes its part
    with host.stream(command, stdin=True) as child:
        try:
            for block in blocks:
                child.stdin.write(block)
                done += len(block)
                step.transferred(done, total)
        except BrokenPipeError:
            pass  # it left early: its exit code and standard error tell why
        child.close_stdin()
        for _ in blocks:
            pass
        child.check()
