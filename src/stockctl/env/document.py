"""The merged document against the model: an Environment, or what is wrong and where."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from stockctl.core.errors import Where
from stockctl.core.redact import Redactor
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.host_settings import ADDRESS
from stockctl.env.layers import Layers
from stockctl.env.model import Environment
from stockctl.env.needs import ALL, Needs
from stockctl.env.positions import Path as KeyPath
from stockctl.env.types import Table

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# What a command does not use but the model cannot do without.
_STAND_INS: dict[KeyPath, dict[str, Any]] = {
    ("service", "compose"): {"compose": ["compose.yaml"]},
    ("service", "release"): {"release": ["unknown"], "web": "unknown"},
    ("service", "web"): {"release": ["unknown"], "web": "unknown"},
    ("service", "port"): {"port": 1},
    ("service", "image"): {"image": "unknown"},
    ("service", "url"): {"url": "http://unknown.invalid"},
}

_UNUSED = {"backup": {"store": "."}}  # the only table that must be there


def check(
    data: dict[str, Any],
    layers: Layers,
    file: Where,
    values: Mapping[str, Secret],
    needs: Needs,
) -> tuple[Environment | None, list[tuple[KeyPath, Finding]]]:
    """The environment, or what is wrong where; a value of the env file is never in a message.

    Mistakes that do not concern what is needed are taken out, and what is left is tried again.
    """
    from pydantic import ValidationError

    try:
        with _no_plugins():
            return Environment.model_validate(data), []
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        redactor = Redactor(values.values())
        wrong = [(_path(each, data, needs), _finding(each, layers, file)) for each in details]
        wrong = [(path, replace(f, message=redactor.text(f.message))) for path, f in wrong]
    others = [path for path, _ in wrong if path and not needs.holds(path)]
    if not others or needs is ALL:
        return None, wrong
    left = copy.deepcopy(data)
    for path in others:
        _take_out(left, path)
        if path[:2] in _STAND_INS:
            left["service"] |= _STAND_INS[path[:2]]
    environment, _ = check(left, layers, file, values, ALL)
    if environment is None:  # what is left of a table may not do without it
        whole = {path[0] for path in others if not needs.holds(path[:1])}
        left = {key: value for key, value in left.items() if key not in whole}
        environment, _ = check({**_UNUSED, **left}, layers, file, values, ALL)
    return environment, wrong


@contextmanager
def _no_plugins() -> Iterator[None]:
    """pydantic hands every value to plugins that it looks for in all installed packages, which
    takes 3 ms: none of them has to see secrets. Child processes do not inherit this."""
    name = "PYDANTIC_DISABLE_PLUGINS"
    before = os.environ.get(name)
    os.environ[name] = "__all__"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _path(detail: ErrorDetails, data: Any, needs: Needs) -> KeyPath:
    """Where it is; nowhere, which concerns every command, for what is needed in a wrong place."""
    path: KeyPath = tuple(detail["loc"])
    if detail["type"] != "extra_forbidden":
        return path
    for key in path[:-1]:
        data = data[key]
    return () if needs.misses(path[-1], data[path[-1]]) else path


def _take_out(data: Any, path: KeyPath) -> None:
    """Removes what stands at `path`."""
    if len(path) > 1 and path[0] in ("smoke", "variables"):
        path = path[:1]
    for key in path[:-1]:
        inner = data.get(key) if isinstance(data, dict) else None
        if not isinstance(inner, dict):
            return
        data = inner
    if isinstance(data, dict):
        data.pop(path[-1], None)


# pydantic speaks of Python; these are files
_SAID = {
    "tuple_type": 'expected a list: ["…"]',
    "string_type": 'expected a string: "…"',
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
}

_PATTERN = "String should match pattern "
_MATCHING = {
    ADDRESS: 'expected "user@host" or "user@host:port"',
    "^/": 'expected a path that begins with "/"',
    "^https?://": "expected a URL that begins with http:// or https://",
}


def _finding(detail: ErrorDetails, layers: Layers, file: Where) -> Finding:
    path: KeyPath = tuple(detail["loc"])
    where = layers.where(path) or file
    kind, said = detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        return unknown_key(path, where)
    if kind == "missing":
        return Finding("C004", Severity.ERROR, f"{dotted(path)}: must be set", where)
    said = _SAID.get(kind, said.removeprefix("Value error, "))
    said = said.replace("Input should be ", "expected a value ", 1)
    if said.startswith(_PATTERN):
        pattern = said.removeprefix(_PATTERN)
        said = _MATCHING.get(pattern.strip("'"), f"expected a value that matches {pattern}")
    message = f"{dotted(path)}: {said}" if path else said
    return Finding("C003", Severity.ERROR, message, where)


def unknown_key(path: KeyPath, where: Where) -> Finding:
    """The finding for a key that the model does not have."""
    known = _known_keys(path[:-1])
    near = get_close_matches(str(path[-1]), known, n=1)
    fix = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
    return Finding("C002", Severity.ERROR, f"{dotted(path)}: unknown key", where, fix)


def _known_keys(path: KeyPath) -> list[str]:
    """The keys of the table at `path`, read off the model."""
    model: type[Table] = Environment
    for key in path:
        field = next((f for n, f in model.model_fields.items() if key in (n, f.alias)), None)
        if field is not None:
            inner = [t for t in _types(field.annotation) if issubclass(t, Table)]
            model = inner[0] if inner else model
    return [f.alias or name for name, f in model.model_fields.items() if not f.exclude]


def _types(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in _types(part)]


def dotted(path: KeyPath) -> str:
    """`smoke[0].path`, as people write it."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text
