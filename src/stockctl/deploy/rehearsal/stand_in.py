"""Another server in the place of one that is no compose service, and the service told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stockctl.core.errors import BackupInvalid
from stockctl.env.place import place_of
from stockctl.system.postgres import Dsn

NAME = "rehearsal-database"
_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE")


def official(server_version: str) -> str:
    """The image of the same major version as the server that the backup is of, as `16.4`."""
    major = re.match(r"[0-9]+", server_version)
    if major is None:
        raise BackupInvalid(f"the backup is of a server {server_version!r}: which image is that?")
    return f"postgres:{major[0]}"


def stand_in(image: str, live: Dsn) -> dict[str, Any]:
    """The compose service, with the live one's user, password and database, as the official image
    takes them (hub.docker.com/_/postgres)."""
    return {
        "image": image,
        "environment": {
            "POSTGRES_USER": live.user,
            "POSTGRES_PASSWORD": live.password.reveal(),
            "POSTGRES_DB": live.database,
        },
        "shm_size": "256m",
    }


def plain(live: Dsn, host: str) -> Dsn:
    """The same there, where nobody has a certificate."""
    kept = [(k, v) for k, v in live.options if not k.startswith("ssl") and k != "channel_binding"]
    return replace(live, host=host, port=5432, options=tuple(kept))


def pointed(service: Mapping[str, Any], live: Dsn) -> dict[str, Any]:
    """The web service with every address of the live database in its variables replaced: URLs with
    the same database's name, whoever they log in as, and libpq's own variables."""
    there = Dsn(NAME, 5432, live.user, live.password, live.database)
    variables = {
        name: _replaced(value, there) for name, value in service.get("environment", {}).items()
    }
    if any(name in variables for name in _LIBPQ):
        kept = {name: value for name, value in variables.items() if name not in _LIBPQ}
        variables = {
            **kept,
            "PGHOST": there.host,
            "PGUSER": there.user,
            "PGPASSWORD": there.password.reveal(),
            "PGDATABASE": there.database,
        }
    return {**service, "environment": variables}


def _replaced(value: str | None, there: Dsn) -> str | None:
    place = place_of(value or "")
    if place is None or not place.postgres or place.database != there.database:
        return value
    return there.url(place.scheme).reveal()
