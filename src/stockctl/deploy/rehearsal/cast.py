"""Which services play in a rehearsal, and the compose file that they are started from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stockctl.deploy.rehearsal.mounts import NAMED, Source, named, stood, written
from stockctl.system.compose import Rendered

KEPT = (
    "cap_drop", "command", "entrypoint", "environment", "group_add", "healthcheck", "image", "init",
    "platform", "read_only", "shm_size", "sysctls", "tmpfs", "ulimits", "user", "working_dir",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cast:
    """`released` get the new image; `beside` are long-lived ones that those depend on. The database
    is in neither: it starts first, alone."""

    database: str | None
    web: str
    released: tuple[str, ...]
    beside: tuple[str, ...]

    @property
    def everybody(self) -> tuple[str, ...]:
        first = (self.database,) if self.database else ()
        return (*first, *self.beside, *self.released)


@dataclass(frozen=True, slots=True)
class Document:
    """The compose file, and what is not in it that the live services have, for a person."""

    rendered: Rendered
    left_out: tuple[str, ...]


def cast(rendered: Rendered, database: str | None, web: str, released: Iterable[str]) -> Cast:
    """All released services, and whatever they need to run, and that needs in turn."""
    services = rendered.document["services"]
    released = tuple(released)
    found: list[str] = []
    todo = list(released)
    while todo:
        for name in services[todo.pop(0)].get("depends_on") or {}:
            if name in services and name not in (*found, *released, database):
                found.append(name)
                todo.append(name)
    return Cast(database, web, released, tuple(found))


def document(
    rendered: Rendered, cast: Cast, image_id: str, known: Mapping[str, Source]
) -> Document:
    """Of each service only what runs in it, with mounts and volumes of their own, on one network
    without a way out. `known`: what `sources` found."""
    services = rendered.document["services"]
    data = written(rendered)
    made: dict[str, Any] = {}
    words = [f"{name}: nothing needs it" for name in services if name not in cast.everybody]
    for name in cast.everybody:
        service = services[name]
        made[name] = {key: value for key, value in service.items() if key in KEPT}
        made[name]["image"] = _image(rendered, name, service, cast, image_id)
        made[name] |= _aliases(service) | _order(service, name, cast)
        place = stood(name, service, known, data)
        if place.mounts:
            made[name]["volumes"] = list(place.mounts)
        words += place.words
    top, more = _declared(rendered, made, cast, known)
    found = {"services": made, "networks": {"default": {"internal": True}}, **top}
    return Document(Rendered(found), (*words, *more))


def _image(
    rendered: Rendered, name: str, service: Mapping[str, Any], cast: Cast, image_id: str
) -> str:
    """One that is built has the name that Compose gave it in the live project."""
    if name in cast.released:
        return image_id
    return str(service.get("image") or f"{rendered.document.get('name')}-{name}")


def _aliases(service: Mapping[str, Any]) -> dict[str, Any]:
    """The names by which others find it: those of its networks, and its container's."""
    networks = [each or {} for each in (service.get("networks") or {}).values()]
    names = {alias for each in networks for alias in each.get("aliases") or ()}
    names |= {service["container_name"]} if service.get("container_name") else set()
    return {"networks": {"default": {"aliases": sorted(names)}}} if names else {}


def _order(service: Mapping[str, Any], name: str, cast: Cast) -> dict[str, Any]:
    """Among those that are started beside the release; the release is started after them."""
    if name not in cast.beside:
        return {}
    before = (*cast.beside, *((cast.database,) if cast.database else ()))
    kept = {n: how for n, how in (service.get("depends_on") or {}).items() if n in before}
    return {"depends_on": kept} if kept else {}


def _declared(
    rendered: Rendered, made: dict[str, Any], cast: Cast, known: Mapping[str, Source]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Volumes, configs and secrets; the latter are given to the services that have them."""
    top: dict[str, Any] = {}
    words: tuple[str, ...] = ()
    services = rendered.document["services"]
    for kind in NAMED:
        wanted = {each["source"] for n in cast.everybody for each in services[n].get(kind) or ()}
        kept, more = named(rendered, kind, frozenset(wanted), known)
        words += more
        for name in cast.everybody:
            given = [each for each in services[name].get(kind) or () if each["source"] in kept]
            made[name] |= {kind: given} if given else {}
        top |= {kind: kept} if kept else {}
    mounts = [mount for service in made.values() for mount in service.get("volumes", ())]
    volumes = {m["source"] for m in mounts if m["type"] == "volume" and m.get("source")}
    return top | ({"volumes": {name: {} for name in sorted(volumes)}} if volumes else {}), words
