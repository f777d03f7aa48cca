"""A webhook that works, and those that hang, answer 500, close, or drip."""

from __future__ import annotations

import http.server
import json
import socket
import time
from collections.abc import Iterator

import pytest
from tests.answering import Quiet, serving

from stockctl.core.secret import Secret
from stockctl.system.notify import Notice, deliver, escaped, webhook


class Hook(Quiet, http.server.BaseHTTPRequestHandler):
    got: list[tuple[str, str, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.path = self.path.partition("?")[0]
        self.got.append((self.path, self.headers["Content-Type"], body))
        if self.path == "/hang":
            self.rfile.read()  # until the other side has left
        elif self.path == "/close":
            self.close_connection = True
        elif self.path == "/drip":
            self._drip()
        else:
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

    def _drip(self) -> None:
        """Each byte in time, the whole never."""
        try:
            while True:
                self.wfile.write(b"H")
                time.sleep(0.05)
        except OSError:
            pass


@pytest.fixture
def server() -> Iterator[str]:
    Hook.got = []
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    made.daemon_threads = True
    with serving(made):
        yield f"http://127.0.0.1:{made.server_address[1]}"


def test_a_message_arrives_as_slack_wants_it(server: str) -> None:
    text = f"it failed: {escaped('<!channel> & co')}"
    assert deliver(webhook(Secret(f"{server}/ok"), text), timeout_s=20) is None
    path, kind, body = Hook.got[0]
    assert (path, kind) == ("/ok", "application/json")
    assert json.loads(body) == {"text": "it failed: &lt;!channel&gt; &amp; co"}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/broken", "answered 500"),
        ("/close", ""),
        ("/hang", "no answer within 0.5 s"),
        ("/drip", "no answer within 0.5 s"),
    ],
)
def test_what_goes_wrong_is_a_value_that_keeps_the_address(
    server: str, path: str, why: str
) -> None:
    limit_s = 0.5 if path in ("/hang", "/drip") else 20
    said = deliver(webhook(Secret(f"{server}{path}?token=c4n4ry"), "x"), timeout_s=limit_s)
    assert said is not None and said.startswith("127.0.0.1: ")
    assert why in said
    assert "c4n4ry" not in said


def test_nobody_there_and_nonsense() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    said = deliver(Notice(Secret(f"http://127.0.0.1:{port}/")), timeout_s=20)
    assert said is not None and "refused" in said
    assert deliver(Notice(Secret("http://[::1/c4n4ry")), timeout_s=20) is not None
