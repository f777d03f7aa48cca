"""The application: routes inside, the edge around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.types import ASGIApp

from stockmind.context import build_context
from stockmind.edge import Edge
from stockmind.errors import EXCEPTION_HANDLERS
from stockmind.misbehaviour import Misbehaviour
from stockmind.routes import accounts, collections, operations
from stockmind.settings import Settings


def build_app(settings: Settings) -> ASGIApp:
    """Everything wired; opens the database when the server starts it."""
    context = build_context(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await context.database.open()
        yield
        await context.database.close()

    app = Starlette(
        routes=[*operations.ROUTES, *accounts.ROUTES, *collections.ROUTES],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.state.context = context
    app.state.settings = settings
    return Edge(Misbehaviour(app, settings.faults), context.metrics, settings.allowed_origins)
