"""The outermost layer: whatever answers, its headers, its metrics and its log line are the same."""

import logging
import secrets
import time

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stockmind.metrics import Metrics

log = logging.getLogger("stockmind.http")

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}
EXPOSED_HEADERS = b"X-Request-Id, Retry-After"


class Edge:
    """Security headers, CORS on /api, a request id, metrics and one log line per request."""

    def __init__(self, app: ASGIApp, metrics: Metrics, allowed_origins: tuple[str, ...]) -> None:
        self._app = app
        self._metrics = metrics
        self._allowed = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        request_id = secrets.token_hex(8)
        extra = self._headers(scope, request_id)

        async def send_decorated(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            await self._answer(scope, receive, send_decorated)
        except Exception:
            # The client already has a plain 500; the reason belongs into the log only.
            log.exception("unhandled error", extra={"fields": {"request_id": request_id}})
        finally:
            self._record(scope, request_id, status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if is_preflight and scope["path"].startswith("/api/"):
            await Response(status_code=204, headers=PREFLIGHT_HEADERS)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _headers(self, scope: Scope, request_id: str) -> list[tuple[bytes, bytes]]:
        headers = [*SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
        if not scope["path"].startswith("/api/"):
            return headers
        headers += [(b"cache-control", b"no-store"), (b"vary", b"Origin")]
        origin = Headers(scope=scope).get("origin")
        if origin and (origin in self._allowed or "*" in self._allowed):
            headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
            headers.append((b"access-control-expose-headers", EXPOSED_HEADERS))
        return headers

    def _record(self, scope: Scope, request_id: str, status: int, duration_s: float) -> None:
        # No route has parameters: a path that matched one is its name. Others share a label,
        # or a scanner could create as many time series as it likes.
        route = scope["path"] if "endpoint" in scope else "unmatched"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.observe_request(method, route, status, duration_s)
        fields = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round(duration_s * 1000, 1),
            "client": (scope.get("client") or ("unknown",))[0],
        }
        quiet = route in ("/health", "/api/health", "/metrics") and status < 400
        log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})
