"""Is what lies in the store what the manifest says: bytes, age, zstd, the archive, its rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from stockctl.backup import codec
from stockctl.backup.archive import ArchiveReader, Contents
from stockctl.backup.codec import Meter
from stockctl.backup.fingerprint import difference, table_name
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.core.errors import BackupInvalid, ConfigurationError
from stockctl.env.keys import Identities

OnBytes = Callable[[int], None]


def _nobody(_count: int) -> None:
    pass


def check_bytes(backup: Backup, store: Store, on_bytes: OnBytes = _nobody) -> None:
    """Size and sha256, which are over the very bytes that were written: no key is needed.
    Raises BackupInvalid."""
    for block in _raw(backup, store):
        on_bytes(len(block))


def check(
    backup: Backup, store: Store, identities: Identities | None, on_bytes: OnBytes = _nobody
) -> Contents:
    """Decodes all of it and counts the rows that are in it. Raises BackupInvalid with the reason,
    ConfigurationError without a key. `on_bytes` hears how many plain bytes each block has."""
    archive = ArchiveReader()
    for block in read(backup, store, identities):
        archive.feed(block)
        on_bytes(len(block))
    return settle(archive, backup)


def peek(backup: Backup, store: Store, identities: Identities | None) -> Contents:
    """What is in it, from its first bytes: for a plan. No sha256 vouches for them, so a restore
    asks again. Raises what `check` raises, as far as it shows."""
    archive = ArchiveReader(count_rows=False)
    try:
        with closing(read(backup, store, identities)) as blocks:
            for block in blocks:
                archive.feed(block)
                if archive.knows_contents:
                    break
        return archive.close()
    except BackupInvalid as error:
        raise error if error.hint else _invalid(backup, error.message) from error


def settle(archive: ArchiveReader, backup: Backup) -> Contents:
    """What an archive that was read to its end holds; its rows are those of the manifest."""
    try:
        contents = archive.close()
    except BackupInvalid as error:
        raise _invalid(backup, error.message) from error
    expected, found = dict(backup.fingerprint), dict(_counted(contents))
    beside = "\udc80" <= max("".join(found), default="") <= "\udcff"  # names that are not UTF-8
    tables = expected.keys() & found.keys() if beside else expected.keys()
    # Others are an extension's: their rows are not counted.
    wrong = difference(
        tuple((name, expected[name]) for name in tables),
        tuple((name, found[name]) for name in tables & found.keys()),
    )
    if wrong:
        raise _invalid(backup, "it holds other rows than were counted", "\n".join(wrong[:20]))
    return contents


def _counted(contents: Contents) -> Iterator[tuple[str, int]]:
    for entry in contents.of_kind("TABLE DATA"):
        yield table_name(entry.schema, entry.name), contents.rows[entry.id]


def read(backup: Backup, store: Store, identities: Identities | None) -> Generator[bytes]:
    """The plain blocks of the dump. The iterator's normal end means that all of it was right;
    until then nothing that was made from it counts."""
    require_identities(backup, identities)
    with store.reader(backup.object) as file:
        meter = Meter(file)
        try:
            yield from codec.decode(meter, identities if backup.encrypted else None)
        except BackupInvalid as error:
            raise _invalid(backup, error.message) from error
        _compare(backup, meter)


def require_identities(backup: Backup, identities: Identities | None) -> None:
    """Raises ConfigurationError when it takes a key and there is none."""
    if backup.encrypted and not identities:
        raise ConfigurationError(
            f"backup {backup.id} is encrypted and there is no key to open it",
            details=needed(backup),
            hint="Set backup.identity_file to the file with the private key.",
        )


def _raw(backup: Backup, store: Store) -> Iterator[bytes]:
    with store.reader(backup.object) as file:
        meter = Meter(file)
        while block := meter.read(codec.BLOCK):
            yield block
        _compare(backup, meter)


def _compare(backup: Backup, meter: Meter) -> None:
    found = meter.stored()
    if found.size_bytes != backup.size_bytes:
        raise _invalid(
            backup, f"it has {found.size_bytes} bytes, its manifest says {backup.size_bytes}"
        )
    if found.sha256 != backup.sha256:
        raise _invalid(backup, "its sha256 is not the one in its manifest")


def _invalid(backup: Backup, reason: str, details: str = "") -> BackupInvalid:
    others = f"stockctl backup list {backup.environment}"
    return BackupInvalid(
        f"backup {backup.id}: {reason}",
        details=needed(backup) if "decrypt" in reason else details,
        hint=f"Is backup.identity_file the right key? If it is, choose another one: {others}"
        if "decrypt" in reason
        else f"Choose another one: {others}",
    )


def needed(backup: Backup) -> str:
    """Which keys open it, for a person."""
    keys = "\n".join(f"  {key}" for key in backup.recipients)
    return f"It opens with the private key of one of these:\n{keys}"
