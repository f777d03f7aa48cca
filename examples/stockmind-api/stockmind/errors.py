"""Errors as clients see them: one envelope, and never the text of an inner error."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import errors as pg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

log = logging.getLogger("stockmind.errors")

HTTP_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
RETRY_AFTER_S = 2


class ApiError(Exception):
    """A refusal with a code that programs can rely on."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, object] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details or {}
        self.retry_after = retry_after


def invalid_fields(fields: Mapping[str, str]) -> ApiError:
    """400 with one message per field."""
    return ApiError(400, "VALIDATION_ERROR", "Some fields are not valid.", {"fields": fields})


def limit_reached(what: str, limit: int, current: int) -> ApiError:
    """429 for a quota of a user, as opposed to a rate."""
    message = f"You have reached the limit of {limit} {what}."
    return ApiError(429, "LIMIT_REACHED", message, {"limit": limit, "current": current})


def _encode(value: object) -> str | float:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"cannot encode {type(value).__name__}")


class Answer(JSONResponse):
    """JSON with timestamps in UTC."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, default=_encode, ensure_ascii=False).encode()


def _envelope(request: Request, error: ApiError) -> Response:
    body: dict[str, object] = {
        "code": error.code,
        "message": str(error),
        "details": error.details,
        "supportContact": request.app.state.settings.support_contact,
    }
    headers = {}
    if error.retry_after is not None:
        body["retryAfter"] = error.retry_after
        headers["Retry-After"] = str(error.retry_after)
    return Answer({"error": body}, status_code=error.status, headers=headers)


async def _api_error(request: Request, error: ApiError) -> Response:
    return _envelope(request, error)


async def _http_error(request: Request, error: HTTPException) -> Response:
    code = HTTP_CODES.get(error.status_code, "HTTP_ERROR")
    return _envelope(request, ApiError(error.status_code, code, str(error.detail)))


async def _database_down(request: Request, error: Exception) -> Response:
    log.error("database unavailable", extra={"fields": {"error": repr(error)}})
    message = "The database does not answer. Try again in a moment."
    refusal = ApiError(503, "DATABASE_UNAVAILABLE", message, retry_after=RETRY_AFTER_S)
    return _envelope(request, refusal)


async def _schema_missing(request: Request, error: Exception) -> Response:
    log.error("schema does not fit", extra={"fields": {"error": repr(error)}})
    return _envelope(request, ApiError(503, "SCHEMA_MISSING", "The database is not migrated."))


async def _bad_data(request: Request, _error: Exception) -> Response:
    return _envelope(request, ApiError(400, "VALIDATION_ERROR", "The database refused a value."))


async def _unexpected(request: Request, _error: Exception) -> Response:
    return _envelope(request, ApiError(500, "INTERNAL_ERROR", "Something went wrong on our side."))


EXCEPTION_HANDLERS: dict[Any, Any] = {
    ApiError: _api_error,
    HTTPException: _http_error,
    psycopg.OperationalError: _database_down,
    psycopg.DataError: _bad_data,
    pg.UndefinedTable: _schema_missing,
    pg.UndefinedColumn: _schema_missing,
    Exception: _unexpected,
}
