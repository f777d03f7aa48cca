"""A file over SFTP at the speed of the line: many requests under way, every answer looked at.

paramiko's own pipelined writes drop the answer that says the disk is full, and its prefetch keeps
as much in memory as the line brings.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from stockctl.system.disk import Disk

if TYPE_CHECKING:
    from paramiko import SFTPClient, SFTPFile
    from typing_extensions import Buffer

_REQUEST = 32 << 10  # bytes that every server takes at once
_UNDER_WAY = 64
_AHEAD = 4 << 20


class _Answers:
    """Takes the answers to writes, and keeps the first that is a failure."""

    def __init__(self) -> None:
        self.waiting = 0
        self.failure: Exception | None = None

    def _async_response(self, _kind: int, message: Any, _number: int) -> None:
        self.waiting -= 1
        code, text = message.get_int(), message.get_text()
        if code != 0 and self.failure is None:
            self.failure = OSError(text)


class Sender:
    """Writes from the beginning to the end."""

    def __init__(self, sftp: SFTPClient, file: SFTPFile) -> None:
        self._sftp: Any = sftp
        self._file: Any = file
        self._answers = _Answers()
        self.size = 0

    def write(self, data: bytes) -> None:
        from paramiko.sftp import CMD_WRITE, int64

        view = memoryview(data)
        for at in range(0, len(view), _REQUEST):
            piece = bytes(view[at : at + _REQUEST])
            self._answers.waiting += 1
            self._sftp._async_request(
                self._answers, CMD_WRITE, self._file.handle, int64(self.size), piece
            )
            self.size += len(piece)
            self._settle(_UNDER_WAY)

    def sync(self) -> None:
        """All of it has arrived, and is on the disk over there where the server can say so."""
        from paramiko.sftp import CMD_EXTENDED

        self._settle(0)
        try:
            self._sftp._request(CMD_EXTENDED, "fsync@openssh.com", self._file.handle)
        except OSError as error:
            if "unsupported" not in str(error).lower():
                raise

    def _settle(self, most: int) -> None:
        while self._answers.waiting > most:
            self._sftp._read_response()
        if self._answers.failure is not None:
            raise self._answers.failure


def disk_there(sftp: Any, machine: str, folder: PurePosixPath) -> Disk | None:
    """What a folder, or the nearest that is there, is on: OpenSSH's servers say so (statvfs in
    its PROTOCOL). None from others. Raises what the line raises."""
    from paramiko.sftp import CMD_EXTENDED, CMD_EXTENDED_REPLY

    for place in (folder, *folder.parents):
        try:
            kind, said = sftp._request(CMD_EXTENDED, "statvfs@openssh.com", str(place))
        except FileNotFoundError:
            continue
        except OSError as error:
            if "unsupported" in str(error).lower():
                return None
            raise
        if kind != CMD_EXTENDED_REPLY:
            return None
        # bsize, frsize, blocks, bfree, bavail, files, ffree, favail, fsid, flag, namemax
        numbers = [said.get_int64() for _ in range(11)]
        return Disk(f"{machine} sftp {numbers[8]}", numbers[1] * numbers[4])
    return None


class Receiver(io.RawIOBase):
    """Reads from the beginning to the end, a few megabytes ahead."""

    def __init__(self, file: SFTPFile, size: int) -> None:
        self._file, self._size = file, size
        self._at = 0
        self._ahead = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        if not self._ahead and self._at < self._size:
            self._ahead = memoryview(self._next())
        count = min(len(view), len(self._ahead))
        view[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        return count

    def _next(self) -> bytes:
        end = min(self._at + _AHEAD, self._size)
        wanted = [(at, min(_REQUEST, end - at)) for at in range(self._at, end, _REQUEST)]
        data = b"".join(self._file.readv(wanted))
        if len(data) != end - self._at:
            raise OSError(f"it ends after {self._at + len(data)} of {self._size} bytes")
        self._at = end
        return data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
