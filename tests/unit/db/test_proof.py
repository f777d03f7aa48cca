"""What a proof is made of, without a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.db.catalog.diff import LONGEST, differences
from stockctl.db.catalog.nouns import Catalog, Item, Key
from stockctl.db.proof.reach import reaching
from stockctl.db.proof.rules import RULES

PAGE = Path(__file__).parents[3] / "docs" / "proof.md"


def catalog(**texts: str) -> Catalog:
    return Catalog(tuple(Item(Key("table", name), text) for name, text in sorted(texts.items())))


def test_every_code_is_on_the_page() -> None:
    page = PAGE.read_text()
    for rule in RULES.values():
        assert f"| {rule.code} | {rule.severity} |" in page


def test_differences() -> None:
    before = catalog(a="one\ntwo", b="same", c="gone")
    after = catalog(a="one\nthree", b="same", d="new")
    found = {each.key.name: each.lines for each in differences(before, after)}
    assert found == {"a": (" one", "-two", "+three"), "c": ("-gone",), "d": ("+new",)}
    assert differences(before, before) == ()


def test_a_long_difference_is_cut() -> None:
    long = "\n".join(map(str, range(500)))
    [found] = differences(catalog(), catalog(a=long))
    assert len(found.lines) == LONGEST + 1
    assert found.lines[-1].endswith("440 more lines")


def test_a_schema_is_left_out() -> None:
    items = [
        Key("schema", "d"),
        Key("table", "d.t"),
        Key("index", "i", "d.t"),
        Key("table", "da.t"),
    ]
    found = Catalog(tuple(Item(key, "") for key in items)).without("d")
    assert [each.key.name for each in found] == ["da.t"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE ROLE a", True),
        ("alter user a with login", True),
        ("CREATE USER MAPPING FOR a SERVER b", False),
        ("ALTER SYSTEM SET a = b", True),
        ("ALTER DATABASE a SET b = c", True),
        ("GRANT a TO b", True),
        ("GRANT SELECT ON a TO b", False),
        ("GRANT CREATE ON DATABASE a TO b", True),
        ("REVOKE ALL ON TABLESPACE a FROM b", True),
        ("COMMENT ON ROLE a IS 'b'", True),
        ("COMMENT ON TABLE a IS 'b'", False),
        ("DROP OWNED BY a", True),
        ("CREATE TABLE role (a int)", False),
        ("SELECT 'CREATE ROLE a'", False),
    ],
)
def test_what_reaches_out_of_its_database(sql: str, expected: bool) -> None:
    found = reaching([("0001_a.sql", f"-- first\n{sql};")])
    assert bool(found) is expected
    assert [each.line for each in found] == [2] * expected
