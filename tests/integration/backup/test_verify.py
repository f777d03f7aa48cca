"""What verify says of a backup is true, and is kept beside it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest

from stockctl.backup import codec
from stockctl.backup.catalog import orphans
from stockctl.backup.checks import Checks, checks_name, read_checks
from stockctl.backup.codec import Meter
from stockctl.backup.manifest import Backup
from stockctl.backup.verification import Checked, verify
from stockctl.core.errors import BackupInvalid
from stockctl.env.keys import load_identities


def verified(bench: Any, backup: Backup, *, key: Path | None = None) -> Checked:
    ports = bench.ports()
    return verify(
        backup,
        bench.store,
        load_identities(key) if key else None,
        progress=ports["progress"],
        clock=ports["clock"],
    )


def plain(bench: Any, backup: Backup, key: Path | None) -> bytes:
    with bench.store.reader(backup.object) as file:
        return b"".join(codec.decode(Meter(file), load_identities(key) if key else None))


def stored_again(bench: Any, backup: Backup, dump: bytes) -> Backup:
    """The same backup with another dump in it, and a manifest that agrees to every byte."""
    import io

    sink = io.BytesIO()
    stored = codec.encode(io.BytesIO(dump), sink, level=3, recipients=backup.recipients)
    bench.store.put(backup.object, sink.getvalue())
    changed = replace(backup, size_bytes=stored.size_bytes, sha256=stored.sha256)
    bench.store.put(changed.manifest, changed.to_json())
    return changed


def test_what_is_whole_is_kept_as_verified(sealed: Any) -> None:
    sealed.fill(100)
    backup = sealed.create()
    made = read_checks(sealed.store, backup)
    assert (made.depth, made.failed, made.decoded_at) == ("bytes", None, None)
    assert made.verified_at is not None
    assert verified(sealed, backup).depth == "bytes"
    assert verified(sealed, backup, key=sealed.identity_file).depth == "archive"
    kept = sealed.catalogue().checks_of(backup)
    assert kept.depth == "archive"
    assert kept.decoded_at == kept.verified_at >= made.verified_at
    assert verified(sealed, backup).depth == "bytes"
    again = sealed.catalogue().checks_of(backup)
    assert (again.depth, again.decoded_at) == ("bytes", kept.decoded_at)


@pytest.mark.parametrize("encrypted", [True, False])
def test_fifty_of_fifty(sealed: Any, encrypted: bool) -> None:
    """Cut anywhere, or one bit changed: found with the key and without it, and kept as failed."""
    chance = random.Random(11)
    sealed.fill(3000)
    backup = sealed.create(recipients=sealed.recipients if encrypted else ())
    path = sealed.store.path / backup.object
    whole = path.read_bytes()
    found = 0
    for number in range(50):
        broken = bytearray(whole)
        if number % 2:
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        else:
            del broken[chance.randrange(len(whole)) :]
        path.write_bytes(bytes(broken))
        key = sealed.identity_file if number % 3 else None
        found += not verified(sealed, backup, key=key).ok
        assert read_checks(sealed.store, backup).verified_at is None
    assert found == 50
    path.write_bytes(whole)
    assert verified(sealed, backup, key=sealed.identity_file).ok
    assert read_checks(sealed.store, backup).failed is None


def test_a_dump_with_fewer_rows_than_were_counted(sealed: Any) -> None:
    """Size and sha256 agree, it decrypts and decompresses; only the rows tell."""
    sealed.run("CREATE TABLE item (id int, body text); INSERT INTO item VALUES (1, 'x'), (2, 'y')")
    backup = sealed.create()
    row = b"\x00\x04\x00\x00\x001\tx\n"
    dump = plain(sealed, backup, sealed.identity_file)
    assert dump.count(row) == 1
    changed = stored_again(sealed, backup, dump.replace(row, b""))
    found = verified(sealed, changed, key=sealed.identity_file)
    assert (found.ok, found.error and found.error.details) == (
        False,
        "public.item: 2 rows expected, 1 rows found",
    )


def test_a_dump_that_lost_its_tail_before_it_was_stored(sealed: Any) -> None:
    sealed.fill(100)
    backup = sealed.create()
    dump = plain(sealed, backup, sealed.identity_file)
    for end in (10, len(dump) // 2, len(dump) - 3):
        changed = stored_again(sealed, backup, dump[:end])
        found = verified(sealed, changed, key=sealed.identity_file)
        assert not found.ok
        assert "archive" in found.reason


def test_the_wrong_key_is_named_and_does_not_condemn(sealed: Any, tmp_path: Path) -> None:
    sealed.fill(10)
    backup = sealed.create()
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    found = verified(sealed, backup, key=other)
    assert not found.ok
    assert found.error is not None
    assert sealed.recipients[0] in found.error.details
    assert read_checks(sealed.store, backup).depth == "bytes"
    assert verified(sealed, backup, key=sealed.identity_file).ok


def test_a_record_of_other_bytes_is_none(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    other = replace(backup, sha256="1" * 64)
    assert read_checks(bench.store, other) == Checks()
    for broken in (b"", b"[]", b"{}", b'{"stockctl_checks": 9}'):
        bench.store.put(checks_name(backup), broken)
        assert read_checks(bench.store, backup) == Checks()
        assert bench.catalogue().backups == (backup,)


def test_a_record_without_a_backup_is_swept(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    bench.store.delete(backup.manifest)
    assert set(orphans(bench.store, "prod")) == {checks_name(backup), backup.object}
    later = bench.create()
    assert bench.files() == bench.files_of(later)


def test_verify_of_what_was_pruned_meanwhile_leaves_no_record(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    bench.store.delete(backup.manifest)
    bench.store.delete(checks_name(backup))
    verified(bench, backup)
    assert bench.files() == [backup.object, "prod.latest"]


def test_a_changed_manifest_is_no_backup(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    text = bench.store.get(backup.manifest).decode()
    bench.store.put(backup.manifest, text.replace('"rows": 10', '"rows": 11').encode())
    ((name, reason),) = bench.catalogue().invalid
    assert (name, bench.catalogue().backups) == (backup.manifest, ())
    assert "changed" in reason
    with pytest.raises(BackupInvalid):
        bench.restore(backup.id)
    assert datetime.now(UTC) >= backup.created_at
