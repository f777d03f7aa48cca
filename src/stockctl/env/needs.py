"""What a command uses of an environment. Most need all of it to be sound; some must not be held
up by somebody's typo elsewhere: a backup at night, a rollback in a bad one."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.env.positions import Path as KeyPath


@dataclass(frozen=True, slots=True)
class Needs:
    """These tables and keys, but not those in `but_not`. An unknown key that is called as one in
    `misplaced`, or a table with one in it, counts wherever it stands: it was meant for these."""

    paths: frozenset[KeyPath]
    but_not: frozenset[KeyPath] = frozenset()
    misplaced: frozenset[str] = frozenset()

    def holds(self, path: KeyPath) -> bool:
        """Whether a mistake at `path` concerns the command."""
        inside = any(path[: len(need)] == need or need[: len(path)] == path for need in self.paths)
        return inside and not any(path[: len(each)] == each for each in self.but_not)

    def misses(self, key: object, value: object) -> bool:
        """Whether a key that nobody knows is, or holds, what the command would go without."""
        inner = value.items() if isinstance(value, dict) else ()
        return key in self.misplaced or any(self.misses(*each) for each in inner)


ALL = Needs(frozenset({()}))

BACKUP = Needs(
    frozenset({("host",), ("database",), ("backup",), ("service", "name"), ("protected",)}),
    frozenset(
        {
            ("database", "migrations"),
            ("database", "lock_timeout"),
            ("database", "lock_retry"),
            ("database", "statement_timeout"),
            ("backup", "keep"),
            ("backup", "minimum"),
        }
    ),
    frozenset({"recipients", "store"}),  # or it would be in the clear, or in another place
)
"""`backup create`: which database, in which container, into which store, for whom."""

RELEASES = Needs(
    frozenset(
        {
            ("host",),
            ("service", "name"),
            ("service", "release"),
            ("deploy",),
            ("proxy",),
            ("protected",),
        }
    )
)
"""`deploy rollback`, `status`, `history`: which containers. Where a release answers stands in its
own record."""

RECORDS = Needs(frozenset({("host",)}))
"""`journal` and `status`: which folder. Whatever else is wrong, `status` shows what it can."""
