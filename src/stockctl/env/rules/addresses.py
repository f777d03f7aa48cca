"""Databases, hosts and URLs: the right ones, reached safely."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.dotenv import Binding
from stockctl.env.place import (
    Place,
    below_domain,
    is_default_password,
    is_public,
    is_same_machine,
    place_of,
)
from stockctl.env.rules.base import Subject, found, prod, rule

_PASSWORD_OF_DATABASE = re.compile(
    r"(?:POSTGRES(?:QL)?|PG|DB|DATABASE|MYSQL|MYSQL_ROOT|MARIADB|MONGO(?:DB)?|REDIS|RABBITMQ)_?"
    r"(?:PASSWORD|PASS|PASSWD|PWD|DEFAULT_PASS|INITDB_ROOT_PASSWORD)(?:_[A-Z]+)?"
)
_STORE = r"(?:DB|DATABASE|POSTGRES|PG|MYSQL|MONGO|REDIS)"
_URL_OF_DATABASE = re.compile(
    r"(?:DATABASE|POSTGRES(?:QL)?|DB|PG)_(?:URL|URI|DSN)(?P<suffix>_\w+)?"
)
_USER_OF_DATABASE = re.compile(rf"{_STORE}_?(?:USER|USERNAME|DB|DATABASE|NAME)")
_URL_NAME = re.compile(r"(?:^|_)(?:URL|URI|HOST|ENDPOINT|ORIGIN|DSN|WEBHOOK|LINK|DOMAIN)S?(?:_|$)")
_HOST_NAME = re.compile(rf"(?:^|_){_STORE}_?(?:HOST|SERVER)$")
_DATABASE_NAME = re.compile(r"(?:POSTGRES_DB|PGDATABASE|(?:DB|DATABASE|MYSQL)_(?:NAME|DATABASE))")
_NOT_PRODUCTION = frozenset(
    ("staging", "stage", "stg", "dev", "develop", "development", "test", "testing", "qa", "uat")
)
_PRODUCTION = frozenset(("prod", "production", "live"))
_SSL = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ORIGINS = re.compile(r"(?:ALLOWED|CORS).*ORIGINS?")


def places(subject: Subject) -> Iterator[tuple[Binding, Place]]:
    """The variables that are a database's URL."""
    for binding in subject.bound.values():
        place = place_of(binding.value.reveal())
        if place is not None:
            yield binding, place


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
    for binding in subject.bound.values():
        place = place_of(binding.value.reveal())
        if place is not None:
            password, own = place.password.reveal(), {place.user, place.database}
        elif _PASSWORD_OF_DATABASE.fullmatch(binding.key):
            password, own = binding.value.reveal(), names
        else:
            continue
        if is_default_password(password, own):
            message = f"{binding.key}: a default database password"
            yield found("E023", binding.where, message, "Give the role a password of its own.")


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
    for binding, place in places(subject):
        named = _URL_OF_DATABASE.fullmatch(binding.key)
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
            message = f"{binding.key}: its password is not that of {other}"
            fix = f"Write it as ${{{other}}}; percent-encode what a URL cannot hold."
            yield found("E024", binding.where, message, fix)


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
    for binding, place in places(subject):
        variable = subject.environment.variables.get(binding.key)
        required = variable.sslmode if variable else "require"
        if not place.postgres or not place.remote:
            continue
        if _SSL.index(_sslmode(place.options, subject.values)) < _SSL.index(required):
            message = f"{binding.key}: sslmode is weaker than {required} for a remote database"
            yield found("E025", binding.where, message, f"Add ?sslmode={required} to the URL.")


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


@rule(
    "E026",
    Severity.ERROR,
    bad=prod("PUBLIC_URL=http://shop.example.com\n"),
    good=prod("PUBLIC_URL=https://shop.example.com\n"),
)
def public_url_without_https(subject: Subject) -> Iterator[Finding]:
    """A URL of a public host is `http://`; in production every origin must be `https://`.

    What goes there can be read and changed on the way. Hosts of a private network are left alone.
    """
    variables = subject.environment.variables
    for binding in subject.bound.values():
        variable = variables.get(binding.key)
        kind = variable.type if variable else ""
        by_name = variable is None and _URL_NAME.search(binding.key)
        if kind not in ("url", "origins") and not by_name:
            continue
        strict = subject.production and (kind == "origins" or bool(_ORIGINS.fullmatch(binding.key)))
        if any(_is_open(each.strip(), strict) for each in binding.value.reveal().split(",")):
            yield found(
                "E026", binding.where, f"{binding.key}: a public URL without https", "https://…"
            )
    service = subject.environment.service
    if service is not None and _is_open(service.url, False):
        where = subject.toml("service", "url")
        yield found("E026", where, "service.url: a public URL without https", "https://…")


def _is_open(value: str, strict: bool) -> bool:
    if not value.lower().startswith("http://"):
        return False
    try:
        host = urlsplit(value).hostname or ""
    except ValueError:
        return False
    return bool(host) and (strict or is_public(host))


@rule(
    "E027",
    Severity.ERROR,
    bad=prod("ALLOWED_ORIGINS=*\n"),
    good=prod("ALLOWED_ORIGINS=https://shop.example.com\n"),
)
def any_origin(subject: Subject) -> Iterator[Finding]:
    """`*` stands among the allowed origins of production, alone or in a name.

    Any page in the world may then call the service in a visitor's name.
    """
    for binding in subject.bound.values() if subject.production else ():
        variable = subject.environment.variables.get(binding.key)
        origins = variable.type == "origins" if variable else bool(_ORIGINS.fullmatch(binding.key))
        if origins and "*" in binding.value.reveal():
            message = f"{binding.key} allows every origin"
            yield found("E027", binding.where, message, "List the origins: https://…")


@rule(
    "E030",
    Severity.ERROR,
    bad=prod("DATABASE_URL=postgresql://shop:V4s0nJq8Lk2PzXw7@127.0.0.1/shop_staging\n"),
    good=prod("DATABASE_URL=postgresql://shop:V4s0nJq8Lk2PzXw7@127.0.0.1/shop\n"),
)
def host_of_another_environment(subject: Subject) -> Iterator[Finding]:
    """Production names a host or database of staging or a test, or staging one of production.

    Copied with the file, and then the wrong data is changed.
    """
    kind = subject.environment.kind
    if kind is None:
        return
    foreign = _NOT_PRODUCTION if kind == "production" else _PRODUCTION
    for binding in subject.bound.values():
        words = {w for name in _names(subject, binding) for w in re.split(r"[-_.\d]+", name)}
        if hit := sorted(words & foreign):
            message = f"{binding.key} names {hit[0]}, and this is {kind}"
            yield found("E030", binding.where, message)


def _names(subject: Subject, binding: Binding) -> Iterator[str]:
    """The databases that a variable names, and the hosts in front of their domains."""
    value = binding.value.reveal()
    variable = subject.environment.variables.get(binding.key)
    if place := place_of(value):
        yield from (below_domain(place.host), place.database.lower())
    elif _HOST_NAME.search(binding.key):
        yield below_domain(value.lower())
    elif _DATABASE_NAME.fullmatch(binding.key):
        yield value.lower()
    elif variable is not None and variable.type in ("url", "origins"):
        for each in value.split(","):
            try:
                yield below_domain(urlsplit(each.strip()).hostname or "")
            except ValueError:
                continue


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
