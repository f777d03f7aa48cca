"""What is to be done: decided from figures, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stockctl.db.inspect.connections import advise_room, advise_session
from stockctl.db.inspect.duplicates import Index, superfluous
from stockctl.db.inspect.ends import advise_age, advise_sequence, advise_slot
from stockctl.db.inspect.limits import DEFAULTS, MB
from stockctl.db.inspect.locks import LockNode, Wait, trees
from stockctl.db.inspect.slow import advise
from stockctl.db.inspect.tables import advise_vacuum, scanned_too_often


@pytest.mark.parametrize(
    ("calls", "rows", "mean_ms", "temporary", "share", "expected"),
    [
        (1, 1, 99.9, 0, 0.9, ""),
        (1, 1, 100.0, 0, 0.01, "SELECT query FROM public.pg_stat_statements WHERE queryid = 7;"),
        (1, 1, 100.0, 8192, 0.01, "sorts or joins on disk"),
        (10, 10_000, 1.0, 0, 0.1, "fetches 1000 rows a call"),
        (10, 10_000, 1.0, 0, 0.09, ""),
        (1_000_000, 1_000_000, 0.5, 0, 0.3, "quick, but called very often"),
    ],
)
def test_slow_queries(
    calls: int, rows: int, mean_ms: float, temporary: int, share: float, expected: str
) -> None:
    found = advise("7", calls, rows, mean_ms, temporary, share, DEFAULTS)
    assert found.startswith(expected) and bool(found) == bool(expected)


def test_connections_before_the_first_is_refused() -> None:
    assert advise_room(77, 100, 3, DEFAULTS) == ""
    assert "78 of 97 for everybody" in advise_room(78, 100, 3, DEFAULTS)


@pytest.mark.parametrize(
    ("state", "transaction_s", "state_s", "expected"),
    [
        ("active", 299, 299, ""),
        ("active", 300, 1, "SELECT pg_cancel_backend(5);"),
        ("idle in transaction", 900, 59, ""),
        ("idle in transaction", 61, 60, "SELECT pg_terminate_backend(5);"),
        ("idle in transaction (aborted)", 61, 60, "SELECT pg_terminate_backend(5);"),
    ],
)
def test_sessions(state: str, transaction_s: float, state_s: float, expected: str) -> None:
    found = advise_session(5, state, transaction_s, state_s, DEFAULTS)
    assert found.startswith(expected) and bool(found) == bool(expected)


def test_transaction_numbers_long_before_their_end() -> None:
    assert advise_age("database", "shop", 0.2, DEFAULTS) == ""
    assert advise_age("table", "public.a", 0.25, DEFAULTS) == "VACUUM (FREEZE, VERBOSE) public.a;"
    assert "connect to shop" in advise_age("database", "shop", 0.25, DEFAULTS)


def test_a_sequence_is_widened_where_it_is_narrow() -> None:
    """The exact statements; a column of bigint stays as it is."""
    both = advise_sequence("s", "t", "c", "integer", "integer")
    assert both.startswith("ALTER SEQUENCE s AS bigint; ALTER TABLE t ALTER COLUMN c TYPE bigint;")
    assert advise_sequence("s", "t", "c", "integer", "bigint") == "ALTER SEQUENCE s AS bigint;"
    assert advise_sequence("s", None, None, "bigint", None) == "ALTER SEQUENCE s NO MAXVALUE;"


@pytest.mark.parametrize(
    ("active", "kept", "status", "expected"),
    [
        (False, 999 * MB, "reserved", ""),
        (False, 1000 * MB, "extended", "nobody reads it"),
        (True, 1000 * MB, "extended", "its reader is behind"),
        (False, None, "lost", "its WAL is gone"),
    ],
)
def test_slots(active: bool, kept: int | None, status: str, expected: str) -> None:
    found = advise_slot("'s'", active, kept, status, DEFAULTS)
    assert found.startswith(expected) and bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("rows", "dead", "analyzed", "free", "off", "expected"),
    [
        (100_000, 9_999, True, None, False, ""),
        (90_000, 30_000, True, None, False, "VACUUM (ANALYZE) t;"),
        (100_000, 0, False, None, False, "ANALYZE t;"),
        (10, 0, True, 60 * MB, False, "new rows will fill it"),
        (10, 0, True, 49 * MB, False, ""),
        (10, 0, True, None, True, "autovacuum is off"),
    ],
)
def test_vacuum(
    rows: int, dead: int, analyzed: bool, free: int | None, off: bool, expected: str
) -> None:
    found = advise_vacuum("t", 100 * MB, rows, dead, analyzed, free, off, DEFAULTS)
    assert found.startswith(expected) and bool(found) == bool(expected)


def test_sequential_scans_are_many_and_not_just_reports() -> None:
    assert scanned_too_often(10 * MB, 50, 450, DEFAULTS)
    assert not scanned_too_often(10 * MB, 50, 451, DEFAULTS)
    assert not scanned_too_often(10 * MB, 49, 0, DEFAULTS)
    assert not scanned_too_often(9 * MB, 5000, 0, DEFAULTS)


NODE = LockNode(0, 0, (), "", None, "app", "u", "active", "SELECT", 0, "")


def nodes(*pids: int) -> dict[int, LockNode]:
    return {pid: replace(NODE, pid=pid) for pid in pids}


def test_a_prepared_transaction_is_a_root_too() -> None:
    found = trees([Wait(5, (0,), "x", 1.0)], nodes(0, 5))
    assert [(node.pid, node.depth) for node in found] == [(0, 0), (5, 1)]
    assert "ROLLBACK or COMMIT PREPARED" in found[0].advice


def test_who_waits_for_two_stands_below_both() -> None:
    found = trees([Wait(5, (1, 2), "x", 1.0)], nodes(1, 2, 5))
    assert [(node.pid, node.depth) for node in found] == [(1, 0), (5, 1), (2, 0), (5, 1)]


def test_a_deadlock_has_no_root_and_an_end() -> None:
    found = trees([Wait(1, (2,), "x", 1.0), Wait(2, (1,), "y", 2.0)], nodes(1, 2))
    assert [(node.pid, node.depth) for node in found] == [(1, 0), (2, 1)]


INDEX = Index("t", "a", 1, "btree", False, False, None, ("x", "y"), (), "", 10)


@pytest.mark.parametrize(
    ("other", "gone"),
    [
        (replace(INDEX, name="b", oid=2), {"b"}),  # the older one stays
        (replace(INDEX, name="b", oid=2, unique=True), {"a"}),
        (replace(INDEX, name="b", oid=2, keys=("x",)), {"b"}),
        (replace(INDEX, name="b", oid=2, keys=("y",)), set()),
        (replace(INDEX, name="b", oid=2, keys=("x",), unique=True), set()),
        (replace(INDEX, name="b", oid=2, keys=("x",), marked=True), set()),
        (replace(INDEX, name="b", oid=2, keys=("x",), predicate="z"), set()),
        (replace(INDEX, name="b", oid=2, included=("z",)), {"a"}),
        (replace(INDEX, name="b", oid=2, method="gin"), set()),
        (replace(INDEX, name="b", oid=2, table="u"), set()),
    ],
)
def test_superfluous_indexes(other: Index, gone: set[str]) -> None:
    assert {found.index for found in superfluous([INDEX, other])} == gone


def test_of_three_that_are_the_same_one_stays() -> None:
    three = [replace(INDEX, name=name, oid=oid) for oid, name in enumerate("abc")]
    assert [(d.index, d.kept) for d in superfluous(three)] == [("b", "a"), ("c", "a")]
