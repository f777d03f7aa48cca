"""The PostgreSQL of the compose files, as `env init` sets it up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from stockctl.core.secret import Secret
from stockctl.env.init.names import is_database_url
from stockctl.env.init.survey import Part, Published, Survey, Use, fill, only_reference
from stockctl.env.init.values import Wanted

ADDED = "compose.database.yaml"  # publishes the database where the compose files do not
PORT = 5432
USUAL = "54320"  # on the host; 5432 is where a Postgres of the machine's own would be
_PASSWORD = ("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD")
THIS_MACHINE = ("", "0.0.0.0", "::", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class DatabaseSetup:
    """The service, its URL as seen from this machine, and what that takes from the env file.

    `added`: the variable of the port that the compose files do not publish.
    """

    service: str
    url: str
    wanted: Wanted
    added: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Login:
    """As texts for a URL, each a name or `${X}`. `fixed`: a password that is not ours to choose."""

    user: str
    password: str
    database: str
    fixed: Mapping[str, Secret]
    defaults: Mapping[str, str]


def set_up_database(
    survey: Survey, part: Part, read: Mapping[str, Secret], dotenv: Mapping[str, Secret]
) -> DatabaseSetup | str:
    """Or why there is none. `read` is what the service's own env files hold."""
    login = _login(survey, part, read, dotenv)
    if isinstance(login, str):
        return login
    who = f"{login.user}:{login.password}"
    door = next((port for port in part.ports if port.written and port.target == PORT), None)
    added = None if door else _unused(survey, "POSTGRES_PORT", "POSTGRES_HOST_PORT")
    at = on_host(door) if door else f"${{{added}}}"
    address = door.address if door and door.address not in THIS_MACHINE else "127.0.0.1"
    urls = {
        use.name: text
        for use in survey.uses.values()
        if is_database_url(use.name)
        and (text := _inside(use, dotenv, part, f"{who}@{part.name}:{PORT}/{login.database}"))
    }
    url = f"postgresql://{who}@{address}:{at}/{login.database}"
    defaults = {**login.defaults, **({added: USUAL} if added else {})}
    named = tuple(dict.fromkeys([*references(url), *login.fixed]))
    ports = (added,) if added else ()
    return DatabaseSetup(
        part.name,
        url,
        Wanted(named, urls, login.fixed, defaults, ports),
        added,
        tuple(_notes(part, login, added, survey.kept_apart(part))),
    )


def references(text: str) -> list[str]:
    """Each X of its `${X}`, as the TOML files write them."""
    return re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", text)


def on_host(port: Published) -> str:
    """A port as a TOML string takes it: its number, or `${NAME}`."""
    name = only_reference(port.written)
    return f"${{{name}}}" if name else fill(port.written, {})


def _login(
    survey: Survey, part: Part, read: Mapping[str, Secret], dotenv: Mapping[str, Secret]
) -> _Login | str:
    fixed: dict[str, Secret] = {}
    password = _setting(part, *_PASSWORD)
    if password is None and "POSTGRES_PASSWORD" in read:
        fixed["POSTGRES_PASSWORD"] = read["POSTGRES_PASSWORD"]
    elif password is not None and "$" not in password:
        fixed["POSTGRES_PASSWORD"] = Secret(password)
    name = "POSTGRES_PASSWORD" if fixed else only_reference(password or "")
    if name is None:
        return f"the password of {part.name} is in no variable"
    if survey.kept_apart(part) and dotenv.get(name):  # what is there was made with it
        fixed[name] = dotenv[name]
    plain = {key: value.reveal() for key, value in read.items()}
    user = _setting(part, "POSTGRES_USER", "POSTGRESQL_USERNAME")
    user = user or plain.get("POSTGRES_USER") or "postgres"
    database = _setting(part, "POSTGRES_DB", "POSTGRESQL_DATABASE")
    database = database or plain.get("POSTGRES_DB") or user
    who, what = _in_url(user), _in_url(database)
    if who is None or what is None:
        return f"user or name of {part.name} is put together of several"
    own = survey.name.replace("-", "_")
    defaults = {each: own for each in (only_reference(user), only_reference(database)) if each}
    return _Login(who, f"${{{name}}}", what, fixed, defaults)


def _notes(part: Part, login: _Login, added: str | None, kept: Sequence[str]) -> list[str]:
    said = []
    written = _setting(part, *_PASSWORD)
    if written and not only_reference(written):
        said.append(
            f"{part.name}: the password stands in the compose file; let it be a variable,"
            " ${POSTGRES_PASSWORD:?}"
        )
    elif login.fixed and not kept:
        said.append(f"{part.name} has its password from an env file of its own: keep both equal")
    if kept:
        said.append(
            f"{part.name} keeps its data in {', '.join(kept)}, as `docker compose up` in this"
            " folder does: stop that before you deploy"
        )
    if added:
        said.append(
            f"{part.name} has no port on this machine, where stockctl runs: {ADDED} publishes"
            f" one on 127.0.0.1, {added}"
        )
    return said


def _inside(use: Use, dotenv: Mapping[str, Secret], part: Part, rest: str) -> str | None:
    """The value of a DATABASE_URL that containers read; None where it means another server."""
    written = dotenv[use.name].reveal() if dotenv.get(use.name) else use.default
    try:
        parts = urlsplit(re.sub(r"\$\{?\w+\}?", "x", written))
        host, query = parts.hostname, parts.query
    except ValueError:
        return None
    if written and host not in (part.name, "localhost", "127.0.0.1", "host.docker.internal"):
        return None
    scheme = written.partition("://")[0] if written else "postgresql"
    return f"{scheme}://{rest}" + (f"?{query}" if query else "")


def _setting(part: Part, *keys: str) -> str | None:
    return next((part.environment[key] for key in keys if part.environment.get(key)), None)


def _in_url(text: str) -> str | None:
    """None for what is put together of several."""
    name = only_reference(text)
    if name:
        return f"${{{name}}}"
    return None if "$" in text.replace("$$", "") else quote(text.replace("$$", "$"), safe="")


def _unused(survey: Survey, *names: str) -> str:
    return next((name for name in names if name not in survey.uses), names[-1])
