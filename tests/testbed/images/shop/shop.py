"""A service that answers with its version, and misbehaves as its environment says.

Unlike the example service it needs no database and starts at once, so that a test can deploy it
many times. Paths: `/health`; `/` answers the version; `/slow?s=2` after that many seconds;
`/stream?s=5` a line every 0.1 s for so long.

VERSION                 what it answers
START_DELAY_S           seconds until it listens
ERRORS                  percent of the answers (not those of /health) that are 500
LATENCY_MS              added to each answer
IGNORE_SIGTERM          1: only SIGKILL ends it
CRASH                   1: it says so and exits with 3
UNHEALTHY               1: /health answers 503
LEAK_MB                 memory that each answer keeps
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from urllib.parse import parse_qs, urlsplit

VERSION = os.environ.get("VERSION") or "unknown"
ERRORS = float(os.environ.get("ERRORS") or 0)
LATENCY_S = float(os.environ.get("LATENCY_MS") or 0) / 1000
LEAK_MB = float(os.environ.get("LEAK_MB") or 0)
UNHEALTHY = bool(os.environ.get("UNHEALTHY"))

kept: list[bytes] = []
busy = 0
answered = 0
ending = False


def head(status: int, length: int | None, close: bool) -> bytes:
    body = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    connection = "close" if close else "keep-alive"
    return f"HTTP/1.1 {status} x\r\n{body}\r\nConnection: {connection}\r\n\r\n".encode()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bool] | None:
    """Path, and whether the client wants the connection closed; None at its end."""
    try:
        raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    lines = raw.split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    if length := int(headers.get("content-length", 0)):
        await reader.readexactly(length)
    return lines[0].split(" ")[1], headers.get("connection", "").lower() == "close"


async def stream(writer: asyncio.StreamWriter, seconds: float) -> None:
    writer.write(head(200, None, close=True))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        line = f"{VERSION}\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        await writer.drain()
        await asyncio.sleep(0.1)
    writer.write(b"0\r\n\r\n")


async def answer(path: str, writer: asyncio.StreamWriter, close: bool) -> None:
    global answered
    parts = urlsplit(path)
    seconds = float(parse_qs(parts.query).get("s", ["0"])[0])
    status, body = 200, f"{VERSION}\n".encode()
    if parts.path == "/stream":
        await stream(writer, seconds)
        return
    if parts.path == "/health":
        status = 503 if UNHEALTHY else 200
    else:
        answered += 1
        if LEAK_MB:
            kept.append(os.urandom(int(LEAK_MB * 1_000_000)))
        if (answered * ERRORS) % 100 < ERRORS:
            status = 500
    if delay := LATENCY_S + seconds:
        await asyncio.sleep(delay)
    writer.write(head(status, len(body), close) + body)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global busy
    try:
        while (request := await read_request(reader)) is not None:
            path, close = request
            close = close or ending or path.startswith("/stream")
            busy += 1
            try:
                await answer(path, writer, close)
                await writer.drain()
            finally:
                busy -= 1
            if close:
                break
    except ConnectionError:
        pass
    finally:
        writer.close()


async def run() -> None:
    global ending
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if os.environ.get("IGNORE_SIGTERM"):
        loop.add_signal_handler(signal.SIGTERM, lambda: print("SIGTERM is ignored"))
    else:
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.sleep(float(os.environ.get("START_DELAY_S") or 0))
    server = await asyncio.start_server(serve, "0.0.0.0", 8000, backlog=1024)
    print(f"{VERSION} listens")
    await stop.wait()
    ending = True
    server.close()
    while busy:
        await asyncio.sleep(0.02)


if os.environ.get("CRASH"):
    print("CRASH is set", file=sys.stderr)
    sys.exit(3)
asyncio.run(run())
