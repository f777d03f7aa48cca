"""Statements that reach out of their database: on a shared server a trial does them for real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stockctl.core.errors import Refused
from stockctl.db.statements import position, split

_KINDS = ("OWNED", "ROLE", "USER", "GROUP", "DATABASE", "TABLESPACE", "SYSTEM", "SUBSCRIPTION")
_VERBS = ("CREATE", "ALTER", "DROP")


@dataclass(frozen=True, slots=True)
class Reach:
    """Where, and how it begins."""

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words}"


def reaching(scripts: Sequence[tuple[str, str]]) -> tuple[Reach, ...]:
    """All of them, in files and their texts. What a DO block does is only seen as it runs."""
    return tuple(found for file, text in scripts for found in _in(file, text))


def refuse_reaching(found: Sequence[Reach]) -> None:
    """Raises Refused where there is any."""
    if found:
        raise Refused(
            "migrations change what all databases of a server share, and a trial on this one would"
            " do that for real",
            details="\n".join(map(str, found)),
            hint="Run it on a server of stockctl's own, where there is nobody else: --embedded",
        )


def _in(file: str, text: str) -> Iterator[Reach]:
    for statement in split(text):
        head = statement.head
        if _reaches(head):
            line = position(text, statement.start)[0]
            yield Reach(file, line, " ".join(head[:3]))


def _reaches(head: tuple[str, ...]) -> bool:
    verb, kind, third = (*head, "", "", "")[:3]
    if verb in _VERBS:
        # ALTER USER MAPPING and its kin stay inside
        return kind in _KINDS and not (kind == "USER" and third == "MAPPING")
    if verb in ("GRANT", "REVOKE"):
        return "ON" not in head or _after(head, "ON") in ("DATABASE", "TABLESPACE", "PARAMETER")
    if verb in ("COMMENT", "SECURITY"):
        return _after(head, "ON") in _KINDS
    return verb == "REASSIGN"


def _after(head: tuple[str, ...], word: str) -> str:
    at = head.index(word) + 1 if word in head else len(head)
    return head[at] if at < len(head) else ""
