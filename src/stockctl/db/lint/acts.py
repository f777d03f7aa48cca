"""What the statements of a script do, one act at a time: enough for the rules, not a parser.

`ALTER TABLE t ADD COLUMN a int, DROP COLUMN b` is two acts. What is not known here is an act by its
first words: the rules pass it over, and squawk, which has a real parser, has read it anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from stockctl.db.lint.words import Piece, Reader, by_comma, outside, pieces
from stockctl.db.statements import Statement


@dataclass(frozen=True, slots=True)
class Act:
    """`table` is the relation it is about, `name` what is made, changed or dropped.

    `words` are those of the action or of the statement; `start` is where they begin in the file,
    `statement` the number of the statement that it is part of.
    """

    verb: str
    table: str
    name: str
    words: tuple[str, ...]
    start: int
    statement: int

    @property
    def concurrently(self) -> bool:
        return "CONCURRENTLY" in self.words

    @property
    def cascade(self) -> bool:
        named = int(self.name == "cascade")  # not reserved: a thing may be called that
        return self.words[-1:] == ("CASCADE",) and self.words.count("CASCADE") > named


Found = Iterator[tuple[str, str, str, Sequence[Piece]]]  # verb, table, name, words

_KINDS = (
    ("MATERIALIZED", "VIEW"), ("FOREIGN", "TABLE"), ("EVENT", "TRIGGER"), ("TABLE",), ("INDEX",),
    ("VIEW",), ("SEQUENCE",), ("TYPE",), ("DOMAIN",), ("SCHEMA",), ("FUNCTION",), ("PROCEDURE",),
    ("AGGREGATE",), ("TRIGGER",), ("POLICY",), ("EXTENSION",), ("DATABASE",), ("TABLESPACE",),
    ("RULE",), ("SYSTEM",), ("STATISTICS",), ("ROLE",),
)  # fmt: skip
_ON_TABLE = ("TRIGGER", "POLICY", "RULE")
_PREFIXES = (
    "OR", "REPLACE", "GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "UNIQUE", "RECURSIVE",
    "CONSTRAINT", "TRUSTED",
)  # fmt: skip
_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE", "LIKE")


def acts(sql: str, statements: Iterable[Statement]) -> tuple[Act, ...]:
    """In the order of the file. What only writes rows by VALUES is passed over unread."""
    found = []
    for number, statement in enumerate(statements):
        read = _READERS.get(statement.head[0])
        if read is None:
            continue
        words = pieces(sql, statement.start, statement.end)
        for verb, table, name, part in read(Reader(words)):
            start = part[0].start if part else statement.start
            said = tuple(piece.word for piece in part)
            found.append(Act(verb, table, name, said, start, number))
    return tuple(found)


def _kind(reader: Reader) -> str:
    return next((" ".join(kind) for kind in _KINDS if reader.take(*kind)), "")


def _create(reader: Reader) -> Found:
    words = reader.rest()
    reader.at = 1
    reader.take_any(*_PREFIXES)
    kind = _kind(reader)
    if kind == "INDEX":
        reader.take("CONCURRENTLY")
        reader.take("IF", "NOT", "EXISTS")
        name = "" if reader.peek() == "ON" else reader.name()
        reader.take("ON")
        reader.take("ONLY")
        yield "CREATE INDEX", reader.name(), name, words
        return
    reader.take("IF", "NOT", "EXISTS")
    if kind == "SCHEMA" and reader.peek() == "AUTHORIZATION":
        return
    name = reader.name()
    if kind in _ON_TABLE:
        before_table = "TO" if kind == "RULE" else "ON"  # CREATE RULE a AS ON UPDATE TO table
        while reader.peek() not in (before_table, ""):
            reader.at += 1
        reader.take(before_table)
        yield f"CREATE {kind}", reader.name(), name, words
        return
    yield f"CREATE {kind}", name, name, words
    if kind in ("TABLE", "FOREIGN TABLE"):
        for part in by_comma(reader.inside()):
            if part[0].word not in _CONSTRAINTS:
                yield "COLUMN", name, Reader(part).name(), part
            else:
                yield "CONSTRAINT", name, "", part


def _drop(reader: Reader) -> Found:
    words = reader.rest()
    reader.at = 1
    kind = _kind(reader)
    reader.take("CONCURRENTLY")
    reader.take("IF", "EXISTS")
    if kind in _ON_TABLE:
        name = reader.name()
        reader.take("ON")
        yield f"DROP {kind}", reader.name(), name, words
        return
    for part in by_comma(reader.rest()):
        name = Reader(part).name()
        yield f"DROP {kind}", name, name, words


def _alter(reader: Reader) -> Found:
    words = reader.rest()
    reader.at = 1
    kind = _kind(reader)
    reader.take("IF", "EXISTS")
    reader.take("ONLY")
    name = reader.name()
    if kind in _ON_TABLE:
        reader.take("ON")
        yield f"ALTER {kind}", reader.name(), name, words
    elif kind in ("TABLE", "FOREIGN TABLE"):
        reader.take("*")
        for part in by_comma(reader.rest()):
            verb, column = _action(Reader(part))
            yield verb, name, column, part
    else:
        pair = f"{reader.peek()} {reader.peek(1)}"
        verb = pair if pair in ("ADD VALUE", "SET SCHEMA") else f"ALTER {kind}"
        yield f"RENAME {kind}" if reader.peek() == "RENAME" else verb, name, name, words


def _action(reader: Reader) -> tuple[str, str]:
    """What an action of ALTER TABLE does, and to which column or constraint."""
    if reader.take("ADD"):
        if reader.peek() in _CONSTRAINTS or (reader.peek() == "NOT" and reader.peek(1) == "NULL"):
            return "ADD CONSTRAINT", reader.name() if reader.take("CONSTRAINT") else ""
        reader.take("COLUMN")
        reader.take("IF", "NOT", "EXISTS")
        return "ADD COLUMN", reader.name()
    if reader.take("DROP"):
        kind = "CONSTRAINT" if reader.take("CONSTRAINT") else "COLUMN"
        reader.take("COLUMN")
        reader.take("IF", "EXISTS")
        return f"DROP {kind}", reader.name()
    if reader.take("RENAME"):
        if reader.peek() == "TO":
            return "RENAME TABLE", ""
        kind = "CONSTRAINT" if reader.take("CONSTRAINT") else "COLUMN"
        reader.take("COLUMN")
        return f"RENAME {kind}", reader.name()
    if reader.take("ALTER"):
        if reader.take("CONSTRAINT"):
            return "ALTER CONSTRAINT", reader.name()
        reader.take("COLUMN")
        column = reader.name()
        return _to_column(reader), column
    if reader.take("VALIDATE", "CONSTRAINT"):
        return "VALIDATE CONSTRAINT", reader.name()
    return f"{reader.peek()} {reader.peek(1)}", ""  # SET SCHEMA, SET LOGGED, DETACH PARTITION …


def _to_column(reader: Reader) -> str:
    if reader.take("SET", "DATA") or reader.peek() == "TYPE":
        return "COLUMN TYPE"
    pair = f"{reader.peek()} {reader.peek(1)}"
    if pair in ("SET NOT", "DROP NOT"):
        return f"{pair} NULL"
    return pair  # SET DEFAULT, DROP DEFAULT, DROP EXPRESSION, ADD GENERATED …


def _tables(reader: Reader) -> Found:
    """TRUNCATE a, b · LOCK a, b."""
    words = reader.rest()
    reader.at = 1
    reader.take("TABLE")
    for part in by_comma(reader.rest()):
        inner = Reader(part)
        inner.take("ONLY")
        yield words[0].word, inner.name(), "", words


def _update(reader: Reader) -> Found:
    words = reader.rest()
    verb = reader.peek()
    reader.at = 1
    reader.take("FROM")
    reader.take("ONLY")
    yield verb, reader.name(), "", words


def _with(reader: Reader) -> Found:
    """WITH … UPDATE: only what stands in no parenthesis, which is the statement itself."""
    said = list(outside([piece.word for piece in reader.pieces]))
    verb = next((word for word in said if word in ("UPDATE", "DELETE", "INSERT", "SELECT")), "")
    if verb in ("UPDATE", "DELETE"):
        depth = 0
        for number, piece in enumerate(reader.pieces):
            depth += {"(": 1, ")": -1}.get(piece.word, 0)
            if depth == 0 and piece.word == verb:
                yield from _update(Reader(reader.pieces[number:]))
                return


def _maintain(reader: Reader) -> Found:
    """VACUUM, CLUSTER, REINDEX, REFRESH, DO, COMMENT …: one act by its first word."""
    words = reader.rest()
    verb = reader.peek()
    reader.at = 1
    reader.inside()
    reader.take_any(
        "FULL", "FREEZE", "VERBOSE", "ANALYZE", "INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM",
        "CONCURRENTLY", "MATERIALIZED", "VIEW",
    )  # fmt: skip
    yield verb, reader.name() if reader.peek() else "", "", words


_READERS: dict[str, Callable[[Reader], Found]] = {
    "CREATE": _create,
    "DROP": _drop,
    "ALTER": _alter,
    "TRUNCATE": _tables,
    "LOCK": _tables,
    "UPDATE": _update,
    "DELETE": _update,
    "WITH": _with,
    **dict.fromkeys(("VACUUM", "CLUSTER", "REINDEX", "REFRESH", "DO", "CALL"), _maintain),
}
