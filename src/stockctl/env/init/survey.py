"""What a folder's compose files say, as far as `env init` asks: services, ports, variables.

Taken from `docker compose config --no-interpolate`: merged and complete, with every `${X}` as it
was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stockctl.env.compose_file import Reference
from stockctl.env.init.images import kind_of
from stockctl.env.interpolation import interpolate

# `${X:-a:b}` holds colons that separate nothing, and so does `[::1]`
_BETWEEN_COLONS = re.compile(r"(?:\$\{(?:[^{}]|\{[^{}]*\})*\}|\[[^\]]*\]|[^:])+")
_URL = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::(\d+))?(/[^\s\"'|;)]*)?"
)
_LISTENS = re.compile(r"(?:0\.0\.0\.0|\[?::\]?):(\d{2,5})\b|--port[= ](\d{2,5})\b")
_DATA = re.compile(r"/(?:data|var/lib|bitnami|home/postgres)\b")
_ONE_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?[-?][^{}]*)?\}|([A-Za-z_]\w*))")


@dataclass(frozen=True, slots=True)
class Use:
    """One variable of the compose files. `needed`: there is nothing to put there without it;
    `required`: Compose refuses to start without it; `passed`: a container gets it as it is, if it
    is set at all."""

    name: str
    default: str = ""
    needed: bool = False
    required: bool = False
    passed: bool = False
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A port of a container and where it is on the host, as written: `${PORT:-3000}`."""

    target: int
    written: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One service."""

    name: str
    image: str = ""
    build: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Published, ...] = ()
    exposed: tuple[int, ...] = ()
    health: str = ""  # the path that its health check asks for
    behind: tuple[str, ...] = ()  # depends_on
    env_files: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()  # volumes and folders, by source
    container_name: str = ""

    @property
    def kind(self) -> str:
        """`postgres`, `proxy`, `beside` or `app`."""
        return kind_of(self.image, self.name, built=bool(self.build))


@dataclass(frozen=True, slots=True)
class Survey:
    """All of it. `skipped`: services of a profile, which nothing starts by itself."""

    name: str
    parts: Mapping[str, Part]
    uses: Mapping[str, Use]
    skipped: tuple[str, ...] = ()
    fixed_volumes: frozenset[str] = frozenset()  # the same ones for every project of the machine

    def kept_apart(self, part: Part) -> list[str]:
        """Where a service keeps its data, if that is the same for every project of the machine: a
        folder, or a volume with a name of its own."""
        fixed = self.fixed_volumes
        return [each for each in part.mounts if each[:1] in "./~" or each in fixed]

    def of_kind(self, kind: str) -> list[Part]:
        return [part for part in self.parts.values() if part.kind == kind]


def survey(
    document: Mapping[str, Any],
    folder_name: str,
    variables: Mapping[str, Mapping[str, Any]],
    references: Iterable[Reference],
    values: Mapping[str, str],
) -> Survey:
    """`document` and `variables` are what Compose printed, `values` what `.env` has."""
    services = document["services"]
    filled = dict(values)
    parts = {
        name: _part(name, service, filled)
        for name, service in services.items()
        if not service.get("profiles")
    }
    volumes = (document.get("volumes") or {}).items()
    fixed = {name for name, each in volumes if each and (each.get("name") or each.get("external"))}
    return Survey(
        name=project_name(fill(str(document.get("name") or folder_name), values)),
        parts=parts,
        uses=_uses(variables, list(references), services),
        skipped=tuple(name for name in services if name not in parts),
        fixed_volumes=frozenset(fixed),
    )


def project_name(text: str) -> str:
    """As Compose makes a project's name of a folder's."""
    return re.sub(r"[^a-z0-9_-]", "", text.lower()).lstrip("_-") or "app"


def fill(written: str, values: Mapping[str, str]) -> str:
    """`${X:-${Y:-z}}` included."""
    for _ in range(3):
        if "$" not in written:
            break
        written = interpolate(written, values)
    return written


def only_reference(written: str) -> str | None:
    """X, where the text is one `${X}` (with or without a default) and nothing else."""
    found = _ONE_REFERENCE.fullmatch(written)
    return (found[1] or found[2]) if found else None


def _part(name: str, service: Mapping[str, Any], values: Mapping[str, str]) -> Part:
    build = service.get("build") or {}
    build = {"context": build} if isinstance(build, str) else build
    test = _text((service.get("healthcheck") or {}).get("test"))
    asked = _URL.search(fill(test, values))
    listens = _LISTENS.search(fill(_text(service.get("command")), values))
    exposed = [str(each).partition("/")[0] for each in service.get("expose") or ()]
    exposed += [port for port in (asked[1] if asked else None,) if port]
    exposed += [port for port in (listens.groups() if listens else ()) if port]
    ports = (_published(each, values) for each in service.get("ports") or ())
    return Part(
        name=name,
        image=fill(str(service.get("image") or ""), values),
        build=fill(str(build.get("context") or ""), values),
        recipe=build,
        environment={
            key: f"${{{key}}}" if value is None else value
            for key, value in _environment(service.get("environment"))
        },
        ports=tuple(port for port in ports if port),
        exposed=tuple(dict.fromkeys(int(each) for each in exposed if each.isdigit())),
        health=(asked[2] or "/") if asked else "",
        behind=tuple(service.get("depends_on") or ()),
        env_files=tuple(_env_files(service.get("env_file"))),
        mounts=tuple(_mounts(service.get("volumes"), values)),
        container_name=str(service.get("container_name") or ""),
    )


def _published(entry: Any, values: Mapping[str, str]) -> Published | None:
    """None for what is not one TCP port."""
    if isinstance(entry, Mapping):
        target, protocol = str(entry.get("target", "")), str(entry.get("protocol", "tcp"))
        written, address = str(entry.get("published") or ""), str(entry.get("host_ip") or "")
    else:
        text, _, protocol = str(entry).partition("/")
        address, written, target = ["", "", "", *_BETWEEN_COLONS.findall(text)][-3:]
    target = fill(target, values)
    if not target.isdigit() or protocol not in ("", "tcp"):
        return None
    return Published(int(target), written, fill(address, values).strip("[]"))


def _environment(written: Any) -> Iterator[tuple[str, str | None]]:
    """None for a key alone: it takes its value from outside."""
    if isinstance(written, Mapping):
        for key, value in written.items():
            yield key, None if value is None else str(value)
    for line in written if isinstance(written, list) else ():
        key, equals, value = str(line).partition("=")
        yield key, value if equals else None


def _env_files(written: Any) -> Iterator[str]:
    for each in written if isinstance(written, list) else [written] if written else ():
        yield str(each["path"]) if isinstance(each, Mapping) else str(each)


def _mounts(volumes: Any, values: Mapping[str, str]) -> Iterator[str]:
    """Of those for data: a configuration that is mounted may well be shared."""
    for each in volumes or ():
        if isinstance(each, Mapping):
            source, target = str(each.get("source") or ""), str(each.get("target") or "")
        else:
            source, target = [*_BETWEEN_COLONS.findall(str(each)), "", ""][:2]
        if source and _DATA.match(target):
            yield fill(source, values)


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _uses(
    variables: Mapping[str, Mapping[str, Any]],
    references: list[Reference],
    services: Mapping[str, Any],
) -> dict[str, Use]:
    """In the order in which the files name them; those of included files follow."""
    bare = {each.name for each in references if not each.defaulted}
    written = {each.name for each in references}
    texts = {name: repr(service) for name, service in services.items()}
    passed = {
        key: name
        for name, service in services.items()
        for key, value in _environment(service.get("environment"))
        if value is None
    }
    found = {}
    named = [*(each.name for each in references), *passed, *sorted(variables)]
    for name in dict.fromkeys(named):
        if name.startswith("COMPOSE_"):
            continue  # Compose's own
        said = variables.get(name, {})
        default, required = str(said.get("DefaultValue", "")), bool(said.get("Required"))
        alone = name in variables and name not in written and not default
        needed = required or name in bare or (alone and not said.get("PresenceValue"))
        reading = re.compile(rf"\$\{{?{name}\b|'{name}'(?:: None|[,\]])")
        readers = tuple(each for each, text in texts.items() if reading.search(text))
        found[name] = Use(name, fill(default, {}), needed, required, name in passed, readers)
    return found
