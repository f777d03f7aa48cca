"""A schema as values: one item for each object, with all that makes it what it is as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What an object is called: its kind, and its name with schema, quoted where need be.

    `home` is the table of what hangs on one (a constraint, a trigger), else empty.
    """

    kind: str
    name: str
    home: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" on {self.home}" if self.home else "")


@dataclass(frozen=True, slots=True)
class Item:
    """An object. Two are equal when nothing that the catalog knows of them differs."""

    key: Key
    text: str


@dataclass(frozen=True)
class Catalog:
    """All objects of a database, in the order of their keys."""

    items: tuple[Item, ...]

    @cached_property
    def texts(self) -> dict[Key, str]:
        return {item.key: item.text for item in self.items}

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def without(self, schema: str) -> Catalog:
        """All but what is in a schema, and the schema itself."""
        inside = f"{schema}."
        return Catalog(
            tuple(
                item
                for item in self.items
                if item.key.name != schema
                and not item.key.name.startswith(inside)
                and not item.key.home.startswith(inside)
            )
        )
