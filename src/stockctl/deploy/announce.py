"""Who hears of a backup besides the person: a dead man's switch, and a Prometheus server.

Neither may fail the backup, and neither may hold it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from stockctl.backup.stores.base import Store
from stockctl.core.errors import (
    EndedBySignal,
    Interrupted,
    StockctlError,
    Terminated,
)
from stockctl.core.progress import Progress
from stockctl.core.secret import Secret
from stockctl.env.model import Environment
from stockctl.system.host import Host

PING_S = 10.0
READABLE = 0o644  # node_exporter is somebody else, and there is no secret in it


@contextmanager
def announced(url: Secret | None, progress: Progress) -> Iterator[None]:
    """Pings `/start` before the block and `/<exit code>` after it, as healthchecks.io and those
    that speak like it want it (https://healthchecks.io/docs/http_api/)."""
    _ping(url, "start", progress)
    try:
        yield
    except BaseException as error:
        _ping(url, str(_exit_code(error)), progress)
        raise
    _ping(url, "0", progress)


def write_metrics(
    environment: Environment, store: Store, host: Host, now: datetime, progress: Progress
) -> None:
    """Replaces the file of `backup.metrics`, as a whole: a collector never reads half of it."""
    path = environment.backup.metrics
    if path is None:
        return
    from stockctl.backup.metrics import render
    from stockctl.backup.overview import overview

    try:
        host.write(path, render(overview(store, environment.name), now), READABLE)
    except StockctlError as error:
        progress.warn(f"backup.metrics: {error}")


def _ping(url: Secret | None, tail: str, progress: Progress) -> None:
    if url is None:
        return
    from stockctl.system.notify import Notice, deliver

    address = Secret(f"{url.reveal().rstrip('/')}/{tail}")
    failure = deliver(Notice(address, method="GET"), timeout_s=PING_S)
    if failure:
        progress.warn(f"backup.ping: {failure}")


def _exit_code(error: BaseException) -> int:
    match error:
        case StockctlError():
            return error.exit_code
        case KeyboardInterrupt():
            return Interrupted.exit_code
        case Terminated():
            return EndedBySignal.exit_code
        case _:
            return 1
