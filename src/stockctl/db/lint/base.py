"""What a rule of `db lint` is, what it looks at, and the list of all of them.

As in env/rules: a rule is one function with one code. Its docstring says what is wrong (first
line) and why that matters (the rest), its examples show it; docs/lint.md is written from the three.
"""

from __future__ import annotations

import inspect
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.db.lint.acts import Act, acts
from stockctl.db.lint.schema import Schema, default
from stockctl.db.script import DOWN, Phase, Script
from stockctl.db.statements import Statement


class Source:
    """A script as the rules see it. `label` is its name in messages."""

    def __init__(self, label: str, script: Script) -> None:
        self.label = label
        self.script = script
        self.text = script.text

    @property
    def statements(self) -> tuple[Statement, ...]:
        return self.script.parts

    @cached_property
    def acts(self) -> tuple[Act, ...]:
        return acts(self.text, self.script.parts)

    def all(self, *verbs: str) -> Iterator[Act]:
        return (act for act in self.acts if act.verb in verbs)

    @cached_property
    def new_tables(self) -> frozenset[str]:
        """Made in this script: nobody reads or writes them yet."""
        kinds = ("CREATE TABLE", "CREATE MATERIALIZED VIEW", "CREATE FOREIGN TABLE")
        return frozenset(act.name for act in self.all(*kinds))

    @cached_property
    def created(self) -> dict[tuple[str, str], int]:
        """What it makes, `("CREATE VIEW", name)`, and in which statement first."""
        made: dict[tuple[str, str], int] = {}
        for act in self.acts:
            if act.verb.startswith("CREATE "):
                made.setdefault((act.verb, act.name), act.statement)
        return made

    @cached_property
    def new_columns(self) -> frozenset[tuple[str, str]]:
        """Added by this script: table and name."""
        return frozenset((act.table, act.name) for act in self.all("ADD COLUMN"))

    @cached_property
    def filled_columns(self) -> frozenset[tuple[str, str]]:
        """Those that it gives a default, so that whoever does not know them writes one."""
        added = (act for act in self.all("ADD COLUMN") if default(act))
        return frozenset((a.table, a.name) for a in [*added, *self.all("SET DEFAULT")])

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _breaks(self) -> list[int]:
        at, found = self.text.find("\n"), []
        while at >= 0:
            found.append(at)
            at = self.text.find("\n", at + 1)
        return found

    def where(self, offset: int) -> Where:
        """Line and column of an offset, both from 1."""
        line = bisect_right(self._breaks, offset - 1)
        begin = self._breaks[line - 1] + 1 if line else 0
        return Where(self.label, line + 1, offset - begin + 1)


@dataclass(frozen=True)
class Subject:
    """One script of a migration, with the other one and the tables as they are before it: a schema
    that goes on growing, so a rule looks at once."""

    source: Source
    other: Source | None
    up: Script
    before: Schema
    down: bool = False

    @property
    def acts(self) -> tuple[Act, ...]:
        return self.source.acts

    @property
    def transactional(self) -> bool:
        return self.up.value("transactional", "true") != "false"

    @property
    def contract(self) -> bool:
        return self.up.value("phase") == Phase.CONTRACT

    def on_old_tables(self, *verbs: str) -> Iterator[Act]:
        """Acts on a table that this script has not made itself."""
        new = self.source.new_tables
        return (act for act in self.source.all(*verbs) if act.table not in new)


Function = Callable[[Subject], Iterator[Finding]]
Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A code, what it stands for, and the function that finds it.

    `check` is None for what is found elsewhere: by squawk, or while files are read. `bad` and
    `good` are small folders of migrations: file name to text.
    """

    code: str
    severity: Severity
    name: str
    what: str
    why: str
    bad: Files
    good: Files
    check: Function | None = None
    ignorable: bool = True
    down: Severity | None = None  # in a down script; None: it does not look at one


RULES: dict[str, Rule] = {}


def rule(
    code: str,
    severity: Severity,
    *,
    bad: Files,
    good: Files,
    down: Severity | None = None,
) -> Callable[[Function], Function]:
    """Registers a function as the rule `code`; its name, with dashes, is the rule's.

    `down`: it looks at down scripts as well, and that is how bad it is there.
    """

    def register(function: Function) -> Function:
        what, _, why = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
        name = function.__name__.replace("_", "-")
        what = " ".join(what.split())
        add(Rule(code, severity, name, what, why, bad, good, function, down=down))
        return function

    return register


def add(new: Rule) -> None:
    if new.code in RULES:
        raise ValueError(f"two rules have the code {new.code}")
    RULES[new.code] = new


def found(code: str, subject: Subject, act: Act, message: str, fix: str) -> Finding:
    """A finding where the act stands, with its rule's severity."""
    severity = (subject.down and RULES[code].down) or RULES[code].severity
    return Finding(code, severity, message, subject.source.where(act.start), fix)


def migration(up: str, down: str = "SELECT 1;\n", name: str = "0002_it") -> dict[str, str]:
    """An example: a migration with its down script. What it changes was there before."""
    return {f"{name}.sql": up, f"{name}{DOWN}": down}
