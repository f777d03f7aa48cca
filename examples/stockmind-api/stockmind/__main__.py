"""`python3 -m stockmind`: check the environment, serve until SIGTERM."""

import asyncio
import logging
import os
import signal
import sys
import time
from types import FrameType

import uvicorn

from stockmind.app import build_app
from stockmind.logs import configure_logging
from stockmind.settings import Settings, SettingsError, load_settings

log = logging.getLogger("stockmind")

EXIT_FAILED = 1
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h
# Longer than a proxy keeps idle connections, so that the proxy is the one who closes them.
KEEP_ALIVE_S = 65


class Server(uvicorn.Server):
    """Finishes what it holds on SIGTERM, but not for longer than it was given."""

    def __init__(self, config: uvicorn.Config, shutdown_timeout_s: int) -> None:
        super().__init__(config)
        self._shutdown_timeout_s = shutdown_timeout_s

    def handle_exit(self, sig: signal.Signals, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        asyncio.get_running_loop().call_later(self._shutdown_timeout_s, self._give_up)

    def _give_up(self) -> None:
        log.warning("requests still open after the shutdown timeout")
        self.force_exit = True


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # As process 1 of a container there is no default action for SIGTERM: without this,
    # a stop during the start would wait for the kill.
    sys.exit(0)


def _settings() -> Settings:
    try:
        return load_settings(os.environ)
    except SettingsError as error:
        configure_logging("info")
        log.error("environment refused", extra={"fields": {"problems": error.problems}})
        sys.exit(EXIT_CONFIG)


def main() -> None:
    signal.signal(signal.SIGTERM, _leave)
    settings = _settings()
    configure_logging(settings.log_level, settings.secrets)
    log.info("starting", extra={"fields": {"version": settings.version, "port": settings.port}})
    if settings.faults.crash:
        log.error("crashing because FAULT_CRASH is set")
        sys.exit(EXIT_FAILED)
    time.sleep(settings.faults.start_delay_s)
    config = uvicorn.Config(
        build_app(settings),
        host="0.0.0.0",
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_S,
        forwarded_allow_ips=settings.trusted_proxies,
    )
    Server(config, settings.shutdown_timeout_s).run()
    log.info("stopped")


if __name__ == "__main__":
    main()
