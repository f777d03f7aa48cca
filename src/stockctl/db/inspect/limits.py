"""From where on something is worth a person's time. Each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, DAY = 60.0, 86_400.0
MB = 1_000_000
# https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND: half of
# the 32-bit numbers are the past; the server refuses new ones three million before their end.
WRAPAROUND = 2**31


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes, rows, shares of 1."""

    # A request that waits a tenth of a second is felt (Nielsen, Usability Engineering, 1993).
    slow_mean_ms: float = 100.0
    # Below, a query hardly matters whatever it costs.
    slow_share: float = 0.1
    # So many rows at once are more than a page shows.
    rows_a_call: float = 1000.0
    # Monthly jobs may use an index too, but a week sees what happens daily and weekly.
    unused_after_s: float = 7 * DAY
    # Smaller ones cost little to keep; 1 MB is 128 pages.
    unused_bytes: int = MB
    # Reading 10 MB from memory takes about the 5 ms that a planner would gladly save.
    scanned_bytes: int = 10 * MB
    # Fewer scans since the statistics began are backups and people.
    scans: int = 50
    # of all scans of the table: under this the few are reports
    scan_share: float = 0.1
    # PostgreSQL's autovacuum_vacuum_scale_factor is 0.2: above, autovacuum is behind
    dead_share: float = 0.2
    dead_rows: int = 10_000
    # Half the table is air: the estimate is off by less.
    bloat_share: float = 0.5
    bloat_bytes: int = 10 * MB
    # max_connections is refused all at once: time to act before
    connections_share: float = 0.8
    # A statement of five minutes is a report or a mistake; vacuum waits for either.
    active_s: float = 5 * MINUTE
    # A client that thinks for a minute inside a transaction has forgotten it.
    idle_in_transaction_s: float = MINUTE
    # Two-phase commit takes seconds; what is left over is an orphan that holds locks and vacuum.
    prepared_s: float = 5 * MINUTE
    # of the limit; autovacuum starts at 0.1 (autovacuum_freeze_max_age, 200 million)
    wraparound_share: float = 0.25
    # At the same pace a quarter is left: years or weeks, but time to plan.
    sequence_share: float = 0.75
    # A slot that nobody reads keeps WAL until the disk is full.
    slot_bytes: int = 1000 * MB


DEFAULTS = Limits()
