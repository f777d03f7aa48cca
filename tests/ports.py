"""Ports for servers that a test starts."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_767  # below those that the kernel and Docker hand out to whoever asks


def free_port() -> int:
    """One of 127.0.0.1 that nobody has now, and nobody is given by chance before it is used."""
    for port in random.sample(range(FIRST, LAST + 1), 100):
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("a hundred ports, and none is free")
