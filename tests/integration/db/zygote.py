"""Forks a stockctl for each line on standard input: one that can be killed, without its start.

A line is the verb, the socket's folder, the database and the folder of migrations, in JSON.
Answers with the pid of the fork, and then with how it ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from stockctl.core.clock import SystemClock
from stockctl.core.errors import StockctlError
from stockctl.core.progress import Progress, silent
from stockctl.core.secret import Secret
from stockctl.db.ledger import read_status
from stockctl.db.migration import read_migrations
from stockctl.db.plan import plan_migrate, plan_rollback
from stockctl.db.runner import migrate, rollback
from stockctl.system.postgres import ClientTools, Database, Dsn


def work(verb: str, host: str, name: str, folder: str) -> None:
    database = Database(Dsn(host, 5432, "postgres", Secret(""), name), ClientTools())
    files = read_migrations(Path(folder))
    status = read_status(database, files)
    progress = Progress(silent, SystemClock())
    times = {"lock_timeout_s": 5, "statement_timeout_s": 60, "lock_wait_s": 30}
    if verb == "migrate":
        plan = plan_migrate(status, files, to=None, phase=None)
        migrate(database, plan, progress=progress, **times)
    else:
        steps = max(1, len(status.applied))
        back = plan_rollback(status, files, steps=steps, to=None)
        rollback(database, back, progress=progress, allow_data_loss=False, **times)


def tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            work(*json.loads(line))
        except StockctlError as error:
            sys.stderr.write(f"{error}\n{error.details}\n{error.hint}\n")
            os._exit(error.exit_code)
        os._exit(0)
    tell(pid)
    _, status = os.waitpid(pid, 0)
    tell(os.waitstatus_to_exitcode(status))
