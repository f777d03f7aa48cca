"""Rows are counted beside the dump: what happens to one of the two ends the other."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stockctl.backup.describe import beside
from stockctl.core.errors import DatabaseFailed, ToolFailed
from stockctl.system.postgres import errors

ANSWERS_S = 30.0  # a query that nobody ended takes an hour
AT_WORK = "SELECT pid FROM pg_stat_activity WHERE query = %s AND state = 'active'"
FOR_AN_HOUR = "SELECT pg_sleep(3600)"


def gone(bench: Any, query: str) -> bool:
    waiting = threading.Event()
    for _ in range(int(ANSWERS_S / 0.1)):
        if not bench.run(AT_WORK, query):
            return True
        waiting.wait(0.1)
    return False


@pytest.mark.parametrize("error", [ToolFailed("pg_dump failed"), KeyboardInterrupt()])
def test_a_block_that_fails_ends_the_query(bench: Any, error: BaseException) -> None:
    """Whoever left does not wait for it, and the server does not go on with it."""
    connection = bench.database.connect()

    def work() -> None:
        with errors("sleep"):
            connection.execute(FOR_AN_HOUR)

    with pytest.raises(type(error)) as raised, beside(connection, work) as future:
        while not bench.run(AT_WORK, FOR_AN_HOUR):
            pass
        raise error
    assert raised.value is error
    assert isinstance(future.exception(ANSWERS_S), DatabaseFailed)
    assert connection.closed
    assert gone(bench, FOR_AN_HOUR)


def test_what_follows_from_its_failure_is_not_the_error(bench: Any) -> None:
    def work() -> None:
        with errors("count the rows"):
            bench.run("SELECT * FROM nowhere")

    connection = bench.database.connect()
    with pytest.raises(DatabaseFailed, match="count the rows") as raised:  # noqa: SIM117
        with beside(connection, work) as future:
            future.exception(ANSWERS_S)
            raise ToolFailed("pg_dump failed")
    assert isinstance(raised.value.__cause__, ToolFailed)


def test_rows_that_cannot_be_hashed_end_the_backup(bench: Any) -> None:
    """pg_dump does not look at a virtual column, so that the dump itself would go well."""
    bench.fill(40_000)
    bench.run(
        "CREATE TABLE odd (id int, share int GENERATED ALWAYS AS (1 / id) VIRTUAL);"
        " INSERT INTO odd VALUES (0)"
    )
    with pytest.raises(DatabaseFailed, match="hash the rows") as raised:
        bench.create(hash_content=True)
    assert "division by zero" in raised.value.details
    assert bench.files() == []
