"""Where statements begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.db.concurrently import ConcurrentIndex, concurrent_index
from stockctl.db.statements import position, split, tokens

HOSTILE = (
    "SELECT 1",
    "SELECT 'a;b', 'it''s; -- no comment'",
    r"SELECT E'it\'s; \\'",
    "SELECT E'a'\n  'it\\'s;'",
    'SELECT "a;b", "say ""x;"""',
    "SELECT $$a;b$$, $x$ $$;$y$ ; $x$",
    "SELECT a$b$c FROM t",
    "/* a; /* nested; */ still; */ SELECT 2",
    "-- one; 'two\nSELECT 3",
    "CREATE TABLE t (begin int, \"end\" int, declare text DEFAULT ';')",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
    "DO $do$ BEGIN COMMIT; END; $do$",
    "INSERT INTO t VALUES (B'01', X'ff', U&'\\0041;', N'x;')",
    "SELECT 1 +-- a; comment\n 2",
    "SELECT $1, 'ü;ä', ünïcode$name FROM t",
)


@given(
    st.lists(st.sampled_from(HOSTILE), max_size=8), st.sampled_from([";", " ;\n", ";;\n--x;\n;"])
)
def test_statements_come_apart_as_they_were_put_together(pieces: list[str], between: str) -> None:
    sql = between.join(pieces)
    found = split(sql)
    assert len(found) == len(pieces)
    for statement, piece in zip(found, pieces, strict=True):
        assert piece.endswith(sql[statement.start : statement.end])


@given(st.text(alphabet="aE'\"$;/*-\\\n ()é1bxU&", max_size=60))
def test_passing_over_finds_the_same_statements(sql: str) -> None:
    """A file without a body of statements is split in large steps, another one token by token."""
    token_by_token = split(f"{sql}\n; atomic;")
    assert split(f"{sql}\n; atomik;") == token_by_token


@given(st.text(alphabet="aE'\"$;/*-\\\n ()é1bx", max_size=60))
def test_tokens_are_in_order_and_leave_out_only_white_space(sql: str) -> None:
    at = 0
    for token in tokens(sql):
        assert token.start >= at
        assert sql[at : token.start].strip(" \n") == ""
        assert token.end > token.start
        at = token.end
    assert sql[at:].strip(" \n") == ""


@pytest.mark.parametrize(
    "sql",
    ["begin", "Commit", "end", "abort", "rollback", "ROLLBACK AND CHAIN", "start /**/ transaction",
     "PREPARE TRANSACTION 'x'"],
)  # fmt: skip
def test_what_would_end_the_transaction_is_seen(sql: str) -> None:
    [statement] = split(f"-- first\n{sql};")
    assert statement.controls_transaction


@pytest.mark.parametrize("sql", [*HOSTILE, "ROLLBACK TO SAVEPOINT a", "PREPARE p AS SELECT 1"])
def test_nothing_else_is_taken_for_it(sql: str) -> None:
    assert not any(statement.controls_transaction for statement in split(sql))


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a)", ConcurrentIndex("I", "T")),
        (
            '-- why\ncreate unique index /* x */ concurrently if not exists "A b" on only s.t(a)',
            ConcurrentIndex('"A b"', "S . T"),
        ),
        ("DROP INDEX CONCURRENTLY IF EXISTS i", ConcurrentIndex()),
        ("DROP INDEX CONCURRENTLY i", None),
        ("CREATE INDEX CONCURRENTLY ON t (a)", None),
        ("CREATE INDEX i ON t (a)", None),
        ("CREATE INDEX CONCURRENTLY i ON t (a); SELECT 1", None),
    ],
)
def test_what_may_be_run_again(sql: str, index: ConcurrentIndex | None) -> None:
    assert concurrent_index(sql) == index


@given(st.text(alphabet="a\né", max_size=30), st.integers(0, 30))
def test_a_position_counts_characters_from_one(text: str, offset: int) -> None:
    offset = min(offset, len(text))
    line, column = position(text, offset)
    assert sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1 == offset
