"""A stockctl that is killed: runs a verb of backup and sends itself SIGKILL at an event.

Arguments: the socket's folder, user, database, the tools' folder, store, directory, verb, event.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from stockctl.backup.catalog import list_backups
from stockctl.backup.create import CreateOptions, create
from stockctl.backup.prune import prune
from stockctl.backup.restore import restore
from stockctl.backup.restore_plan import plan_restore
from stockctl.backup.retention import Policy, plan_prune
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.undo import plan_undo, undo
from stockctl.backup.verify import peek
from stockctl.core.clock import SystemClock
from stockctl.core.progress import Event, Progress
from stockctl.core.secret import Secret
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost
from stockctl.system.postgres import ClientTools, Database, Dsn

folder, user, name, tools, store_path, directory, verb, event_name = sys.argv[1:]
database = Database(Dsn(folder, 5432, user, Secret(""), name), ClientTools(folder=Path(tools)))
store = DirectoryStore(Path(store_path))
clock = SystemClock()
holder = Holder("victim", verb, clock.now())


def deadly(event: Event) -> None:
    text = f"{type(event).__name__} {getattr(event, 'name', '')}".strip()
    if text == event_name:
        os.kill(os.getpid(), signal.SIGKILL)


progress = Progress(deadly, clock)
if verb == "create":
    create(
        database,
        store,
        CreateOptions("prod", holder),
        host=LocalHost(),
        directory=Path(directory),
        progress=progress,
        clock=clock,
    )
elif verb == "undo":
    undo(
        plan_undo(database, "prod", datetime.now(UTC)),
        database,
        store,
        host=LocalHost(),
        directory=Path(directory),
        lock_holder=holder,
        progress=progress,
        clock=clock,
    )
elif verb == "prune":
    found = list_backups(store, "prod")
    prune(
        plan_prune(found.backups, Policy(last=2), datetime.now(UTC), found.checks),
        store,
        host=LocalHost(),
        directory=Path(directory),
        lock_holder=holder,
        progress=progress,
    )
else:
    backup = list_backups(store, "prod").backups[0]
    restore(
        plan_restore(
            backup,
            database,
            datetime.now(UTC),
            contents=peek(backup, store, None),
            host=LocalHost(),
            directory=Path(directory),
        ),
        database,
        store,
        identity_file=None,
        host=LocalHost(),
        directory=Path(directory),
        lock_holder=holder,
        progress=progress,
        clock=clock,
    )
sys.exit("survived")
