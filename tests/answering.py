"""HTTP servers of a test's own: quiet, in a thread, gone with the block."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TypeVar

Server = TypeVar("Server", bound=HTTPServer)


class Quiet(BaseHTTPRequestHandler):
    """Logs nothing; a client that leaves is no error."""

    def log_message(self, *_arguments: object) -> None:
        """Silence."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """It answers while the block runs."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
