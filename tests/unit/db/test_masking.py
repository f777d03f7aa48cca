"""Values in queries are never shown, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.db.masking import masked

CANARY = "c4n4ry7f3a91x"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT * FROM t1 WHERE a = 'x' AND b=5", "SELECT * FROM t1 WHERE a = ? AND b=?"),
        ("SELECT $1, $2::int8", "SELECT $1, $2::int8"),
        ("SELECT 1.5, -2e10, .5, 0xFF, 1_000", "SELECT ?, -?, .?, …"),
        ("SELECT x IN (1, 2,3 , 4)", "SELECT x IN (?, …)"),
        ("SELECT E'it\\'s', U&'d\\0061', b'1', $$a$$, $t$b$t$", "SELECT ?, …"),
        ("SELECT 1 -- secret\n, 2 /* more */ FROM x", "SELECT ?, … FROM x"),
        ('SELECT "Name 1" FROM "T"', 'SELECT "Name 1" FROM "T"'),
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD ?"),
        ("SELECT a\n\tFROM   b", "SELECT a FROM b"),
        ("SELECT 'cut in the midd", "SELECT ?"),
        ("SELECT $$cut in the midd", "SELECT ?"),
        ("SELECT 'a' 'b'\n'c'", "SELECT ? ? ?"),
        ("", ""),
    ],
)
def test_what_is_left(query: str, shown: str) -> None:
    assert masked(query) == shown


@pytest.mark.parametrize("query", [r"SELECT 'a\'', 'CANARY'", r"SELECT 'it\'s CANARY', 'x'"])
def test_where_a_string_ends_is_a_setting(query: str) -> None:
    """With standard_conforming_strings off `\\'` does not end it: nothing after it is shown."""
    assert masked(query.replace("CANARY", CANARY)) == "SELECT ? …"


@given(
    st.sampled_from(["'{}'", "E'{}'", "$${}$$", "$x${}$x$", "U&'{}'", "/*{}*/", "--{}\n"]),
    st.text(alphabet="ab 1;,()", max_size=5),
    st.text(alphabet="ab 1\n;,()'", max_size=5),
    st.integers(0, 60),
)
def test_no_value_at_all(form: str, inside: str, before: str, cut: int) -> None:
    before = before.replace("'", "''") if before.count("'") % 2 else before
    query = f"SELECT '{before.replace(chr(39), '')}', {form.format(inside + CANARY)}, 1"
    assert CANARY not in masked(query)
    assert CANARY not in masked(query[: len(query) - cut])
