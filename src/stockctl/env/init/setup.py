"""`[service]` and `[database]`, as the compose files and a person's answers have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from stockctl.core.errors import UsageError
from stockctl.core.secret import Secret
from stockctl.env.init.answers import Answers, Question, Unanswered
from stockctl.env.init.database import (
    ADDED,
    THIS_MACHINE,
    DatabaseSetup,
    on_host,
    references,
    set_up_database,
)
from stockctl.env.init.names import is_database_url, own_secrets
from stockctl.env.init.recipe import build_folder, image_name
from stockctl.env.init.survey import Part, Survey
from stockctl.env.init.values import Wanted, host_ports


@dataclass(frozen=True, slots=True)
class Setup:
    """`[service]` and `[database]`; `wanted` is what they take from the env file."""

    name: str
    compose: tuple[str, ...]
    release: tuple[str, ...]
    web: str
    port: int
    image: str
    build: str | None
    url: str
    health: str
    database: DatabaseSetup | None
    database_url: str  # where the database is not of these compose files
    migrations: str | None
    wanted: Wanted
    notes: tuple[str, ...]


def set_up(
    survey: Survey,
    compose: tuple[str, ...],
    prefix: str,
    answers: Answers,
    read: Mapping[str, Mapping[str, Secret]],
    dotenv: Mapping[str, Secret],
) -> Setup:
    """`compose` and `prefix` (the folder of the compose project) are relative to `environments/`;
    `read` is what each service's own env files hold. Raises Unanswered and UsageError."""
    notes: list[str] = []
    web = _web(survey, answers.web)
    database = choose_database(survey, answers, read, dotenv, notes, but=web.name)
    outside = _outside_url(survey) if database is None and not answers.no_database else ""
    port, url, health = _reached(survey, web, answers)
    if answers.health is None and not web.health:
        notes.append(f"{web.name} has no health check with a URL: {health} is assumed (--health)")
    return Setup(
        name=survey.name,
        compose=(*compose, *((ADDED,) if database and database.added else ())),
        release=_released(survey, web),
        web=web.name,
        port=port,
        image=image_name(survey, web, answers.image),
        build=answers.build or build_folder(web, prefix, notes),
        url=url,
        health=health,
        database=database,
        database_url=database.url if database else outside,
        migrations=answers.migrations,
        wanted=wanted(survey, database, references(url + outside)),
        notes=(*notes, *_remarks(survey)),
    )


def _reached(survey: Survey, web: Part, answers: Answers) -> tuple[int, str, str]:
    """Port, URL and path of the health check. What is not known of them is asked in one go."""
    port, url = _port(web, answers.port), answers.url or _url(survey, web)
    if isinstance(url, Question) or isinstance(port, Question):
        raise Unanswered(*(each for each in (port, url) if isinstance(each, Question)))
    if not re.match(r"https?://.", url):
        raise UsageError(f"--url {url}: expected http:// or https://")
    health = answers.health or web.health or "/health"
    if not health.startswith("/"):
        raise UsageError(f"--health {health}: a path begins with /")
    return port, url, health


def wanted(
    survey: Survey,
    database: DatabaseSetup | None,
    named: Iterable[str],
    secrets: tuple[str, ...] = (),
) -> Wanted:
    """What the env files must hold beside what Compose asks for."""
    own = database.wanted if database else Wanted()
    every = tuple(dict.fromkeys([*own.named, *named]))
    texts = dict(own.texts)
    for name in every if database else ():  # of the TOML files alone: as this machine sees it
        if is_database_url(name) and name not in survey.uses and database:
            texts[name] = database.url
    ports = (*host_ports(survey), *own.ports)
    secrets = (*secrets, *own_secrets(survey, (*survey.uses, *every)))
    return replace(own, named=every, texts=texts, ports=ports, secrets=secrets)


def choose_database(
    survey: Survey,
    answers: Answers,
    read: Mapping[str, Mapping[str, Secret]],
    dotenv: Mapping[str, Secret],
    notes: list[str],
    *,
    but: str = "",
) -> DatabaseSetup | None:
    """The one that is named, else the only one. Raises Unanswered where there are several."""
    if answers.no_database:
        return None
    found = [part for part in survey.of_kind("postgres") if part.name != but]
    if answers.database is not None:
        found = [_named(survey, answers.database, "--database")]
    if len(found) > 1:
        names = tuple(part.name for part in found)
        text = "Which of them is the service's database?"
        raise Unanswered(Question("database", text, "--database SERVICE", names, names[0]))
    if not found:
        return None
    made = set_up_database(survey, found[0], read.get(found[0].name, {}), dotenv)
    if isinstance(made, str):
        notes.append(f"there is no [database]: {made}. Add it by hand.")
        return None
    notes.extend(made.notes)
    return made


def _web(survey: Survey, wanted: str | None) -> Part:
    if wanted is not None:
        return _named(survey, wanted, "--web")
    apps, proxies = survey.of_kind("app"), survey.of_kind("proxy")
    behind = {name for proxy in proxies for name in proxy.behind}
    tiers = (
        [part for part in apps if part.ports],
        [part for part in apps if part.name in behind],
        [part for part in apps if part.exposed],
        [part for part in apps if part.build],
        apps,
        [part for part in proxies if part.ports],
    )
    found = next((tier for tier in tiers if tier), [])
    if not found:
        raise UsageError(
            "no service of the compose files takes requests",
            hint=f"Services: {', '.join(survey.parts) or 'none'}. Name one: --web SERVICE",
        )
    if len(found) == 1:
        return found[0]
    names = tuple(part.name for part in found)
    built = next((part.name for part in found if part.build), names[0])
    raise Unanswered(
        Question("web", "Which service takes requests?", "--web SERVICE", names, built)
    )


def _named(survey: Survey, wanted: str, flag: str) -> Part:
    if wanted in survey.parts:
        return survey.parts[wanted]
    near = get_close_matches(wanted, survey.parts, n=1)
    guess = f"Did you mean {near[0]}? " if near else ""
    why = " that runs without a profile" if wanted in survey.skipped else ""
    listed = f"Services: {', '.join(survey.parts) or 'none'}."
    raise UsageError(f"{flag}: no service {wanted}{why} in the compose files", hint=guess + listed)


def _released(survey: Survey, web: Part) -> tuple[str, ...]:
    """With it, all that run the same image: a worker, a scheduler."""

    def same(part: Part) -> bool:
        built = bool(web.build) and part.recipe == web.recipe
        return part == web or built or (bool(web.image) and part.image == web.image)

    return (web.name, *(p.name for p in survey.parts.values() if same(p) and p.name != web.name))


def _port(web: Part, wanted: int | None) -> int | Question:
    if wanted is not None:
        return wanted
    published = list(dict.fromkeys(port.target for port in web.ports))
    asked = [port for port in web.exposed if port in published]
    candidates = published if len(published) == 1 else asked or published or list(web.exposed)
    if len(candidates) == 1:
        return candidates[0]
    shown = tuple(map(str, candidates))
    text = f"On which port does {web.name} listen, inside its container?"
    return Question("port", text, "--port N", shown, shown[0] if shown else "")


def _url(survey: Survey, web: Part) -> str | Question:
    """Where the service, or a proxy before it, is published on this machine."""
    doors = [web, *(part for part in survey.of_kind("proxy") if part.ports)]
    ports = [port for part in doors for port in part.ports if port.written]
    plain = [port for port in ports if port.target not in (443, 8443)]
    if not ports:
        text = f"Where do users reach {web.name}?"
        return Question("url", text, "--url URL", (), "http://127.0.0.1")
    port = (plain or ports)[0]
    scheme, usual = ("http", "80") if plain else ("https", "443")
    host = "127.0.0.1" if port.address in THIS_MACHINE else port.address
    host = f"[{host}]" if ":" in host else host
    door = on_host(port)
    return f"{scheme}://{host}" + ("" if door == usual else f":{door}")


def _outside_url(survey: Survey) -> str:
    """A database that is not of these compose files, and yet in a variable of theirs."""
    names = [name for name in survey.uses if is_database_url(name)]
    return f"${{{names[0]}}}" if len(names) == 1 and not survey.of_kind("postgres") else ""


def _remarks(survey: Survey) -> list[str]:
    said = []
    if survey.skipped:
        said.append(f"services of a profile are left out: {', '.join(survey.skipped)}")
    reading = [part.name for part in survey.parts.values() if part.env_files]
    if reading:
        said.append(
            f"{', '.join(reading)} read env files of their own (env_file): the same in every"
            " environment, and not checked"
        )
    return said
