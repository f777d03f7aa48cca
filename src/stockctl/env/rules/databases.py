"""The database: its password, how it is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.place import Place, is_default_password, is_same_machine, place_of
from stockctl.env.rules.base import Subject, found, prod, rule

_PASSWORD_OF_DATABASE = re.compile(
    r"(?:POSTGRES(?:QL)?|PG|DB|DATABASE|MYSQL|MYSQL_ROOT|MARIADB|MONGO(?:DB)?|REDIS|RABBITMQ)_?"
    r"(?:PASSWORD|PASS|PASSWD|PWD|DEFAULT_PASS|INITDB_ROOT_PASSWORD)(?:_[A-Z]+)?"
)
_STORE = r"(?:DB|DATABASE|POSTGRES|PG|MYSQL|MONGO|REDIS)"
_ALONE = re.compile(r"\$\{\w+\}")
_URL_OF_DATABASE = re.compile(
    r"(?:DATABASE|POSTGRES(?:QL)?|DB|PG)_(?:URL|URI|DSN)(?P<suffix>_\w+)?|database\.url"
)
_USER_OF_DATABASE = re.compile(rf"{_STORE}_?(?:USER|USERNAME|DB|DATABASE|NAME)")
_SSL = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True, slots=True)
class Named:
    """A database, what names it, and where."""

    key: str
    where: Where | None
    place: Place


def databases(subject: Subject) -> Iterator[Named]:
    """The variables that are a database's URL, and `database.url` where it is more than one of
    these."""
    for binding in subject.bound.values():
        place = place_of(binding.value.reveal())
        if place is not None:
            yield Named(binding.key, binding.where, place)
    table = subject.loaded.layers.data.get("database", {})
    settings = subject.environment.database
    if settings is None or settings.url is None or _ALONE.fullmatch(str(table.get("url"))):
        return
    place = place_of(settings.url.reveal())
    if place is not None:
        yield Named("database.url", subject.toml("database", "url"), place)


@rule(
    "E023",
    Severity.ERROR,
    bad=prod("DATABASE_URL=postgresql://postgres:postgres@127.0.0.1:5432/shop\n"),
    good=prod("DATABASE_URL=postgresql://shop:V4s0nJq8Lk2PzXw7@127.0.0.1:5432/shop\n"),
)
def default_database_password(subject: Subject) -> Iterator[Finding]:
    """A database's password is the one that its image or a tutorial comes with, or its user's name.

    Not in development and test. A database that becomes reachable by accident is found in minutes,
    and these are tried.
    """
    if subject.environment.kind in ("development", "test"):
        return
    names = {v.reveal() for k, v in subject.values.items() if v and _USER_OF_DATABASE.fullmatch(k)}
    passwords = [
        (each.key, each.where, each.place.password.reveal(), {each.place.user, each.place.database})
        for each in databases(subject)
    ]
    passwords += [
        (binding.key, binding.where, binding.value.reveal(), names)
        for binding in subject.bound.values()
        if _PASSWORD_OF_DATABASE.fullmatch(binding.key)
    ]
    for key, where, password, own in passwords:
        if is_default_password(password, own):
            message = f"{key}: a default database password"
            yield found("E023", where, message, "Give the role a password of its own.")


@rule(
    "E024",
    Severity.ERROR,
    bad=prod(
        "POSTGRES_PASSWORD=V4s0nJq8Lk2PzXw7\n"
        "DATABASE_URL=postgresql://shop:Rt5Yb1Gm9Hc3Df6E@127.0.0.1/shop\n"
    ),
    good=prod(
        "POSTGRES_PASSWORD=V4s0nJq8Lk2PzXw7\n"
        "DATABASE_URL=postgresql://shop:${POSTGRES_PASSWORD}@127.0.0.1/shop\n"
    ),
)
def passwords_disagree(subject: Subject) -> Iterator[Finding]:
    """The password in the database URL is not POSTGRES_PASSWORD.

    The container is made with one of them and the application comes with the other.
    """
    for each in databases(subject):
        named, place = _URL_OF_DATABASE.fullmatch(each.key), each.place
        if named is None:
            continue
        suffix = named["suffix"] or ""
        other = f"POSTGRES_PASSWORD{suffix}"
        user = subject.values.get(f"POSTGRES_USER{suffix}")
        password = subject.values.get(other)
        named_otherwise = user is not None and user.reveal() != place.user
        if not (place.postgres and password and place.password) or named_otherwise:
            continue
        if place.password != password and not place.remote:
            message = f"{each.key}: its password is not that of {other}"
            fix = f"Write it as ${{{other}}}; percent-encode what a URL cannot hold."
            yield found("E024", each.where, message, fix)


@rule(
    "E025",
    Severity.ERROR,
    bad=prod("DATABASE_URL=postgresql://shop:V4s0nJq8Lk2PzXw7@db.example.com/shop\n"),
    good=prod(
        "DATABASE_URL=postgresql://shop:V4s0nJq8Lk2PzXw7@db.example.com/shop?sslmode=require\n"
    ),
)
def weak_sslmode(subject: Subject) -> Iterator[Finding]:
    """`sslmode` of a database on another host is weaker than required (`sslmode` of the variable,
    `require` if it has none).

    Without it libpq falls back to plain text when the server, or somebody in between, says so
    (https://www.postgresql.org/docs/current/libpq-ssl.html).
    """
    for each in databases(subject):
        place, variable = each.place, subject.environment.variables.get(each.key)
        required = variable.sslmode if variable else "require"
        if not place.postgres or not place.remote:
            continue
        if _SSL.index(_sslmode(place.options, subject.values)) < _SSL.index(required):
            message = f"{each.key}: sslmode is weaker than {required} for a remote database"
            yield found("E025", each.where, message, f"Add ?sslmode={required} to the URL.")


def _sslmode(options: Mapping[str, str], values: Mapping[str, Secret]) -> str:
    mode = options.get("sslmode") or options.get("ssl-mode") or options.get("ssl") or ""
    if not mode and "PGSSLMODE" in values:
        mode = values["PGSSLMODE"].reveal()
    if options.get("sslrootcert") == "system":
        return "verify-full"
    mode = {"true": "require", "1": "require", "no-verify": "require"}.get(
        mode.lower(), mode.lower()
    )
    return mode if mode in _SSL else "prefer"  # libpq's default


def same_database(one: Place, two: Place) -> bool:
    """Whether two URLs lead to one database. On one machine servers differ by port; elsewhere
    another port is a pooler of the same server."""
    if one.database != two.database:
        return False
    here = [not each.remote for each in (one, two)]
    if all(here):
        alike = {one.host, two.host}
        one_host = len(alike) == 1 or all(is_same_machine(h) and _is_this(h) for h in alike)
        return one_host and (one.port or 5432) == (two.port or 5432)
    return one.host == two.host


def _is_this(host: str) -> bool:
    return host in ("", "localhost", "::1", "host.docker.internal") or host.startswith("127.")
