"""One JSON object a line on stdout, with every secret masked."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

MASK = "***"
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
# Loggers and the least they may say. "uvicorn.error" by its full name: as long as its own level
# is unset, uvicorn 0.17 wraps every request in a layer that traces messages.
CHATTY = {"asyncio": "info", "psycopg": "warn", "uvicorn.error": "info"}
CREDENTIAL_SHAPES = (
    re.compile(r"\bsk-[A-Za-z0-9_-]{4,}"),  # covers sk-ant-… as well
    re.compile(r"(?i)(?<=\bbearer )\S+"),
    re.compile(r"(?i)(?<=\bapi_key=)[^\s&\"']+"),
    re.compile(r"(?i)(?<=\bpassword=)[^\s&\"']+"),
    re.compile(r"(?<=://)[^/\s@]+:[^/\s@]+(?=@)"),
)


class Redactor:
    """Masks the secrets it was told about and whatever has the shape of a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first: a secret that contains another one must go as a whole.
        known = sorted({value for value in secrets if len(value) >= 4}, key=len, reverse=True)
        self._known = tuple(known)

    def __call__(self, text: str) -> str:
        for value in self._known:
            text = text.replace(value, MASK)
        for shape in CREDENTIAL_SHAPES:
            text = shape.sub(MASK, text)
        return text


class JsonFormatter(logging.Formatter):
    """A record as one JSON line; `extra={"fields": {...}}` adds fields of its own."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        # Masked before it is encoded: a quote inside a secret must not hide it.
        masked = {key: self._masked(value) for key, value in entry.items()}
        return json.dumps(masked, ensure_ascii=False)

    def _masked(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, list):
            return [self._masked(part) for part in value]
        return self._redact(str(value))


def configure_logging(level: str, secrets: Iterable[str] = ()) -> None:
    """Send every logger of the process through the one JSON handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(Redactor(secrets)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVELS[level])
    for chatty, least in CHATTY.items():
        logging.getLogger(chatty).setLevel(max(LEVELS[least], LEVELS[level]))
