"""A folder on another machine, over SFTP: it needs no shell there. Host keys are pinned."""

from __future__ import annotations

import errno
import io
import re
import secrets
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from stockctl.backup.stores.base import Entry, Store, Writer, checked, is_name
from stockctl.backup.stores.lease import LEASE_S, Leases
from stockctl.backup.stores.sftp_file import Receiver, Sender, disk_there
from stockctl.core.errors import StoreFailed
from stockctl.system.disk import Disk
from stockctl.system.host import Holder
from stockctl.system.ssh import SshHost

if TYPE_CHECKING:
    from paramiko import SFTPClient
    from typing_extensions import Buffer

_PART = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part")
_READ = 1 << 20
_HINTS = {
    errno.ENOENT: "Nothing was backed up yet (the first one makes it), or its disk is missing.",
    errno.EACCES: "The folder must belong to the user who logs in there.",
}


class SftpStore(Store):
    """Files 0600 in a folder that it makes 0700; written beside, then renamed. Links are refused.

    What was renamed is durable as far as that server makes it: SFTP has no word for the folder's
    own fsync.
    """

    def __init__(self, host: SshHost, path: PurePosixPath, *, lease_s: float = LEASE_S) -> None:
        self._host, self.path = host, path
        self._sessions = threading.local()
        self._leases = Leases(_Shelf(self), self.describe(), lease_s)

    def describe(self) -> str:
        return f"sftp://{self._host.name}{self.path}"

    def disk(self) -> Disk | None:
        with self.explained(f"look at {self.path}"):
            return disk_there(self.sftp, self._host.name, self.path)

    def close(self) -> None:
        self._host.close()

    @property
    def sftp(self) -> SFTPClient:
        """Of each thread its own: the answers of two would be mixed up."""
        found: SFTPClient | None = getattr(self._sessions, "sftp", None)
        channel = found.get_channel() if found is not None else None
        if found is not None and channel is not None and not channel.closed:
            return found
        with self.explained("connect"):
            self._sessions.sftp = opened = self._host.sftp()
            channel = opened.get_channel()
            if channel is not None:
                channel.settimeout(self._host.target.silent_s)
            return opened

    @contextmanager
    def open_writer(
        self,
        name: str,
        expected_bytes: int = 0,  # noqa: ARG002 (a disk says itself when it is full)
    ) -> Iterator[Writer]:
        final = str(self.path / checked(name))
        self._make()
        part = str(self.path / f".{name}.{secrets.token_hex(4)}.part")
        writer = _Writer(self, self.sftp, part, final)
        try:
            yield writer
        finally:
            writer.discard()

    @contextmanager
    def reader(self, name: str) -> Iterator[IO[bytes]]:
        path = str(self.path / checked(name))
        with self.explained(f"read {path}"):
            size = self._look(self.sftp, path)
            raw = _Reader(self, Receiver(self.sftp.open(path, "rb"), size), path)
        with io.BufferedReader(raw, _READ) as file:
            yield file

    def names(self) -> tuple[str, ...]:
        return tuple(self.entries())

    def entries(self) -> Mapping[str, Entry]:
        found = {}
        with self.explained(f"list {self.path}"):
            for each in self.sftp.listdir_attr(str(self.path)):
                if is_name(each.filename) and stat.S_ISREG(each.st_mode or 0):
                    size, at = each.st_size or 0, each.st_mtime or 0
                    modified = datetime.fromtimestamp(at, UTC)
                    found[each.filename] = Entry(size, f"{size}-{at}", modified)
        return dict(sorted(found.items()))

    def size(self, name: str) -> int:
        path = str(self.path / checked(name))
        with self.explained(f"look at {path}"):
            return self._look(self.sftp, path)

    def delete(self, name: str) -> None:
        path = str(self.path / checked(name))
        self._leases.require()
        with self.explained(f"remove {path}"), suppress(FileNotFoundError):
            self.sftp.remove(path)

    def sweep(self, prefix: str) -> tuple[str, ...]:
        self._make()
        swept = []
        with self.explained(f"sweep {self.path}"):
            for file in sorted(self.sftp.listdir(str(self.path))):
                found = _PART.fullmatch(file)
                if found and found["name"].startswith(prefix):
                    with suppress(FileNotFoundError):
                        self.sftp.remove(str(self.path / file))
                    swept.append(found["name"])
        return tuple(swept)

    def lock(self, environment: str, holder: Holder) -> AbstractContextManager[None]:
        """A lease. It is renewed while the block runs; without that it ends within a minute."""
        checked(environment)
        self._make()
        return self._leases.hold(environment, holder)

    def require_lease(self) -> None:
        self._leases.require()

    def _look(self, sftp: SFTPClient, path: str) -> int:
        found = sftp.lstat(path)
        if not stat.S_ISREG(found.st_mode or 0):
            raise OSError(errno.ELOOP, "it is not a file; links are not followed")
        return found.st_size or 0

    def _make(self) -> None:
        with self.explained(f"make {self.path}"):
            missing = []
            folder = self.path
            while not _is_there(self.sftp, str(folder)):
                missing.append(str(folder))
                folder = folder.parent
            for each in reversed(missing):
                with suppress(OSError):  # somebody else made it; else the next call says why not
                    self.sftp.mkdir(each, 0o700)

    @contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """What the line or the server says becomes a StoreFailed."""
        from paramiko import SSHException

        try:
            yield
        except TimeoutError as error:
            raise StoreFailed(f"{self._host.name}: cannot {doing}: no answer in time") from error
        except (SSHException, EOFError) as error:
            said = str(error) or "the line was cut"
            raise StoreFailed(f"{self._host.name}: cannot {doing}: {said}") from error
        except OSError as error:
            said = error.strerror or str(error) or "the line was cut"
            if said == "Failure":  # all that version 3 of the protocol has for it
                said = "it failed there; is the disk full, or used up what that user may have?"
            hint = _HINTS.get(error.errno or 0, "")
            raise StoreFailed(f"{self._host.name}: cannot {doing}: {said}", hint=hint) from error


class _Writer:
    def __init__(self, store: SftpStore, sftp: SFTPClient, part: str, final: str) -> None:
        self._store, self._sftp, self._part, self._final = store, sftp, part, final
        self._committed = False
        with store.explained(f"write {final}"):
            self._file = sftp.open(part, "wx")
            self._file.chmod(0o600)
        self._sender = Sender(sftp, self._file)

    def write(self, data: bytes, /) -> int:
        with self._store.explained(f"write {self._final}"):
            self._sender.write(data)
        return len(data)

    def commit(self) -> None:
        self._store.require_lease()
        with self._store.explained(f"write {self._final}"):
            self._sender.sync()
            self._file.close()
            size = self._sftp.stat(self._part).st_size
            if size != self._sender.size:
                raise OSError(f"{size} of {self._sender.size} bytes are there")
            self._sftp.posix_rename(self._part, self._final)
        self._committed = True

    def discard(self) -> None:
        """Close; what was not committed goes. What cannot go now is swept later."""
        from paramiko import SSHException

        if self._committed:
            return
        with suppress(OSError, EOFError, SSHException):
            self._file.close()
            self._sftp.remove(self._part)


class _Reader(io.RawIOBase):
    def __init__(self, store: SftpStore, receiver: Receiver, path: str) -> None:
        self._store, self._receiver, self._path = store, receiver, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        with self._store.explained(f"read {self._path}"):
            return self._receiver.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError, EOFError):
                self._receiver.close()
        super().close()


class _Shelf:
    """Leases as hidden files. Their ages are between that server's own times: our newest note
    says what time it is there."""

    def __init__(self, store: SftpStore) -> None:
        self._store = store
        self._newest = ""

    def place(self, name: str, note: bytes) -> None:
        path = str(self._store.path / name)
        with self._store.explained("lock"):
            try:  # written over, so that it is whole for whoever reads it meanwhile
                file = self._store.sftp.open(path, "r+")
            except FileNotFoundError:
                file = self._store.sftp.open(path, "w")
            with file:
                file.write(note)
            self._newest = name

    def ages(self, prefix: str) -> Mapping[str, float]:
        with self._store.explained("look for a lock"):
            listed = self._store.sftp.listdir_attr(str(self._store.path))
        times = {e.filename: e.st_mtime or 0 for e in listed if e.filename.startswith(prefix)}
        now = times.get(self._newest, max(times.values(), default=0))
        return {name: float(now - at) for name, at in times.items()}

    def note(self, name: str) -> bytes:
        try:
            with self._store.sftp.open(str(self._store.path / name), "rb") as file:
                return file.read(1000)
        except OSError:
            return b""

    def take_away(self, name: str) -> None:
        with self._store.explained("unlock"), suppress(FileNotFoundError):
            self._store.sftp.remove(str(self._store.path / name))


def _is_there(sftp: SFTPClient, path: str) -> bool:
    try:
        sftp.stat(path)
    except FileNotFoundError:
        return False
    return True
