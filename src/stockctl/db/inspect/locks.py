"""Who waits for whom, as trees: at the root is the one that waits for nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stockctl.db.inspect.reading import Reader
from stockctl.db.masking import masked

# pg_locks.waitstart is of PostgreSQL 14. 0 among the blocking ones is a prepared transaction
# (https://www.postgresql.org/docs/current/functions-info.html, pg_blocking_pids).
_WAITING = """
SELECT a.pid, array(SELECT DISTINCT unnest(pg_blocking_pids(a.pid)) ORDER BY 1),
       coalesce(l.mode, ''), coalesce(l.relation::regclass::text, l.locktype, ''), {waiting}
  FROM pg_stat_activity a
  LEFT JOIN LATERAL (SELECT * FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted
                      LIMIT 1) l ON true
 WHERE a.datname = current_database() AND a.wait_event_type = 'Lock'
"""
_SINCE_14 = "extract(epoch FROM clock_timestamp() - coalesce(l.waitstart, a.query_start))::float8"
_SINCE = "extract(epoch FROM clock_timestamp() - a.query_start)::float8"
_SESSIONS = """
SELECT pid, coalesce(application_name, ''), coalesce(usename, ''), coalesce(state, '?'),
       coalesce(query, ''), backend_type
  FROM pg_stat_activity WHERE pid = ANY (%s)
"""
DEPTH = 20  # a cycle is ended by the server after deadlock_timeout, but may be seen before


@dataclass(frozen=True, slots=True)
class LockNode:
    """A session in a tree; the root has depth 0 and `blocked_by` nobody.

    `waits_for` is the lock it wants; `blocks` counts all below it.
    """

    pid: int
    depth: int
    blocked_by: tuple[int, ...]
    waits_for: str
    waiting_s: float | None
    application: str
    user: str
    state: str
    query: str
    blocks: int
    advice: str


@dataclass(frozen=True, slots=True)
class Wait:
    """`by` are the processes that it waits for."""

    pid: int
    by: tuple[int, ...]
    lock: str
    waiting_s: float | None


def read_locks(reader: Reader) -> tuple[LockNode, ...]:
    """Each tree from its root down, the one that blocks most first."""
    since = _SINCE_14 if reader.facts.version >= 140_000 else _SINCE
    waits = [
        Wait(pid, tuple(by), f"{mode.removesuffix('Lock')} on {what}" if mode else "", waiting_s)
        for pid, by, mode, what, waiting_s in reader.rows(_WAITING.format(waiting=since))
        if by
    ]
    if not waits:
        return ()
    pids = sorted({pid for wait in waits for pid in (wait.pid, *wait.by)})
    nodes = {row[0]: _node(*row) for row in reader.rows(_SESSIONS, pids)}
    nodes |= {pid: _unknown(pid) for pid in pids if pid not in nodes}
    return trees(waits, nodes)


def _node(pid: int, application: str, user: str, state: str, query: str, kind: str) -> LockNode:
    called = application if kind == "client backend" else kind
    return LockNode(pid, 0, (), "", None, called, user, state, masked(query), 0, "")


def _unknown(pid: int) -> LockNode:
    called = "a prepared transaction" if pid == 0 else "a session that has just ended"
    return LockNode(pid, 0, (), "", None, called, "", "?", "", 0, "")


def trees(waits: Sequence[Wait], nodes: Mapping[int, LockNode]) -> tuple[LockNode, ...]:
    """Whoever waits for several stands below each of them."""
    by_pid = {wait.pid: wait for wait in waits}
    below: dict[int, list[Wait]] = {}
    for wait in waits:
        for pid in wait.by:
            below.setdefault(pid, []).append(wait)
    roots = [pid for pid in below if pid not in by_pid] or sorted(below)[:1]  # or a deadlock

    def walk(pid: int, depth: int, above: tuple[int, ...]) -> Iterator[LockNode]:
        ours = sorted(below.get(pid, []), key=lambda wait: -(wait.waiting_s or 0.0))
        children = [
            node
            for wait in ours
            if wait.pid not in above and depth < DEPTH
            for node in walk(wait.pid, depth + 1, (*above, wait.pid))
        ]
        wait = by_pid.get(pid)
        node = replace(nodes[pid], depth=depth, blocks=len({child.pid for child in children}))
        if wait and depth:
            node = replace(node, blocked_by=wait.by, waits_for=wait.lock, waiting_s=wait.waiting_s)
        yield replace(node, advice=advise(node))
        yield from children

    grown = [tuple(walk(root, 0, (root,))) for root in roots]
    return tuple(node for tree in sorted(grown, key=lambda tree: -len(tree)) for node in tree)


def advise(node: LockNode) -> str:
    """The root is what one ends; the others go on by themselves then."""
    if node.depth:
        return f"waits for {', '.join(map(str, node.blocked_by))}: nothing to do here"
    if node.pid == 0:
        return "stockctl db inspect ENV --connections names it: ROLLBACK or COMMIT PREPARED"
    if node.state.startswith("idle"):
        return f"does nothing and holds its locks: SELECT pg_terminate_backend({node.pid});"
    return f"wait until it is done, or SELECT pg_cancel_backend({node.pid});"
