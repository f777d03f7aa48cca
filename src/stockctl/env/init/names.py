"""What a variable is, told by its name; and by its value where that says more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from stockctl.env.init.survey import Survey, Use

_OWN = re.compile(
    r"(?:(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|SALT|PEPPER)"
    r"|(?:^|_)(?:SECRET|SESSION|SIGNING|ENCRYPTION|COOKIE|JWT|MASTER|HMAC|CSRF|AUTH)_KEY"
    r"|SECRET_KEY_BASE)(?:_(?:STAGING|PROD|PRODUCTION|DEV|TEST))?$"
)
# Given out by somebody else: to make one up would only hide that it is missing.
_FOREIGN = re.compile(
    r"(?:^|_)(?:AWS|S3|STRIPE|GITHUB|GITLAB|GOOGLE|OAUTH\d?|OIDC|CLIENT|WEBHOOK|SMTP|MAIL[A-Z]*"
    r"|EMAIL|SENDGRID|TWILIO|SLACK|OPENAI|ANTHROPIC|SENTRY|AZURE|PAYPAL|TELEGRAM|API)_"
)
_DATABASE_URL = re.compile(r"(?:DATABASE|POSTGRES(?:QL)?|PG|DB)_?(?:URL|URI|DSN)$")
KIND_NAME = re.compile(r"(?:NODE|APP|RAILS|RACK|FLASK|DJANGO)_ENV(?:IRONMENT)?|ENV|ENVIRONMENT")
DEBUG = re.compile(r"(?:.*_)?DEBUG")
# Of a server: ours to make only if the server is one of the compose files, and gets it from there.
OF_A_SERVER = re.compile(
    r"(?:^|_)(?:PG|POSTGRES(?:QL)?|DB|DATABASE|MYSQL|MARIADB|MONGO(?:DB)?|REDIS|VALKEY|RABBITMQ|AMQP)"
    r"_?(?:ROOT_)?PASS(?:WORD|WD)?(?:_[A-Z]+)?$"
)
_POSTGRES = ("postgres://", "postgresql://")


def own_secrets(survey: Survey, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that are secrets which we may make."""
    return tuple(name for name in names if _is_own(name.upper(), survey.uses.get(name), survey))


def _is_own(upper: str, use: Use | None, survey: Survey) -> bool:
    if not _OWN.search(upper) or _FOREIGN.search(upper):
        return False
    readers = (survey.parts.get(name) for name in use.readers) if use else ()
    elsewhere = {part.kind for part in readers if part} == {"app"}
    return not (elsewhere and OF_A_SERVER.search(upper))


def type_of(name: str, value: str, *, port: bool) -> str:
    """As `[variables.NAME]` has it, for an upper-case name."""
    if value.startswith(_POSTGRES):
        return "postgres_url"
    number = bool(re.fullmatch(r"[0-9]+", value))
    if port or (number and re.search(r"(?:^|_)PORT$", name) and 0 < int(value) < 65536):
        return "port"
    if value.lower() in ("true", "false") or (DEBUG.fullmatch(name) and value in ("0", "1")):
        return "bool"
    if number:
        return "int"
    if re.search(r"ORIGINS?$", name) and re.fullmatch(r"(?:https?://[^/,\s]+,?\s*)+", value):
        return "origins"
    if re.fullmatch(r"https?://[^\s$]+", value) and urlsplit(value).hostname:
        return "url"
    return "email" if re.fullmatch(r"[^@\s:/]+@[^@\s:/]+\.[^@\s:/]+", value) else "string"


def is_database_url(name: str) -> bool:
    """By its name."""
    return bool(_DATABASE_URL.search(name.upper()))
