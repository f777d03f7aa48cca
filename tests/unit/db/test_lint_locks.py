"""The locks that `db migrate --plan` shows."""

from __future__ import annotations

import pytest

from stockctl.db.lint.locks import expected


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("CREATE TABLE t (a int); CREATE INDEX ON t (a); ALTER TABLE t ADD b int", ""),
        ("CREATE INDEX ON t (a); ALTER TABLE T ADD b int", "t ACCESS EXCLUSIVE"),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", "t SHARE UPDATE EXCLUSIVE"),
        ("CREATE TABLE t (a int REFERENCES app.u (id))", "app.u SHARE ROW EXCLUSIVE"),
        ("ALTER TYPE mood ADD VALUE 'x'; ALTER SEQUENCE s RESTART", ""),
        ("UPDATE t SET a = 1; DELETE FROM t; SELECT 1", ""),
        ("ALTER TABLE b ADD c int; TRUNCATE a", "b ACCESS EXCLUSIVE, a ACCESS EXCLUSIVE"),
    ],
)
def test_one_for_each_table_that_was_there(sql: str, told: str) -> None:
    assert ", ".join(str(lock) for lock in expected(sql)) == told
