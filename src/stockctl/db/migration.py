"""Migrations as they are on disk: `0001_name.sql` and `0001_name.rollback.sql`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.errors import ConfigurationError, HostFailed, UsageError
from stockctl.core.report import Finding
from stockctl.db import checks
from stockctl.db.script import DOWN, NAME, Phase, Script, finding, read_script
from stockctl.db.statements import closed

__all__ = ["Migration", "Phase", "new_migration", "read_migrations"]

_LAST = 9999
_SET_FOLDER = "Set database.migrations to the folder that holds them."


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration. `checksum` is the sha256 of the up file's bytes.

    `statements`: how many the up file has; None where something in it goes on past its end.
    """

    id: str
    path: Path
    up: str
    down: str | None
    down_path: Path | None
    phase: Phase
    transactional: bool
    irreversible: str | None
    depends: tuple[str, ...]
    checksum: str
    statements: int | None = None

    @property
    def reversible(self) -> bool:
        return self.down is not None


@dataclass(frozen=True, slots=True)
class Folder:
    """All the scripts of a folder, up and down, and everything that is wrong with the files."""

    pairs: tuple[tuple[Script, Script | None], ...]
    findings: tuple[Finding, ...]


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """The migrations in the order of their numbers.

    Raises ConfigurationError with everything that is wrong, most of which plain yoyo would
    ignore or misunderstand without a word; HostFailed when the folder cannot be read.
    """
    read = read_folder(folder)
    if read.findings:
        raise _wrong(folder, list(read.findings))
    return tuple(_migration(up, down) for up, down in read.pairs)


def read_folder(folder: Path) -> Folder:
    """The same, for whoever wants what is wrong beside what can be read. Raises HostFailed, and
    ConfigurationError where there is no such folder."""
    with _files(f"list the migrations in {folder}"):
        if not folder.is_dir():
            raise _wrong(folder, [finding("M001", folder, "there is no such folder", _SET_FOLDER)])
        with os.scandir(folder) as listing:
            entries = {entry.name: entry.is_file() for entry in listing}
        paths = [folder / name for name in sorted(entries) if entries[name]]
        others = [folder / name for name in sorted(entries) if not entries[name]]
    found = [each for path in others for each in checks.no_file(path)]
    found += [each for path in paths for each in checks.misnamed(path)]
    ups = [path for path in paths if path.suffix == ".sql" and NAME.fullmatch(path.stem)]
    found += [*checks.same_number(ups), *checks.orphans(paths, ups)]
    pairs = tuple(_read_pair(path, entries) for path in ups)
    names = [path.stem for path in ups]
    for up, down in pairs:
        found += [*up.findings, *checks.values(up), *checks.down_script(up, down)]
        found += checks.single_statement(up, down)
        found += checks.dependencies(up, names)
    return Folder(pairs, tuple(found))


def _wrong(folder: Path, found: list[Finding]) -> ConfigurationError:
    found.sort(key=Finding.sort_key)
    count = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
    return ConfigurationError(
        f"{count} in the migrations in {folder}",
        findings=found,
        where=found[0].where if len(found) == 1 else None,
        hint="Nothing was touched. Mend the files and run the command again.",
    )


def _read_pair(path: Path, entries: Mapping[str, bool]) -> tuple[Script, Script | None]:
    """`entries`: what is in the folder, and whether it is a file."""
    down = path.with_name(path.stem + DOWN)
    return read_script(path), read_script(down) if entries.get(down.name) else None


def _migration(up: Script, down: Script | None) -> Migration:
    depends = (header.value for header in up.headers if header.name == "depends")
    return Migration(
        id=up.path.stem,
        path=up.path,
        up=up.text,
        down=down.text if down else None,
        down_path=down.path if down else None,
        phase=Phase.CONTRACT if up.value("phase") == Phase.CONTRACT else Phase.EXPAND,
        transactional=up.value("transactional", "true").lower() == "true",
        irreversible=up.value("irreversible") or None,
        depends=tuple(" ".join(depends).split()),
        checksum=hashlib.sha256(up.data).hexdigest(),
        statements=len(up.parts) if closed(up.text, up.parts) else None,
    )


def new_migration(
    folder: Path, name: str, phase: Phase = Phase.EXPAND, transactional: bool = True
) -> tuple[Path, Path]:
    """Writes an up and a down file with the next free number.

    They hold no statement yet, and until they do the folder has two findings (M012): a pair
    that somebody forgot to fill in is not applied in silence. Raises UsageError for a name
    without a letter or digit in it, ConfigurationError when the folder is none, HostFailed.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not slug or not name.isascii():
        raise UsageError(f"not a name for a migration: {name!r}", hint="For example: add_users")
    with _files(f"write a migration into {folder}"), _alone_in(folder):
        taken = [int(path.name[:4]) for path in folder.iterdir() if NAME.match(path.name)]
        number = max(taken, default=0) + 1
        if number > _LAST:
            raise UsageError(f"the numbers in {folder} end at {_LAST}")
        stem = f"{number:04d}_{slug}"
        up, down = folder / f"{stem}.sql", folder / f"{stem}{DOWN}"
        for path, text in ((down, _down_text(stem)), (up, _up_text(phase, transactional))):
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    return up, down


@contextmanager
def _files(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostFailed(
            f"cannot {doing}: {error.strerror or error}",
            hint="The folder must belong to the user who runs stockctl, on a disk with room.",
        ) from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two at once would take the same number. The lock ends with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigurationError(f"{folder} is not a folder", hint=_SET_FOLDER) from None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _up_text(phase: Phase, transactional: bool) -> str:
    rule = "Runs as one transaction: all of it or nothing, so no BEGIN and no COMMIT."
    header = ""
    if not transactional:
        header = "-- transactional: false\n"
        rule = "Runs outside a transaction, so exactly one statement."
    return f"""{header}-- phase: {phase}
--
-- What changes, and why.
-- {rule}

"""


def _down_text(stem: str) -> str:
    return f"""-- Takes {stem} back. If that cannot be done, delete this file and
-- write `-- irreversible: the reason` at the top of {stem}.sql.

"""
