"""Gates on migrations and on the database server."""

from __future__ import annotations

from stockctl.core.errors import DatabaseUnreachable
from stockctl.core.report import Severity
from stockctl.core.units import counted
from stockctl.db.inspect.glance import read_glance
from stockctl.db.ledger import read_status
from stockctl.db.lint.run import lint
from stockctl.deploy.gates import migrations_of
from stockctl.deploy.preflight.gate import Gate, Preflight
from stockctl.system.postgres import errors


def migrations(preflight: Preflight) -> Gate:
    """Where the database does not run, the deploy starts it, and looks again before it migrates."""
    site = preflight.site
    if site.database is None:
        return Gate("migrations", True, "no database")
    try:
        status = read_status(site.database, migrations_of(site))
    except DatabaseUnreachable:
        return Gate("migrations", True, "the database does not run: asked once it does")
    if not status.blocking:
        return Gate("migrations", True, f"{len(status.pending)} pending, none dirty or changed")
    said = ", ".join(f"{each.id} {each.state.value.replace('_', ' ')}" for each in status.blocking)
    return Gate("migrations", False, said, fix=f"stockctl db status {preflight.name}")


def linted(preflight: Preflight) -> Gate:
    """Errors are red; warnings are told."""
    settings = preflight.site.environment.database
    if settings is None or settings.migrations is None:
        return Gate("lint", True, "no migrations")
    found = lint(settings.migrations, preflight.here)
    wrong = [each for each in found.findings if each.severity is Severity.ERROR]
    if not wrong:
        warnings = sum(each.severity is Severity.WARNING for each in found.findings)
        return Gate(
            "lint",
            True,
            f"{counted(found.migrations, 'migration')}, {counted(warnings, 'warning')}",
        )
    said = f"{counted(len(wrong), 'error')}, the first {wrong[0].code}: {wrong[0].message}"
    return Gate("lint", False, said, fix=f"stockctl db lint {preflight.name}")


def connections(preflight: Preflight) -> Gate:
    """Two releases at once need room."""
    site, most = preflight.site, preflight.settings.connections_used_at_most
    assert most is not None
    if site.database is None:
        return Gate("connections", True, "no database")
    with site.database.connect() as connection, errors(f"ask {site.database.dsn}"):
        glance = read_glance(connection)
    share = 100 * glance.connections / glance.room
    said = f"{glance.connections} of {glance.room} taken, {share:.0f} %, at most {most} %"
    fix = f"stockctl db inspect {preflight.name} --connections"
    return Gate("connections", share <= most, said, fix=fix)
