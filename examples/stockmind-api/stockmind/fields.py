"""Reading a JSON body, field by field, collecting what is wrong."""

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from stockmind.errors import ApiError, invalid_fields

MAX_BODY_BYTES = 64 * 1024
MAX_ID = 2**63 - 1
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


async def _body(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise ApiError(413, "BODY_TOO_LARGE", f"A body may have {MAX_BODY_BYTES} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


class Fields:
    """The fields of one body. Ask for each, then call `check()`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._problems: dict[str, str] = {}

    @classmethod
    async def read(cls, request: Request) -> "Fields":
        try:
            values = json.loads(await _body(request))
        except (ValueError, RecursionError):
            raise ApiError(400, "INVALID_JSON", "The body is not valid JSON.") from None
        if not isinstance(values, dict):
            raise ApiError(400, "INVALID_JSON", "The body must be a JSON object.")
        return cls(values)

    def text(self, name: str, low: int, high: int) -> str:
        value = self._values.get(name, "" if low == 0 else None)
        if not isinstance(value, str) or not low <= len(value) <= high or not _storable(value):
            self._problems[name] = f"must be text of {low} to {high} characters"
            return ""
        return value

    def email(self, name: str) -> str:
        value = self.text(name, 3, 254).strip().lower()
        if name not in self._problems and not EMAIL.fullmatch(value):
            self._problems[name] = "must be an email address"
        return value

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        value = self._values.get(name)
        if value not in options:
            self._problems[name] = f"must be one of {', '.join(options)}"
        return str(value)

    def identifier(self, name: str) -> int:
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_ID:
            self._problems[name] = "must be an id"
            return 0
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            self._problems[name] = "must be an object"
            return {}
        return value

    def check(self) -> None:
        """Raises 400 with every problem found so far."""
        if self._problems:
            raise invalid_fields(self._problems)


def _storable(text: str) -> bool:
    """Postgres stores neither NUL nor half a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
