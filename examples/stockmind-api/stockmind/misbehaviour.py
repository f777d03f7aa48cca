"""Ways to get worse while it runs, on purpose, for tests of whoever operates the service."""

import asyncio
import random
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from stockmind.errors import Answer
from stockmind.settings import Faults

SPARED = ("/health", "/api/health", "/metrics")


class Misbehaviour:
    """From `after_s` seconds on, requests take longer, or fail; health and metrics never do."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults
        self._from = time.monotonic() + faults.after_s

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
