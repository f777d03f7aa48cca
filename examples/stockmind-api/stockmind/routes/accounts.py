"""Register and log in."""

from psycopg.errors import UniqueViolation
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stockmind.auth import TOKEN_LIFETIME_S, hash_password, password_matches
from stockmind.context import Context, context_of
from stockmind.database import Row
from stockmind.errors import Answer, ApiError
from stockmind.fields import Fields

# lower(email) finds addresses that were stored before they were normalised; idx_users_email_lower.
FIND = """
    SELECT id, email, first_name AS "firstName", last_name AS "lastName", password_hash
      FROM users WHERE lower(email) = %s
"""
CREATE = """
    INSERT INTO users (email, password_hash, first_name, last_name) VALUES (%s, %s, %s, %s)
    RETURNING id, email, first_name AS "firstName", last_name AS "lastName"
"""


def _session(context: Context, user: Row) -> dict[str, object]:
    public = {name: value for name, value in user.items() if name != "password_hash"}
    token = context.tokens.issue(user["id"])
    return {"token": token, "expiresIn": TOKEN_LIFETIME_S, "user": public}


def _email_taken() -> ApiError:
    return ApiError(409, "EMAIL_TAKEN", "There is an account with this email address.")


async def register(request: Request) -> Response:
    context = context_of(request)
    fields = await Fields.read(request)
    email, password = fields.email("email"), fields.text("password", 8, 200)
    names = fields.text("firstName", 0, 100), fields.text("lastName", 0, 100)
    fields.check()
    if await context.database.row(FIND, (email,)):
        raise _email_taken()
    values = (email, await hash_password(password), *names)
    try:
        user = await context.database.row(CREATE, values)
    except UniqueViolation:
        raise _email_taken() from None
    assert user is not None  # RETURNING of an INSERT that did not fail
    return Answer(_session(context, user), status_code=201)


async def login(request: Request) -> Response:
    context = context_of(request)
    fields = await Fields.read(request)
    email, password = fields.email("email"), fields.text("password", 1, 200)
    fields.check()
    client = request.client.host if request.client else "unknown"
    async with context.login_limit.turn(client):
        await context.login_limit.check(client)
        user = await context.database.row(FIND, (email,))
        matches = await password_matches(password, user["password_hash"] if user else None)
        if user is None or not matches:
            await context.login_limit.record_failure(client)
            raise ApiError(401, "INVALID_CREDENTIALS", "Email or password is wrong.")
    return Answer(_session(context, user))


ROUTES = [
    Route("/api/auth/register", register, methods=["POST"]),
    Route("/api/auth/login", login, methods=["POST"]),
]
