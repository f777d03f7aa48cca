"""What is known of the tables from the migrations before: types of columns, proven NOT NULLs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stockctl.db.lint.acts import Act
from stockctl.db.lint.types import Type, clause, read_type
from stockctl.db.lint.words import canonical


def column_type(act: Act) -> Type:
    """The type that a COLUMN, an ADD COLUMN or a COLUMN TYPE gives."""
    words = list(act.words)
    if act.verb == "COLUMN TYPE":
        return read_type(clause(words, "TYPE"))
    named = next(n for n, word in enumerate(words) if canonical(word) == act.name)
    return read_type(clause(words[named + 1 :]))


def default(act: Act) -> tuple[str, ...]:
    """The words of a column's default; a NULL is none."""
    found = clause(act.words, "DEFAULT")
    return () if found == ("NULL",) else found


def proves_not_null(act: Act) -> frozenset[str]:
    """The columns of `ADD CONSTRAINT c CHECK (a IS NOT NULL AND b IS NOT NULL)`."""
    words = [word for word in clause(act.words, "CHECK") if word not in "()"]
    columns = words[::5]
    said = [word for each in columns for word in (each, "IS", "NOT", "NULL", "AND")][:-1]
    return frozenset(map(canonical, columns)) if said == words else frozenset()


@dataclass
class Schema:
    """Grows with every migration. What is not in it is not known, which is never an error."""

    types: dict[tuple[str, str], Type] = field(default_factory=dict)
    checks: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)  # not valid yet
    proven: set[tuple[str, str]] = field(default_factory=set)

    def follow(self, acts: Iterable[Act]) -> None:
        """The up script of a migration."""
        for act in acts:
            if act.verb in ("COLUMN", "ADD COLUMN", "COLUMN TYPE"):
                self.types[act.table, act.name] = column_type(act)
            elif act.verb in ("DROP COLUMN", "DROP NOT NULL"):
                self.proven.discard((act.table, act.name))
            elif act.verb == "RENAME COLUMN":
                self._rename(act.table, act.name, canonical(act.words[-1]))
            elif act.verb in ("DROP TABLE", "RENAME TABLE"):
                self._forget(act.table)
            else:
                self._follow_check(act)

    def _follow_check(self, act: Act) -> None:
        if act.verb == "ADD CONSTRAINT" and (columns := proves_not_null(act)):
            if "VALID" in act.words:
                self.checks[act.table, act.name] = columns
            else:
                self.proven |= {(act.table, column) for column in columns}
        elif act.verb == "VALIDATE CONSTRAINT" and (act.table, act.name) in self.checks:
            columns = self.checks.pop((act.table, act.name))
            self.proven |= {(act.table, column) for column in columns}

    def _rename(self, table: str, old: str, new: str) -> None:
        if type_ := self.types.pop((table, old), None):
            self.types[table, new] = type_
        if (table, old) in self.proven:
            self.proven ^= {(table, old), (table, new)}

    def _forget(self, table: str) -> None:
        self.types = {key: type_ for key, type_ in self.types.items() if key[0] != table}
        self.proven = {key for key in self.proven if key[0] != table}
