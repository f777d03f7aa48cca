"""What a signed-in user owns: sources, items, projects and API keys."""

from collections.abc import Sequence

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stockmind.context import context_of, signed_in, unauthorized
from stockmind.database import Connection, Row
from stockmind.errors import Answer, ApiError, invalid_fields, limit_reached
from stockmind.fields import MAX_ID, Fields
from stockmind.pagination import Listing, fetch_page, read_page, whole

MAX_PROJECTS = 100
MAX_SOURCES = 50
MAX_KEYS_PER_PROVIDER = 5
PROVIDERS = ("openai", "anthropic", "google", "apify")

SOURCES = Listing(
    "instagram_sources",
    {"id": "id", "handle": "handle", "createdAt": "created_at"},
    {"createdAt": "created_at", "handle": "handle"},
)
ITEMS = Listing(
    "instagram_items",
    {
        "id": "id",
        "sourceId": "source_id",
        "caption": "caption",
        "metrics": "metrics",
        "aiScore": "ai_score",
        "createdAt": "created_at",
    },
)
PROJECTS = Listing(
    "projects",
    {"id": "id", "name": "name", "description": "description", "createdAt": "created_at"},
    {"createdAt": "created_at", "name": "name"},
)
API_KEYS = Listing(
    "api_keys",
    {"id": "id", "provider": "provider", "keyHint": "key_hint", "createdAt": "created_at"},
    {"createdAt": "created_at", "provider": "provider"},
)

CREATE_SOURCE = """
    INSERT INTO instagram_sources (user_id, handle) VALUES (%s, %s)
    RETURNING id, handle, created_at AS "createdAt"
"""
CREATE_ITEM = """
    INSERT INTO instagram_items (source_id, user_id, caption, metrics, ai_score)
    SELECT id, user_id, %s, %s, %s FROM instagram_sources WHERE id = %s AND user_id = %s
    RETURNING id, source_id AS "sourceId", caption, metrics,
              ai_score AS "aiScore", created_at AS "createdAt"
"""
CREATE_PROJECT = """
    INSERT INTO projects (user_id, name, description) VALUES (%s, %s, %s)
    RETURNING id, name, description, created_at AS "createdAt"
"""
CREATE_API_KEY = """
    INSERT INTO api_keys (user_id, provider, encrypted_key, key_hint) VALUES (%s, %s, %s, %s)
    RETURNING id, provider, key_hint AS "keyHint", created_at AS "createdAt"
"""
OWNS_SOURCE = "SELECT id FROM instagram_sources WHERE id = %s AND user_id = %s"
# Parallel requests of one user wait here for each other, so none slips past a limit.
LOCK_USER = "SELECT id FROM users WHERE id = %s FOR NO KEY UPDATE"


def _no_such_source() -> ApiError:
    return ApiError(404, "NOT_FOUND", "You have no such source.")


async def _list(request: Request, listing: Listing, **filters: object) -> Response:
    page = read_page(request.query_params, listing.sortable)
    return Answer(await fetch_page(context_of(request).database, listing, filters, page))


async def _one(connection: Connection, query: str, params: Sequence[object]) -> Row | None:
    return await (await connection.execute(query, params)).fetchone()


async def _create(
    request: Request,
    listing: Listing,
    limit: int,
    query: str,
    params: Sequence[object],
    **owner: object,
) -> Response:
    """Insert unless the owner already has `limit` rows; counts and inserts under one lock."""
    async with context_of(request).database.transaction() as connection:
        if await _one(connection, LOCK_USER, [owner["user_id"]]) is None:
            raise unauthorized()  # the account is gone, the token is not
        counted = await (
            await connection.execute(listing.count(owner), [*owner.values()])
        ).fetchone()
        current = counted["total"] if counted else 0
        if current >= limit:
            raise limit_reached(listing.table.replace("_", " "), limit, current)
        return Answer(await _one(connection, query, params), status_code=201)


class Sources(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return await _list(request, SOURCES, user_id=signed_in(request))

    async def post(self, request: Request) -> Response:
        user_id = signed_in(request)
        fields = await Fields.read(request)
        handle = fields.text("handle", 1, 100)
        fields.check()
        try:
            return await _create(
                request, SOURCES, MAX_SOURCES, CREATE_SOURCE, (user_id, handle), user_id=user_id
            )
        except UniqueViolation:
            raise ApiError(409, "SOURCE_EXISTS", "You already follow this handle.") from None


class Items(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        user_id = signed_in(request)
        text = request.query_params.get("sourceId")
        if text is None:
            return await _list(request, ITEMS, user_id=user_id)
        source = whole(text, MAX_ID)
        if source is None:
            raise invalid_fields({"sourceId": "must be an id"})
        if await context_of(request).database.row(OWNS_SOURCE, (source, user_id)) is None:
            raise _no_such_source()
        return await _list(request, ITEMS, source_id=source)

    async def post(self, request: Request) -> Response:
        user_id, context = signed_in(request), context_of(request)
        fields = await Fields.read(request)
        source, caption = fields.identifier("sourceId"), fields.text("caption", 0, 5000)
        metrics = fields.mapping("metrics")
        fields.check()
        score = await context.scorer.score(user_id, caption)
        values = (caption, Jsonb(metrics), score, source, user_id)
        item = await context.database.row(CREATE_ITEM, values)
        if item is None:
            raise _no_such_source()
        return Answer(item, status_code=201)


class Projects(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return await _list(request, PROJECTS, user_id=signed_in(request))

    async def post(self, request: Request) -> Response:
        user_id = signed_in(request)
        fields = await Fields.read(request)
        values = (user_id, fields.text("name", 1, 200), fields.text("description", 0, 2000))
        fields.check()
        return await _create(
            request, PROJECTS, MAX_PROJECTS, CREATE_PROJECT, values, user_id=user_id
        )


class ApiKeys(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return await _list(request, API_KEYS, user_id=signed_in(request))

    async def post(self, request: Request) -> Response:
        user_id = signed_in(request)
        fields = await Fields.read(request)
        provider, key = fields.choice("provider", PROVIDERS), fields.text("key", 16, 500)
        fields.check()
        sealed = context_of(request).seal.seal(key)
        values = (user_id, provider, sealed, f"…{key[-4:]}")
        return await _create(
            request,
            API_KEYS,
            MAX_KEYS_PER_PROVIDER,
            CREATE_API_KEY,
            values,
            user_id=user_id,
            provider=provider,
        )


ROUTES = [
    Route("/api/instagram/sources", Sources),
    Route("/api/instagram/items", Items),
    Route("/api/projects", Projects),
    Route("/api/settings/api-keys", ApiKeys),
]
