"""The environment, read once: either sound settings or every problem at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ENVIRONMENTS = ("development", "test", "staging", "production")
LOG_LEVELS = ("debug", "info", "warn", "error")
SECRET_LENGTH = 32
# `test` and `dev` count only as whole words, so that a random value never trips over them.
PLACEHOLDER = re.compile(
    r"(?:^|[-_. ])(?:test|dev|xxx+)(?:$|[-_. ])|change.?me|placeholder|example|replace|your[-_ ]"
    r"|secret|password|insecure|(.)\1{7}|0123456789|abcdefgh",
    re.IGNORECASE,
)


class SettingsError(Exception):
    """The environment was refused; `problems` name variables and rules, never values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the environment is not valid")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Faults:
    """Ways to misbehave on purpose, for tests of whoever operates the service."""

    start_delay_s: int = 0
    unhealthy: bool = False
    crash: bool = False
    error_percent: int = 0
    latency_ms: int = 0
    leak_mb: int = 0
    cpu_percent: int = 0
    after_s: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service runs with. Secrets stay out of `repr`."""

    database_url: str = field(repr=False)
    session_secret: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    other_secrets: tuple[str, ...] = field(repr=False)
    allowed_origins: tuple[str, ...]
    environment: str
    port: int
    log_level: str
    version: str
    login_window_s: int
    pool_size: int
    shutdown_timeout_s: int
    trusted_proxies: str
    support_contact: str
    faults: Faults

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must never reach a log or an answer."""
        password = urlsplit(self.database_url).password
        known = (self.database_url, password, self.session_secret, self.jwt_secret)
        return tuple(value for value in (*known, *self.other_secrets) if value)


class _Reader:
    """Reads typed values and collects what is wrong. An empty variable counts as absent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        value = self._environ.get(name, "").strip()
        if required and not value:
            self.problems.append(f"{name}: is required")
        return value or default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        if re.fullmatch(r"[0-9]{1,9}", value) and low <= int(value) <= high:
            return int(value)
        self.problems.append(f"{name}: must be a whole number from {low} to {high}")
        return default

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value in options:
            return value
        self.problems.append(f"{name}: must be one of {', '.join(options)}")
        return default

    def flag(self, name: str) -> bool:
        return self.choice(name, "0", ("0", "1", "false", "true")) in ("1", "true")

    def secret(self, name: str, *, strict: bool) -> str:
        value = self.text(name, required=True)
        if value and len(value) < SECRET_LENGTH:
            self.problems.append(f"{name}: must have at least {SECRET_LENGTH} characters")
        if value and strict and PLACEHOLDER.search(value):
            self.problems.append(f"{name}: looks like a test value or a placeholder")
        return value


def _split(url: str) -> tuple[str, str, str]:
    """Scheme, host and path of an address; empty where it cannot be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "", "", ""
    return parts.scheme, parts.hostname or "", parts.path


def _database_url(reader: _Reader) -> str:
    url = reader.text("DATABASE_URL", required=True)
    if not url:
        return url
    scheme, host, path = _split(url)
    if scheme not in ("postgres", "postgresql") or not host or len(path) < 2:
        reader.problems.append(
            "DATABASE_URL: must be a postgresql:// address with a host and a database"
        )
    return url


def _origins(reader: _Reader, *, production: bool) -> tuple[str, ...]:
    text = reader.text("ALLOWED_ORIGINS", required=production)
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for number, origin in enumerate(origins, start=1):
        where = f"ALLOWED_ORIGINS: entry {number}"
        scheme, host, path = _split(origin)
        if origin == "*":
            if production:
                reader.problems.append(f"{where} must not be * in production")
        elif scheme not in ("http", "https") or not host or path:
            reader.problems.append(f"{where} must be scheme://host[:port] without a path")
        elif production and scheme != "https":
            reader.problems.append(f"{where} must use https in production")
    return origins


def _sentry_dsn(reader: _Reader) -> str:
    dsn = reader.text("SENTRY_DSN")
    if dsn and _split(dsn)[0] not in ("http", "https"):
        reader.problems.append("SENTRY_DSN: must be an http or https address")
    return dsn


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check everything; raises SettingsError with all problems."""
    reader = _Reader(environ)
    environment = reader.choice("NODE_ENV", "development", ENVIRONMENTS)
    deployed = environment in ("staging", "production")
    settings = Settings(
        database_url=_database_url(reader),
        session_secret=reader.secret("SESSION_SECRET", strict=deployed),
        jwt_secret=reader.secret("JWT_SECRET", strict=deployed),
        other_secrets=(reader.text("APIFY_API_KEY"), _sentry_dsn(reader)),
        allowed_origins=_origins(reader, production=environment == "production"),
        environment=environment,
        port=reader.integer("PORT", 5000, 1, 65535),
        log_level=reader.choice("LOG_LEVEL", "info", LOG_LEVELS),
        version=reader.text("VERSION", "dev"),
        login_window_s=reader.integer("LOGIN_WINDOW_S", 60, 1, 86400),
        pool_size=reader.integer("DB_POOL_SIZE", 10, 1, 100),
        shutdown_timeout_s=reader.integer("SHUTDOWN_TIMEOUT_S", 8, 1, 600),
        trusted_proxies=reader.text("TRUSTED_PROXIES", "127.0.0.1"),
        support_contact=reader.text("SUPPORT_CONTACT", "support@stockmind.example"),
        faults=Faults(
            start_delay_s=reader.integer("FAULT_START_DELAY_S", 0, 0, 3600),
            unhealthy=reader.flag("FAULT_UNHEALTHY"),
            crash=reader.flag("FAULT_CRASH"),
            error_percent=reader.integer("FAULT_ERROR_PERCENT", 0, 0, 100),
            latency_ms=reader.integer("FAULT_LATENCY_MS", 0, 0, 60_000),
            leak_mb=reader.integer("FAULT_LEAK_MB", 0, 0, 100_000),
            cpu_percent=reader.integer("FAULT_CPU_PERCENT", 0, 0, 100),
            after_s=reader.integer("FAULT_AFTER_S", 0, 0, 3600),
        ),
    )
    if settings.jwt_secret and settings.jwt_secret == settings.session_secret:
        reader.problems.append("JWT_SECRET: must differ from SESSION_SECRET")
    if reader.problems:
        raise SettingsError(reader.problems)
    return settings
