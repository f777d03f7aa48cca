"""What an environment needs from this machine, looked at piece by piece."""

from __future__ import annotations

from collections.abc import Callable

from stockctl.backup.clients import hole, matching, version
from stockctl.backup.stores.base import Store
from stockctl.core.clock import SystemClock
from stockctl.core.errors import DatabaseUnreachable, HostFailed, StockctlError, StoreFailed
from stockctl.core.hint import WRITABLE
from stockctl.core.report import Check, Report
from stockctl.core.units import counted, format_duration, format_size
from stockctl.deploy.gates import engine_ready, migrations_of, rendered_configuration
from stockctl.deploy.preflight.gate import SKEW_S
from stockctl.deploy.site import Site
from stockctl.system import compose
from stockctl.system.clients_here import client_host
from stockctl.system.disk import usage
from stockctl.system.host_clock import ahead_s

FREE_AT_LEAST_BYTES = 1_000_000_000
TOOL_S = 60.0


def examine(site: Site, store: Callable[[], Store], embedded: Check | None) -> Report:
    """Every check, also after one failed. `embedded` comes from whoever started that server."""
    checks = [_ask("folder", lambda: _folder(site)), _ask("disk", lambda: _disk(site))]
    if site.remote:
        checks.append(_ask("clock", lambda: _clock(site)))
    if site.environment.service is not None:
        checks.append(_ask("engine", lambda: f"Docker {site.engine.version()}"))
        checks.append(_ask("compose", lambda: _compose(site)))
        checks.append(_ask("compose files", lambda: _configuration(site)))
    checks += _served(site, embedded)
    if site.environment.database is not None and site.environment.database.migrations:
        checks.append(_ask("migrations", lambda: counted(len(migrations_of(site)), "file")))
    checks.append(_ask("backup store", lambda: _store(site, store())))
    return Report(tuple(checks))


def examine_for_backup(site: Site, store: Callable[[], Store], embedded: Check | None) -> Report:
    """Of those, what `backup create` works with."""
    folder = _ask("folder", lambda: _folder(site))
    lying = _ask("backup store", lambda: _store(site, store()))
    return Report((folder, *_served(site, embedded), lying))


def _served(site: Site, embedded: Check | None) -> tuple[Check, ...]:
    if embedded is not None:
        return (embedded,)
    return () if site.database is None else (_ask("database", lambda: _database(site)),)


def _ask(name: str, question: Callable[[], str]) -> Check:
    try:
        return Check(name, True, question())
    except StockctlError as error:
        detail = "\n".join(filter(None, (str(error), error.details)))
        hint = error.hint.replace("stockctl doctor ENV", "").strip()  # people are here already
        return Check(name, False, detail, hint)


def _folder(site: Site) -> str:
    probe = site.directory / ".doctor"
    try:
        site.host.write(probe, b"")
        site.host.remove(probe)
    except HostFailed as error:
        error.hint = error.hint or WRITABLE
        raise
    return f"{site.directory} can be written"


def _disk(site: Site) -> str:
    free = usage(site.host, site.directory).free
    if free < FREE_AT_LEAST_BYTES:
        raise HostFailed(
            f"only {format_size(free)} free", hint="Make room: images and backups need it."
        )
    return f"{format_size(free)} free"


def _clock(site: Site) -> str:
    """Records go by the host's; a store, certificates and people do not know of it."""
    ahead = ahead_s(site.host, SystemClock())
    if abs(ahead) <= SKEW_S:
        return f"{site.host.name} has the same time"
    word = "ahead of" if ahead > 0 else "behind"
    raise HostFailed(
        f"the clock of {site.host.name} is {format_duration(abs(ahead))} {word} this machine's",
        hint="One of the two is wrong: timedatectl, on both.",
    )


def _compose(site: Site) -> str:
    engine_ready(site)
    return f"Compose {site.host.run(compose.version(), timeout_s=TOOL_S).stdout.strip()}"


def _configuration(site: Site) -> str:
    return f"services: {', '.join(rendered_configuration(site).services)}"


def _database(site: Site) -> str:
    assert site.database is not None
    try:
        with site.database.connect() as connection:
            server = connection.info.server_version // 10000
    except DatabaseUnreachable:
        if site.environment.service is None or site.releases.live() is not None:
            raise
        return "does not run yet: the first deploy starts its service"
    where = client_host(site.host, site.database)
    database = matching(where, site.database, "pg_dump", server)
    said = version(where, database, "pg_dump")
    unsafe = hole(said)
    return f"Postgres {server}; {said}" + (f"\nwarning: {unsafe}" if unsafe else "")


def _store(site: Site, store: Store) -> str:
    try:
        return f"{store.describe()}: {counted(len(store.names()), 'object')}"
    except StoreFailed as error:
        folder_missing = isinstance(error.__cause__, FileNotFoundError)
        if not folder_missing or site.releases.live() is not None:
            raise
        return f"{store.describe()}: not there yet, the first backup makes it"
