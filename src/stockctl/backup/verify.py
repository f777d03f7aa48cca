"""Is what lies in the store what the manifest says: size, sha256, decryption, decompression."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from stockctl.backup import codec
from stockctl.backup.codec import Meter
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.core.errors import BackupInvalid, ConfigurationError
from stockctl.env.keys import Identities


def check(backup: Backup, store: Store, identities: Identities | None) -> None:
    """Reads all of it once. Raises BackupInvalid with the reason.

    Without identities an encrypted backup cannot be decoded; its size and sha256 are checked,
    and they are over the very bytes that were written.
    """
    sealed = backup.encrypted and not identities
    for _block in _raw(backup, store) if sealed else read(backup, store, identities):
        pass


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
            details=_needed(backup),
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


def _invalid(backup: Backup, reason: str) -> BackupInvalid:
    return BackupInvalid(
        f"backup {backup.id}: {reason}",
        details=_needed(backup) if "decrypt" in reason else "",
        hint=f"Choose another one: stockctl backup list {backup.environment}",
    )


def _needed(backup: Backup) -> str:
    keys = "\n".join(f"  {key}" for key in backup.recipients)
    return f"It opens with the private key of one of these:\n{keys}"
