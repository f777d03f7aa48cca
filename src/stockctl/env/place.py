"""Where a URL leads to: the parts of a database URL, and which hosts are ours."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from stockctl.core.secret import Secret

_DATABASES = re.compile(
    r"(?:postgres(?:ql)?|mysql|mariadb|mongodb|redis|rediss|amqp|amqps|mssql|clickhouse|cockroachdb)"
    r"(?:\+\w+)?://"
)
_POSTGRES = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")
# Names that never leave a machine, a container network or an office.
_PRIVATE = re.compile(
    r"localhost|[^.]+|.*\.(?:local|localhost|localdomain|internal|lan|home|test|svc|home\.arpa)"
)
_SAME_MACHINE = re.compile(r"localhost|host\.docker\.internal|[^.:]+|.*\.localhost")


@dataclass(frozen=True, slots=True)
class Place:
    """A database as a URL names it. `host` is empty for a socket on this machine."""

    scheme: str
    user: str
    password: Secret
    host: str
    port: int | None
    database: str
    options: dict[str, str]

    @property
    def postgres(self) -> bool:
        return self.scheme.partition("+")[0] in ("postgres", "postgresql")

    @property
    def remote(self) -> bool:
        """On another machine: neither this one nor a container beside it."""
        return bool(self.host) and not is_same_machine(self.host)


def place_of(value: str) -> Place | None:
    """The parts, as libpq reads them; None for what is not a database's URL."""
    if not _DATABASES.match(value):
        return None
    try:
        parts = urlsplit(value)
        options = {key: each[-1] for key, each in parse_qs(parts.query).items()}
        host = (options.get("host") or parts.hostname or "").lower().rstrip(".")
        port = int(options["port"]) if "port" in options else parts.port
    except ValueError:
        return None
    user = unquote(parts.username or "")
    return Place(
        parts.scheme,
        user,
        Secret(unquote(parts.password or options.get("password", ""))),
        "" if host.startswith(("/", "@")) or unquote(host).startswith("/") else host,
        port,
        options.get("dbname") or unquote(parts.path.lstrip("/")) or user,
        options,
    )


def is_postgres(value: str) -> bool:
    """Whether it is the URL of a PostgreSQL database."""
    return bool(_POSTGRES.match(value))


def is_same_machine(host: str) -> bool:
    """Loopback, or a name without a dot, as containers and this machine have."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return bool(_SAME_MACHINE.fullmatch(host.lower()))


def is_public(host: str) -> bool:
    """Whether people on the internet can mean it."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return not _PRIVATE.fullmatch(host.lower().rstrip("."))
