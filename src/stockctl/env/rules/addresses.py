"""Databases, hosts and URLs: the right ones, reached safely."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.dotenv import Binding
from stockctl.env.place import (
    below_domain,
    is_public,
)
from stockctl.env.rules.base import Subject, found, prod, rule
from stockctl.env.rules.databases import databases

_STORE = r"(?:DB|DATABASE|POSTGRES|PG|MYSQL|MONGO|REDIS)"
_URL_NAME = re.compile(r"(?:^|_)(?:URL|URI|HOST|ENDPOINT|ORIGIN|DSN|WEBHOOK|LINK|DOMAIN)S?(?:_|$)")
_HOST_NAME = re.compile(rf"(?:^|_){_STORE}_?(?:HOST|SERVER)$")
_DATABASE_NAME = re.compile(r"(?:POSTGRES_DB|PGDATABASE|(?:DB|DATABASE|MYSQL)_(?:NAME|DATABASE))")
_NOT_PRODUCTION = frozenset(
    ("staging", "stage", "stg", "dev", "develop", "development", "test", "testing", "qa", "uat")
)
_PRODUCTION = frozenset(("prod", "production", "live"))
_ORIGINS = re.compile(r"(?:ALLOWED|CORS).*ORIGINS?")


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
    named: list[tuple[str, Where | None, str]] = [
        (binding.key, binding.where, name)
        for binding in subject.bound.values()
        for name in _names(subject, binding)
    ]
    for each in databases(subject):
        named += [(each.key, each.where, below_domain(each.place.host))]
        named += [(each.key, each.where, each.place.database.lower())]
    told = set()
    for key, where, name in named:
        hit = sorted(set(re.split(r"[-_.\d]+", name)) & foreign)
        if hit and key not in told:
            told.add(key)
            yield found("E030", where, f"{key} names {hit[0]}, and this is {kind}")


def _names(subject: Subject, binding: Binding) -> Iterator[str]:
    """What a variable that is no database's URL names, and the hosts in front of their domains."""
    value = binding.value.reveal()
    variable = subject.environment.variables.get(binding.key)
    if _HOST_NAME.search(binding.key):
        yield below_domain(value.lower())
    elif _DATABASE_NAME.fullmatch(binding.key):
        yield value.lower()
    elif variable is not None and variable.type in ("url", "origins"):
        for each in value.split(","):
            try:
                yield below_domain(urlsplit(each.strip()).hostname or "")
            except ValueError:
                continue
