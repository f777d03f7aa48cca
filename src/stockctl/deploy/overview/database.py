"""Connections, locks and migrations, over one connection."""

from __future__ import annotations

from stockctl.core.units import format_duration
from stockctl.db.inspect.glance import Glance, read_glance
from stockctl.db.ledger import Status, compare
from stockctl.db.migration import Phase
from stockctl.db.record import read_records
from stockctl.deploy.gates import migrations_of
from stockctl.deploy.overview import remnants
from stockctl.deploy.overview.part import DATABASE, LEDGER, LOCKS, Advice, Level, Part
from stockctl.deploy.site import Site
from stockctl.system.postgres import errors

FULL, LONG_S = 0.8, 10.0  # of all connections; seconds that somebody waits for a lock


def database_part(site: Site) -> Part:
    """Raises DatabaseUnreachable, DatabaseFailed."""
    assert site.database is not None
    with site.database.connect() as connection, errors(f"ask {site.database.dsn}"):
        glance = read_glance(connection)
        status = compare(migrations_of(site), read_records(connection))
        left = remnants.left_by_restores(site, connection)
    advice = (*_ledger(status, site), *_crowd(glance, site), *remnants.advice(left, site))
    level = Level.GOOD
    if advice:
        level = Level.BAD if any(each.level is Level.BAD for each in advice) else Level.NOTICE
    said = (
        f"{glance.connections} of {glance.room} connections, {_waiting(glance)}, {_words(status)}"
    )
    shown = (said, *remnants.said(left, site))
    data = {**_data(glance, status), "left_by_restores": remnants.data(left, site)}
    return Part("database", level, shown, data, advice)


def _ledger(status: Status, site: Site) -> list[Advice]:
    name = site.environment.name
    if status.blocking:
        first = status.blocking[0]
        why = f"{first.id} is {first.state.value.replace('_', ' ')}: no migration will run"
        return [Advice(LEDGER, f"stockctl db status {name}", why)]
    expand = [each for each in status.pending if each.phase is Phase.EXPAND]
    if expand and site.releases.live() is not None:
        why = f"{len(expand)} pending; the next deploy applies them"
        return [Advice(LEDGER, f"stockctl db migrate {name} --plan", why, Level.NOTICE)]
    return []


def _crowd(glance: Glance, site: Site) -> list[Advice]:
    name, found = site.environment.name, []
    if glance.waiting and glance.longest_s > LONG_S:
        why = f"{glance.waiting} wait for a lock, one for {format_duration(glance.longest_s)}"
        found.append(Advice(LOCKS, f"stockctl db inspect {name} --locks", why))
    if glance.connections > FULL * glance.room:
        why = f"{glance.connections} of {glance.room} connections are taken"
        found.append(Advice(DATABASE, f"stockctl db inspect {name} --connections", why))
    return found


def _waiting(glance: Glance) -> str:
    if not glance.waiting:
        return "nobody waits for a lock"
    longest = format_duration(glance.longest_s)
    return f"{glance.waiting} waiting for a lock, the longest for {longest}"


def _words(status: Status) -> str:
    if status.blocking:
        return f"migrations: {len(status.blocking)} to look at"
    contract = sum(each.phase is Phase.CONTRACT for each in status.pending)
    expand = len(status.pending) - contract
    parts = [f"{expand} pending"] if expand else []
    parts += [f"{contract} contract waiting"] if contract else []
    return f"migrations: {', '.join(parts)}" if parts else "no pending migration"


def _data(glance: Glance, status: Status) -> dict[str, object]:
    return {
        "connections": glance.connections,
        "max_connections": glance.room,
        "waiting": glance.waiting,
        "longest_wait_s": round(glance.longest_s, 1),
        "head": status.head,
        "pending": [each.id for each in status.pending],
        "blocking": [each.id for each in status.blocking],
    }
