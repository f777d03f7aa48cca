"""For whoever operates the service: health and metrics."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stockmind.context import context_of
from stockmind.errors import Answer
from stockmind.metrics import CONTENT_TYPE


async def health(request: Request) -> Response:
    """200 when requests can be served; 503 when the database is away or not migrated."""
    context = context_of(request)
    database = await context.database.state()
    healthy = database == "up" and not context.settings.faults.unhealthy
    body = {
        "status": "ok" if healthy else "unhealthy",
        "version": context.settings.version,
        "environment": context.settings.environment,
        "database": database,
    }
    return Answer(body, status_code=200 if healthy else 503)


async def metrics(request: Request) -> Response:
    body = context_of(request).metrics.render()
    return Response(body, headers={"Content-Type": CONTENT_TYPE})


ROUTES = [
    Route("/health", health),
    Route("/api/health", health),
    Route("/metrics", metrics),
]
