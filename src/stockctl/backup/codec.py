"""A dump on its way to the store and back: zstd, then age, then sha256, as one bounded stream.

What lands opens without us: `age -d -i KEY FILE | zstd -d | pg_restore`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Protocol

from stockctl.core.errors import BackupInvalid
from stockctl.env.keys import Identities, age, load_recipients

if TYPE_CHECKING:
    from backports.zstd import ZstdCompressor

BLOCK = 1 << 20
# Two threads keep up with the server's COPY; more only take memory from it. Where there are but
# two cores, the server needs one of them (docs/decisions/0044).
_WORKERS = 2 if (os.cpu_count() or 1) > 2 else 1
# pg_dump writes 4 KB at a time. Who reads each of them at once is woken for each of them, which
# costs as much as the compression; in half a millisecond some hundred KB gather in the pipe.
_SHORT, _PAUSE_S = BLOCK // 4, 0.0005


class Sink(Protocol):
    """Where stored bytes go."""

    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What went into the store; `dump_bytes` is what it was before compression."""

    size_bytes: int
    sha256: str
    dump_bytes: int = 0


class Meter:
    """Counts and hashes the stored bytes that pass, in either direction.

    pyrage turns what its files raise into text: `failure` keeps the real exception.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0
        self.failure: Exception | None = None

    def write(self, data: bytes, /) -> int:
        self._pass(lambda: self._file.write(data))
        self._count(data)
        return len(data)

    def read(self, size: int) -> bytes:
        data: bytes = self._pass(lambda: self._file.read(size))
        self._count(data)
        return data

    def flush(self) -> None:
        """The store's commit does that."""

    def stored(self) -> Stored:
        return Stored(self._size, self._hash.hexdigest())

    def _count(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)

    def _pass(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            self.failure = error
            raise


def encode(
    source: IO[bytes],
    sink: Sink,
    *,
    level: int,
    recipients: Sequence[str] = (),
    on_bytes: Callable[[int], None] = lambda _done: None,
) -> Stored:
    """Everything from `source`, compressed and encrypted, into `sink`.

    An end of file is taken for the end: whoever owns the source checks its exit code before the
    sink is committed. `on_bytes` hears how many plain bytes have passed.
    """
    keys = load_recipients(recipients)
    meter = Meter(sink)
    compressor = _compressor(level)
    done = 0
    with _encrypting(meter, keys) as target:
        for block in _unhurried(source):
            target.write(compressor.compress(block))
            done += len(block)
            on_bytes(done)
        target.write(compressor.flush())
    return replace(meter.stored(), dump_bytes=done)


def _unhurried(source: IO[bytes]) -> Iterator[bytes]:
    """What comes, in pieces of up to BLOCK, each in one call of the system where it can be."""
    read: Callable[[int], bytes] = getattr(source, "read1", source.read)
    while block := read(BLOCK):
        yield block
        if len(block) < _SHORT:
            time.sleep(_PAUSE_S)


def decode(meter: Meter, identities: Identities | None) -> Iterator[bytes]:
    """The plain blocks of what `meter` reads; `identities` None: it is not encrypted.

    Raises BackupInvalid when it is cut, changed, or no identity opens it. At the end the meter
    has seen every stored byte.
    """
    if identities is None:
        yield from _decompress(meter)
        return

    def decrypt(target: IO[bytes]) -> None:
        try:
            age().decrypt_io(meter, target, list(identities))
        except (age().DecryptError, OSError) as error:
            raise meter.failure or BackupInvalid(f"cannot be decrypted: {error}") from error

    with _beside(decrypt, "rb") as plain:
        yield from _decompress(plain)


def _compressor(level: int) -> ZstdCompressor:
    from backports.zstd import CompressionParameter, ZstdCompressor

    return ZstdCompressor(
        options={
            CompressionParameter.compression_level: level,
            CompressionParameter.checksum_flag: 1,
            CompressionParameter.nb_workers: _WORKERS,
        }
    )


def _decompress(source: Any) -> Iterator[bytes]:
    from backports.zstd import ZstdDecompressor, ZstdError

    decompressor = ZstdDecompressor()
    while not decompressor.eof:
        block = source.read(BLOCK) if decompressor.needs_input else b""
        if decompressor.needs_input and not block:
            raise BackupInvalid("it is cut short")
        try:
            plain = decompressor.decompress(block, max_length=BLOCK)
        except ZstdError as error:
            raise BackupInvalid(f"cannot be decompressed: {error}") from error
        if plain:
            yield plain
    if decompressor.unused_data or source.read(1):
        raise BackupInvalid("it goes on after its end")


@contextmanager
def _encrypting(meter: Meter, keys: list[Any]) -> Iterator[Sink]:
    if not keys:
        yield meter
        return

    def encrypt(source: IO[bytes]) -> None:
        try:
            age().encrypt_io(source, meter, keys)
        except Exception as error:
            raise meter.failure or error from error

    with _beside(encrypt, "wb") as target:
        yield target


@contextmanager
def _beside(work: Callable[[IO[bytes]], None], mode: str) -> Iterator[IO[bytes]]:
    """Our end of a pipe (`mode`) whose other end `work` has, in a thread of its own.

    A thread, because pyrage swallows what is raised inside it: KeyboardInterrupt and Terminated
    are raised in the main thread, so here they cannot land there.
    """
    reading, writing = os.pipe()
    with suppress(OSError):  # what a user may have of large pipes is limited
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, BLOCK)
    read_file, write_file = os.fdopen(reading, "rb", BLOCK), os.fdopen(writing, "wb", BLOCK)
    ours, theirs = (read_file, write_file) if mode == "rb" else (write_file, read_file)
    failures: list[Exception] = []

    def run() -> None:
        try:
            work(theirs)
            theirs.flush()
        except Exception as error:  # kept before the pipe closes, so that we find it at its end
            failures.append(error)
        finally:
            _close(theirs)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield ours
        ours.flush()
    except Exception as error:
        if failures:  # before our end closes: later ones only follow from that
            raise failures[0] from error
        raise
    finally:
        _close(ours)
        thread.join()
    if failures:
        raise failures[0]


def _close(file: IO[bytes]) -> None:
    try:
        file.close()
    except BrokenPipeError:
        pass  # the other side left first, and says why
