"""Takes names from the list `jobs` in Redis and counts the letters of each, into `done`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import redis

PATIENCE_S = 1


def main() -> None:
    leaving = False

    def leave(_number: int, _frame: FrameType | None) -> None:
        nonlocal leaving
        leaving = True

    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        signal.signal(number, leave)
    store = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    version = os.environ.get("VERSION", "dev")
    say(f"worker {version} is ready")
    while not leaving:
        job = store.blpop("jobs", timeout=PATIENCE_S)
        if job is not None:
            name = str(job[1])
            store.hset("done", name, f"{len(name)} by {version}")
            say(f"done: {name}")
    say(f"worker {version} leaves")


def say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
