"""One HTTP request, timed. Nothing here retries, follows redirects or trusts a body's length."""

from __future__ import annotations

import http.client
import io
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

BODY_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What to send."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What came: `status` 0 and `failure` when nothing did. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    duration_s: float
    failure: str = ""

    def text(self) -> str:
        """The body as text, undecodable bytes replaced."""
        return self.body.decode(errors="replace")


def send(request: Request, *, timeout_s: float) -> Response:
    """Sends it and reads at most BODY_LIMIT_BYTES of the answer. Never raises for what the
    network or the server does: that is a Response with a `failure`."""
    started = time.monotonic()
    try:
        connection, target = _connection(request.url, timeout_s)
    except ValueError:
        return Response(0, {}, b"", 0.0, "not a URL that begins with http:// or https://")
    try:
        connection.request(request.method, target, body=request.body, headers=request.headers)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        body = _body(answer)
        return Response(answer.status, headers, body, time.monotonic() - started)
    except TimeoutError:
        failure = f"no answer within {timeout_s:g} s"
    except ValueError:  # its words would hold the header's value
        failure = "the request cannot be sent: a character that HTTP does not allow"
    except (OSError, http.client.HTTPException) as error:
        failure = getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()
    return Response(0, {}, b"", time.monotonic() - started, failure)


def _connection(url: str, timeout_s: float) -> tuple[http.client.HTTPConnection, str]:
    """Not yet connected, and what to ask it for. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a URL")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = kind(parts.hostname, parts.port, timeout=timeout_s)
    deadline = time.monotonic() + timeout_s
    connection.response_class = lambda *args, **more: _Answer(*args, until=deadline, **more)  # type: ignore[assignment]
    return connection, target


class _Answer(http.client.HTTPResponse):
    """An answer that must be there by a moment: a socket's own timeout begins anew with each byte
    of a header that drips."""

    def __init__(self, sock: socket.socket, *args: Any, until: float, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Until(sock, until))


class _Until(io.RawIOBase):
    """What a socket receives, up to a moment. Raises TimeoutError."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock, self._until = sock, until
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _body(answer: http.client.HTTPResponse) -> bytes:
    """At most BODY_LIMIT_BYTES. Raises TimeoutError, and HTTPException for one that was cut:
    `read(n)` is silent about it."""
    body = b""
    while len(body) < BODY_LIMIT_BYTES:
        piece = answer.read1(BODY_LIMIT_BYTES - len(body))
        if not piece:
            if answer.length:
                raise http.client.HTTPException("the answer was cut")
            break
        body += piece
    return body
