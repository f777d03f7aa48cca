"""What a request needs from the application, typed."""

from dataclasses import dataclass

from starlette.requests import Request

from stockmind.auth import KeySeal, Tokens
from stockmind.database import Database
from stockmind.errors import ApiError
from stockmind.login_limit import LoginLimit
from stockmind.metrics import Metrics
from stockmind.scoring import Scorer
from stockmind.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """Built once at start, shared by every request."""

    settings: Settings
    database: Database
    metrics: Metrics
    tokens: Tokens
    seal: KeySeal
    login_limit: LoginLimit
    scorer: Scorer


def build_context(settings: Settings) -> Context:
    database = Database(settings.database_url, settings.pool_size)
    metrics = Metrics(settings.version, database.active)
    seal = KeySeal(settings.session_secret)
    return Context(
        settings=settings,
        database=database,
        metrics=metrics,
        tokens=Tokens(settings.jwt_secret),
        seal=seal,
        login_limit=LoginLimit(database, settings.login_window_s),
        scorer=Scorer(database, seal, metrics),
    )


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def signed_in(request: Request) -> int:
    """The id of the user whose token the request carries; raises 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    user_id = context_of(request).tokens.user_id(token.strip())
    if scheme.lower() != "bearer" or user_id is None:
        raise unauthorized()
    return user_id


def unauthorized() -> ApiError:
    return ApiError(401, "UNAUTHORIZED", "Sign in first.")
