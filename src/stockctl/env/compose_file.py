"""Compose files as the rules see them: services, published ports, images, `${X}`, with lines.

Only what is written is looked at: Compose itself, which merges and interpolates, is asked when
something is deployed. A check must not need a Docker plugin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.interpolation import REFERENCE

if TYPE_CHECKING:
    from yaml.nodes import Node

    Services = Sequence[tuple[str, Node]]


@dataclass(frozen=True, slots=True)
class Reference:
    """One `${NAME}`. `defaulted`: Compose has something to put there when NAME is not set."""

    name: str
    where: Where
    defaulted: bool
    default: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of a service's `environment:`, as it is written."""

    service: str
    key: str
    written: str
    where: Where


@dataclass(frozen=True, slots=True)
class Image:
    """What `image:` of a service says."""

    service: str
    written: str
    where: Where


@dataclass(frozen=True, slots=True)
class Port:
    """One published port, as it is written: `"127.0.0.1:${PORT:-5000}:5000"`."""

    service: str
    written: str
    where: Where


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """One compose file. `open_ended`: it includes others, so that services may be elsewhere."""

    path: Path
    label: str
    text: str = ""
    services: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    images: tuple[Image, ...] = ()
    ports: tuple[Port, ...] = ()
    settings: tuple[Setting, ...] = ()
    built: tuple[str, ...] = ()  # services with `build:`
    env_files: tuple[str, ...] = ()  # what `env_file:` of the services names
    open_ended: bool = False
    findings: tuple[Finding, ...] = ()

    def passes_on(self, env_file: Path) -> bool:
        """Whether a service gets all of an env file."""
        named = (os.path.normpath(self.path.parent / each) for each in self.env_files)
        return os.path.normpath(env_file) in named


def read_compose_file(path: Path, label: str) -> ComposeFile:
    """Reads it; what is wrong with it becomes a finding, never an exception."""
    import yaml

    text = ""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return _found(path, label, text, list(yaml.compose_all(text, Loader=loader)))
    except UnicodeDecodeError:
        return _broken(path, label, text, "is not UTF-8 text", None)
    except OSError as error:
        return _broken(path, label, text, f"cannot be read: {error.strerror}", None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else None
        return _broken(path, label, text, f"is not YAML: {error.problem}", place)
    except yaml.YAMLError as error:
        return _broken(path, label, text, f"is not YAML: {type(error).__name__}", None)
    except RecursionError:
        return _broken(path, label, text, "is nested too deeply", None)


def _found(path: Path, label: str, text: str, documents: Sequence[Node | None]) -> ComposeFile:
    """Of several documents in one file Compose takes all, one on top of the other."""
    tops = [_children(each) for each in documents]
    services = [each for top in tops for each in _children(top.get("services")).items()]
    included = any("include" in top for top in tops)
    if not services and not included:
        return _broken(path, label, text, "has no services", None)
    seen: set[int] = set()
    return ComposeFile(
        path,
        label,
        text,
        tuple(dict.fromkeys(name for name, _ in services)),
        tuple(each for document in documents for each in _references(document, label, seen)),
        tuple(_images(services, label)),
        tuple(_ports(services, label)),
        tuple(_settings(services, label)),
        tuple(name for name, service in services if "build" in _children(service)),
        tuple(path for _, service in services for path in _env_files(service)),
        included or any("extends" in _children(service) for _, service in services),
    )


def _children(node: Node | None) -> dict[str, Node]:
    """Of a mapping, by key, with what `<<` merges in; nothing for anything else."""
    return _merged(node, set())


def _merged(node: Node | None, seen: set[int]) -> dict[str, Node]:
    """The first one that says a key counts, so what was merged in already has nothing to add."""
    from yaml.nodes import MappingNode, SequenceNode

    if not isinstance(node, MappingNode) or id(node) in seen:
        return {}
    seen.add(id(node))
    own = {key.value: value for key, value in node.value if isinstance(key.value, str)}
    merged = own.pop("<<", None)
    for each in merged.value if isinstance(merged, SequenceNode) else [merged]:
        own = {**_merged(each, seen), **own}
    return own


def _where(node: Node, label: str) -> Where:
    return Where(label, node.start_mark.line + 1, node.start_mark.column + 1)


def _references(node: Node | None, label: str, seen: set[int]) -> Iterator[Reference]:
    """Of every value; Compose does not interpolate keys. An alias is looked at once."""
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        for _, value in node.value:
            yield from _references(value, label, seen)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _references(value, label, seen)
    elif isinstance(node, ScalarNode):
        for found in REFERENCE.finditer(node.value):
            name = found["braced"] or found["bare"]
            if name:
                more = (found["more"] or "").lstrip(":")
                default = more[1:] if more[:1] == "-" else ""
                yield Reference(name, _where(node, label), more[:1] in ("-", "+"), default)


def _settings(services: Services, label: str) -> Iterator[Setting]:
    """Both notations: `KEY: value` and `- KEY=value`."""
    from yaml.nodes import ScalarNode, SequenceNode

    for name, service in services:
        environment = _children(service).get("environment")
        if isinstance(environment, SequenceNode):
            for each in environment.value:
                key, equals, value = str(each.value).partition("=")
                if equals:
                    yield Setting(name, key, value, _where(each, label))
        for named, node in _children(environment).items():
            if isinstance(node, ScalarNode):
                yield Setting(name, named, node.value, _where(node, label))


def _images(services: Services, label: str) -> Iterator[Image]:
    from yaml.nodes import ScalarNode

    for name, service in services:
        image = _children(service).get("image")
        if isinstance(image, ScalarNode) and image.value:
            yield Image(name, image.value, _where(image, label))


def _ports(services: Services, label: str) -> Iterator[Port]:
    """Both notations as the short one: `[address:]published:target[/protocol]`."""
    from yaml.nodes import ScalarNode, SequenceNode

    for name, service in services:
        if "profiles" in _children(service):
            continue  # started by hand, if at all
        ports = _children(service).get("ports")
        for port in ports.value if isinstance(ports, SequenceNode) else ():
            if isinstance(port, ScalarNode):
                yield Port(name, port.value, _where(port, label))
                continue
            long = {k: n.value for k, n in _children(port).items() if isinstance(n, ScalarNode)}
            if long.get("published"):
                address = f"{long['host_ip']}:" if "host_ip" in long else ""
                text = f"{address}{long['published']}:{long.get('target', '')}"
                yield Port(name, f"{text}/{long.get('protocol', 'tcp')}", _where(port, label))


def _env_files(service: Node) -> Iterator[str]:
    from yaml.nodes import ScalarNode, SequenceNode

    named = _children(service).get("env_file")
    for each in named.value if isinstance(named, SequenceNode) else [named]:
        path = each if isinstance(each, ScalarNode) else _children(each).get("path")
        if isinstance(path, ScalarNode):
            yield path.value


def _broken(
    path: Path, label: str, text: str, why: str, place: tuple[int, int] | None
) -> ComposeFile:
    where = Where(label, *place) if place else Where(label)
    finding = Finding("C010", Severity.ERROR, f"the compose file {why}", where)
    return ComposeFile(path, label, text, open_ended=True, findings=(finding,))
