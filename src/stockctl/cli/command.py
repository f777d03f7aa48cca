"""typer's commands, started sooner: a verb is built when it is asked for, and what its options hold
needs no pydantic. Both are measured by benchmarks/startup.py and benchmarks/env.py."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import typer
from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

SENTENCE = 500  # characters


class Group(typer.Typer):
    """An app whose verbs may stand in modules beside it, which register them when imported."""

    def __init__(self, *, beside: tuple[str, ...] = (), **settings: Any) -> None:
        super().__init__(add_completion=False, rich_markup_mode=None, **settings)
        self._beside = beside

    def load(self) -> None:
        """Imports the modules beside it."""
        while self._beside:
            module, *rest = self._beside
            self._beside = tuple(rest)
            import_module(module)

    def build(self) -> Any:
        """The click command: a group, or the only verb of an app without a callback."""
        if self.registered_callback is None:
            return typer.main.get_command(self)
        empty = typer.main.get_group(_without_verbs(self))
        empty.commands = cast("Any", Verbs(self))
        return empty


def _without_verbs(app: typer.Typer) -> typer.Typer:
    bare = typer.Typer()
    bare.info, bare.registered_callback = app.info, app.registered_callback
    bare.rich_markup_mode = app.rich_markup_mode
    return bare


class Verbs(Mapping[str, Any]):
    """The verbs of a group by name. Building all that `env` has takes 15 ms, one of them 1 ms."""

    def __init__(self, app: Group) -> None:
        self._app = app
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        self._app.load()
        return (str(each.name) for each in self._app.registered_commands)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _build(self, name: str) -> Any:
        """Raises KeyError. What stands beside is imported only if the name is not known yet."""
        for _ in range(2):
            for each in self._app.registered_commands:
                if each.name == name:
                    return typer.main.get_command_from_info(
                        each, pretty_exceptions_short=True, rich_markup_mode=None
                    )
            self._app.load()
        raise KeyError(name)


@dataclass(frozen=True)
class Plain(RuntimeParam):
    """Takes a value that is right as it comes: text, a file, one of some words, or the default.

    typer asks an adapter made by pydantic for each parameter, also one that is not given: 50 ms
    for those of `env list`. Here it is asked for the rest: numbers, and what is wrong.
    """

    descriptor: TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        kind = self.annotation
        if isinstance(kind, type) and isinstance(value, kind):
            return value
        if kind == list[str] and all(isinstance(each, str) for each in value):
            return list(value)
        if isinstance(value, str) and kind is Path and os.access(value, os.R_OK):
            return Path(value)
        if isinstance(value, str) and isinstance(kind, type) and issubclass(kind, Enum):
            same = [each for each in kind if each.value == value]
            if same:
                return same[0]
        return build_runtime_param(self.descriptor)._coerce_value(value, param, ctx)


def _made_plain(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption | TyperArgument) and param._runtime_param is None:
            of = param.type_descriptor
            param._runtime_param = Plain(of.parameter_info, of.annotation, of)
    return params


class PlainCommand(TyperCommand):
    """A verb."""

    def get_params(self, ctx: Any) -> Any:
        return _made_plain(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of verbs."""

    def get_params(self, ctx: Any) -> Any:
        return _made_plain(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Each with its first sentence, whole: a long one goes on below."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, verb.get_short_help_str(limit=SENTENCE))
            for name, verb in found
            if verb is not None and not verb.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
