"""`stockctl db drift`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.db import app
from stockctl.cli.db_prove import Embedded, own_server
from stockctl.cli.schema_view import as_data, blocks, side
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment

if TYPE_CHECKING:
    from stockctl.db.drift import Drift
    from stockctl.system.postgres import Database

_WORDS = {
    "extra": "only in the live database",
    "missing": "missing there",
    "changed": "not as the migrations make it",
}


@verb(
    app,
    "drift",
    example="stockctl db drift prod --exit-code"
    "\nstockctl db drift prod --ignore 'extension pg_stat_statements'",
    exits=(3, 4, 6, 7, 10),
)
def drift(
    session: Session,
    name: str,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 10 where there is a difference.")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="OBJECT", help="As it is shown; * stands for anything."),
    ] = None,
    embedded: Embedded = False,
) -> Result:
    """Compares the live schema with what its applied migrations give on a scratch database.

    Finds what somebody changed by hand. In the difference, - is missing in the live database, + is
    only there. Writes nothing to it: a role that may connect is enough, and CREATEDB for the
    scratch database.
    """
    from stockctl.db.drift import find_drift
    from stockctl.db.scratch import scratch
    from stockctl.db.session import Limits

    opened = open_environment(session, name)
    migrations, progress = opened.migrations(), session.progress()
    limits = Limits(0, opened.database_settings().statement_timeout)

    def look(live: Database, server: Database) -> Drift:
        with scratch(server, "db drift", progress) as made:
            chosen, shared = ignore or (), not embedded
            return find_drift(
                live, made, migrations, limits, progress, ignore=chosen, shared=shared
            )

    with opened.database() as live:
        if embedded:
            with own_server(session) as server:
                found = look(live, server)
        else:
            found = look(live, live)
    return _tell(session, opened, found, exit_code=exit_code)


def _tell(session: Session, opened: Opened, found: Drift, *, exit_code: bool) -> Result:
    output = session.output
    output.lines(blocks(found.differences, output.clean))
    many = Counter(map(side, found.differences))
    said = ", ".join(f"{many[each]} {words}" for each, words in _WORDS.items() if many[each])
    what = f"{opened.environment.name} at {found.head or 'no migration'}"
    ignored = f" ({len(found.ignored)} ignored)" if found.ignored else ""
    end = said or "as its migrations make it"
    output.line(f"{what}: {end}{ignored}", style="bold red" if found.differences else "green")
    data = {
        "head": found.head,
        "migrations": found.migrations,
        "differences": as_data(found.differences),
        "ignored": as_data(found.ignored),
    }
    return Result(data, exit_code=10 if exit_code and found.differences else 0)
