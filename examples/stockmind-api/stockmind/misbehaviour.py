"""Ways to get worse while it runs, on purpose, for tests of whoever operates the service."""

import asyncio
import random
import threading
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from stockmind.errors import Answer
from stockmind.settings import Faults

SPARED = ("/health", "/api/health", "/metrics")
LEAKS = 100  # steps to the whole of it
PAUSE_S = 0.05  # between two of them


class Misbehaviour:
    """From `after_s` seconds on, requests take longer, or fail; health and metrics never do. The
    process takes memory and processor time."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults
        self._from = time.monotonic() + faults.after_s
        for taking in (_leak, _burn):
            threading.Thread(target=taking, args=(faults,), daemon=True).start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self._faults
        wanted = faults.error_percent or faults.latency_ms
        if not wanted or scope["type"] != "http" or scope["path"] in SPARED:
            await self._app(scope, receive, send)
            return
        if time.monotonic() >= self._from:
            await asyncio.sleep(faults.latency_ms / 1000)
            if random.random() * 100 < faults.error_percent:
                body = {
                    "error": {"code": "INTERNAL_ERROR", "message": "On purpose.", "details": {}}
                }
                await Answer(body, status_code=500)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _leak(faults: Faults) -> None:
    """Pages of zeros would be promised and not taken: what is kept has to be written."""
    if not faults.leak_mb:
        return
    time.sleep(faults.after_s)
    kept = []
    for _ in range(LEAKS):
        kept.append(b"x" * (faults.leak_mb * 1_000_000 // LEAKS))
        time.sleep(PAUSE_S)
    threading.Event().wait()


def _burn(faults: Faults) -> None:
    """In turns of 100 ms."""
    if not faults.cpu_percent:
        return
    time.sleep(faults.after_s)
    busy = faults.cpu_percent / 1000
    while True:
        until = time.monotonic() + busy
        while time.monotonic() < until:
            pass
        time.sleep(0.1 - busy)
