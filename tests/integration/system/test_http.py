"""One request against servers that do what servers should not do."""

from __future__ import annotations

import http.server
import select
import socket
import time
from collections.abc import Iterator

import pytest
from tests.answering import Quiet, serving

from stockctl.system.http import BODY_LIMIT_BYTES, Request, Response, send


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    asked: list[str]
    sent = 0


class Handler(Quiet, http.server.BaseHTTPRequestHandler):
    """A path for each kind of misbehaviour."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        name = self.path.partition("?")[0].strip("/").replace("/", "_") or "root"
        getattr(self, f"answer_{name}", self.answer_missing)()

    do_POST = do_GET
    do_HEAD = do_GET

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_missing(self) -> None:
        self.reply(404, b"no such page")

    def answer_root(self) -> None:
        self.reply(200, b"root")

    def answer_health(self) -> None:
        self.reply(200, b'{"status": "ok"}', X_Frame_Options="DENY")

    def answer_redirect(self) -> None:
        self.reply(302, Location="/health")

    def answer_hang(self) -> None:
        time.sleep(0)
        self.rfile.read()  # until the other side has left

    def answer_close(self) -> None:
        self.close_connection = True

    def answer_garbage(self) -> None:
        self.wfile.write(b"\x00\xff garbage\r\n\r\n")

    def answer_cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"only this")
        self.close_connection = True

    def answer_huge(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(10**9))
        self.end_headers()
        try:
            for _ in range(1000):
                self.wfile.write(b"x" * 10**6)
                self.server.sent += 10**6
        except OSError:
            self.close_connection = True

    def answer_drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b".")
                self.connection.settimeout(0.05)
                try:
                    if self.connection.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
        except OSError:
            pass
        self.close_connection = True

    def answer_headers(self) -> None:
        """Headers that never end; each byte begins a socket's own timeout anew."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        try:
            while not select.select([self.connection], [], [], 0.05)[0]:
                self.wfile.write(b"x")
        except OSError:
            pass
        self.close_connection = True

    def answer_bytes(self) -> None:
        self.reply(200, b"\xff\x1b[31m")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    with serving(made):
        yield made


@pytest.fixture
def base(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def get(url: str, timeout_s: float = 5.0, **headers: str) -> Response:
    return send(Request("GET", url, headers), timeout_s=timeout_s)


def test_status_headers_and_body_come_back(base: str) -> None:
    answer = get(f"{base}/health")
    assert (answer.status, answer.failure) == (200, "")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.text() == '{"status": "ok"}'
    assert answer.duration_s > 0


def test_the_query_is_sent_and_an_empty_path_is_the_root(base: str, server: Server) -> None:
    assert get(f"{base}/health?a=b&c").status == 200
    assert get(base).status == 200
    assert server.asked == ["/health?a=b&c", "/"]


def test_a_redirect_is_an_answer_and_not_followed(base: str, server: Server) -> None:
    answer = get(f"{base}/redirect")
    assert answer.status == 302
    assert server.asked == ["/redirect"]


def test_head_has_no_body(base: str) -> None:
    answer = send(Request("HEAD", f"{base}/redirect"), timeout_s=5)
    assert (answer.status, answer.body, answer.failure) == (302, b"", "")


def test_a_server_that_hangs_is_given_up(base: str) -> None:
    answer = get(f"{base}/hang", 0.3)
    assert (answer.status, answer.failure) == (0, "no answer within 0.3 s")
    assert answer.duration_s < 3


def test_an_answer_that_never_ends_is_given_up(base: str) -> None:
    answer = get(f"{base}/drip", 0.5)
    assert (answer.status, answer.failure) == (0, "no answer within 0.5 s")
    assert answer.duration_s < 3


def test_headers_that_never_end_are_given_up(base: str) -> None:
    answer = get(f"{base}/headers", 0.5)
    assert (answer.status, answer.failure) == (0, "no answer within 0.5 s")
    assert answer.duration_s < 3


@pytest.mark.parametrize("path", ["close", "garbage", "cut"])
def test_no_answer_or_half_of_one_is_a_failure(base: str, path: str) -> None:
    answer = get(f"{base}/{path}")
    assert answer.status == 0
    assert answer.failure


def test_of_a_huge_body_only_the_limit_is_read(base: str, server: Server) -> None:
    answer = get(f"{base}/huge", 20)
    assert (answer.status, len(answer.body)) == (200, BODY_LIMIT_BYTES)
    assert server.sent < 10**8


def test_bytes_that_are_no_text_are_replaced(base: str) -> None:
    assert get(f"{base}/bytes").text() == "\ufffd\x1b[31m"


def test_nobody_there_is_a_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = get(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert answer.status == 0
    assert "refused" in answer.failure


def test_https_without_a_certificate_is_a_failure(base: str) -> None:
    answer = get(base.replace("http:", "https:"))
    assert answer.status == 0
    assert answer.failure


@pytest.mark.parametrize(
    "url",
    ["", "localhost:5000", "ftp://a/b", "http://", "http://a:port/", "http://[::1/", "/health"],
)
def test_what_is_no_url_is_a_failure_and_asks_nobody(url: str) -> None:
    answer = get(url)
    assert (answer.status, answer.failure) == (
        0,
        "not a URL that begins with http:// or https://",
    )


@pytest.mark.parametrize(
    ("path", "header"), [("/a b", "x"), ("/ü", "x"), ("/", "c4n4ry\r\nX: y"), ("/", "c4n4ry…")]
)
def test_what_http_cannot_carry_is_a_failure_without_the_value(
    base: str, path: str, header: str
) -> None:
    answer = get(base + path, Authorization=header)
    assert answer.status == 0
    assert answer.failure
    assert "c4n4ry" not in answer.failure
