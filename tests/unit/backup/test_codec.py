"""The stream, without a database: round trips, damage at every place, failures on either side."""

from __future__ import annotations

import hashlib
import io
import os
import random
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockctl.backup import codec
from stockctl.backup.codec import Meter
from stockctl.core.errors import BackupInvalid, ConfigurationError, StoreFailed
from stockctl.env.keys import Identities, load_identities, load_recipients

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
SEALS: list[tuple[tuple[str, ...], Identities | None]] = [((), None), ((RECIPIENT,), (IDENTITY,))]
SEAL_NAMES = ["plain", "age"]
sealed_or_not = pytest.mark.parametrize(("recipients", "identities"), SEALS, ids=SEAL_NAMES)
for_some = pytest.mark.parametrize("recipients", [each for each, _ in SEALS], ids=SEAL_NAMES)


def encoded(data: bytes, recipients: tuple[str, ...] = ()) -> bytes:
    sink = io.BytesIO()
    stored = codec.encode(io.BytesIO(data), sink, level=3, recipients=recipients)
    raw = sink.getvalue()
    assert (stored.size_bytes, stored.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    return raw


def decoded(raw: bytes, identities: Identities | None) -> bytes:
    return b"".join(codec.decode(Meter(io.BytesIO(raw)), identities))


@sealed_or_not
@settings(max_examples=30)
@given(data=st.binary(max_size=5000), times=st.sampled_from([1, 1000]))
def test_round_trip(
    recipients: tuple[str, ...], identities: Identities | None, data: bytes, times: int
) -> None:
    assert decoded(encoded(data * times, recipients), identities) == data * times


@sealed_or_not
def test_damage_is_found_thirty_times_of_thirty(
    recipients: tuple[str, ...], identities: Identities | None
) -> None:
    chance = random.Random(20261122)
    raw = encoded(chance.randbytes(300_000) + bytes(300_000), recipients)
    for _time in range(30):
        flipped = bytearray(raw)
        flipped[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        with pytest.raises(BackupInvalid):
            decoded(bytes(flipped), identities)
        with pytest.raises(BackupInvalid):
            decoded(raw[: chance.randrange(len(raw))], identities)
    with pytest.raises(BackupInvalid):
        decoded(raw + b"x", identities)


def test_blocks_stay_small_whatever_the_ratio() -> None:
    raw = encoded(bytes(64 << 20))
    assert len(raw) < 100_000
    blocks = [len(block) for block in codec.decode(Meter(io.BytesIO(raw)), None)]
    assert sum(blocks) == 64 << 20
    assert max(blocks) <= codec.BLOCK


@for_some
@pytest.mark.parametrize("failure", [StoreFailed("full"), ValueError("bug")])
def test_the_sinks_failure_arrives_as_it_is(
    recipients: tuple[str, ...], failure: Exception
) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > 100_000:
                raise failure
            return super().write(data)

    with pytest.raises(type(failure)) as caught:
        codec.encode(io.BytesIO(os.urandom(9 << 20)), Full(), level=3, recipients=recipients)
    assert caught.value is failure


@sealed_or_not
def test_the_stores_failure_arrives_as_it_is(
    recipients: tuple[str, ...], identities: Identities | None
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 1_000_000:
                raise StoreFailed("the disk went away")
            return super().read(size)

    raw = encoded(os.urandom(4 << 20), recipients)
    with pytest.raises(StoreFailed, match="went away"):
        list(codec.decode(Meter(Broken(raw)), identities))


@for_some
def test_an_interrupt_passes_through(recipients: tuple[str, ...]) -> None:
    def interrupt(done: int) -> None:
        if done > 3 << 20:
            raise KeyboardInterrupt

    source = io.BytesIO(os.urandom(9 << 20))
    with pytest.raises(KeyboardInterrupt):
        codec.encode(source, io.BytesIO(), level=3, recipients=recipients, on_bytes=interrupt)


@sealed_or_not
def test_a_reader_may_leave_early(
    recipients: tuple[str, ...], identities: Identities | None
) -> None:
    blocks = codec.decode(Meter(io.BytesIO(encoded(os.urandom(9 << 20), recipients))), identities)
    next(iter(blocks))
    blocks.close()  # type: ignore[attr-defined]


def test_the_wrong_identity() -> None:
    stranger = pyrage.x25519.Identity.generate()
    with pytest.raises(BackupInvalid, match="No matching keys"):
        decoded(encoded(b"data", (RECIPIENT,)), (stranger,))


@pytest.mark.parametrize("text", ["", "age1nonsense", "ssh-ed25519 AAAA"])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"backup\.recipients"):
        load_recipients([text])


def test_a_private_key_in_place_of_the_public_one_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_recipients([str(IDENTITY)])
    assert str(IDENTITY)[20:] not in str(caught.value)


def test_identity_files(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text(f"# created: today\n# public key: {RECIPIENT}\n{IDENTITY}\n")
    assert decoded(encoded(b"data", (RECIPIENT,)), load_identities(path)) == b"data"


@pytest.mark.parametrize("content", ["", "# only a comment\n", "AGE-SECRET-KEY-1NONSENSE\n"])
def test_what_is_no_identity_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.txt"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="identity_file") as caught:
        load_identities(path)
    assert "NONSENSE" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="No such file"):
        load_identities(tmp_path / "absent")
