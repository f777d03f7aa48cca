"""Where a URL leads to: the parts of a database URL, and which hosts are ours."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from stockctl.core.secret import Secret

_DATABASES = re.compile(
    r"(?:postgres(?:ql)?|mysql|mariadb|mongodb|redis|rediss|amqp|amqps|mssql|clickhouse|cockroachdb)"
    r"(?:\+\w+)?://"
)
_LIST = """
postgres postgresql password root admin secret mysecretpassword example changeme pgpass mysql
mongo redis guest user docker pass 123456 12345678 toor sa
"""
_DEFAULTS = frozenset(_LIST.split())
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5})?)?")
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
    if "://" not in value or not _DATABASES.match(value):  # nearly every value has no :// in it
        return None
    try:
        parts = urlsplit(value)
        options = {key: each[-1] for key, each in parse_qs(parts.query).items()}
        hosts, port = _hosts(parts.netloc.rpartition("@")[2])
        host = (options.get("host") or hosts).lower().rstrip(".")
        port = int(options["port"].partition(",")[0]) if "port" in options else port
    except ValueError:
        return None
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    user = unquote(user)
    return Place(
        parts.scheme,
        user,
        Secret(unquote(password or options.get("password", ""))),
        "" if host.startswith(("/", "@")) or unquote(host).startswith("/") else host,
        port,
        options.get("dbname") or unquote(parts.path.lstrip("/")) or user,
        options,
    )


def _hosts(written: str) -> tuple[str, int | None]:
    """The first of `host:port,host:port`, which libpq takes. Raises ValueError for a bad port."""
    found = [_host_and_port(each) for each in written.split(",")]
    ports = [int(port) for _, port in found if port]
    if any(not 0 < port < 65536 for port in ports):
        raise ValueError("not a port")
    return found[0][0], int(found[0][1]) if found[0][1] else None


def _host_and_port(written: str) -> tuple[str, str | None]:
    match = _HOST_AND_PORT.fullmatch(written)
    if match is None:
        raise ValueError("not a host and a port")
    return match["host"].strip("[]"), match["port"]


def is_default_password(password: str, own: Collection[str]) -> bool:
    """One that an image or a tutorial comes with, or the name of the user or the database."""
    return bool(password) and (is_default(password) or password in own)


def is_default(password: str) -> bool:
    """One that an image or a tutorial comes with."""
    return password.lower() in _DEFAULTS


def is_postgres(value: str) -> bool:
    """Whether it is the URL of a PostgreSQL database."""
    return bool(_POSTGRES.match(value))


def below_domain(host: str) -> str:
    """What is in front of somebody's domain: `dev` is a top-level domain, too, and `live.com` has
    an owner. Of private names only the last label is no one's choice."""
    labels = host.split(".")
    private = is_same_machine(host) or not is_public(host)
    return host if len(labels) == 1 else ".".join(labels[: -1 if private else -2])


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
