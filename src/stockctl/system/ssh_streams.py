"""The two directions of a channel as files."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from stockctl.system.ssh_line import end_input

if TYPE_CHECKING:
    from paramiko import Channel
    from typing_extensions import Buffer


class RemoteInput(io.RawIOBase):
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        view = memoryview(data)
        try:
            self._channel.sendall(bytes(view))
        except OSError as error:
            raise BrokenPipeError(str(error)) from error
        return len(view)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError, EOFError):
                end_input(self._channel)
        super().close()


class RemoteOutput(io.RawIOBase):
    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        data = self._receive(len(view))
        view[: len(data)] = data
        return len(data)
