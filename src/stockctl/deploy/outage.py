"""For how long nobody answers, measured from outside."""

from __future__ import annotations

import threading

from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.system.http import Request, send

AWAY_S = 0.02  # between two questions while nobody answers
THERE_S = 0.1  # and while somebody does: who is unhealthy may log each of them
ANSWER_S = 1.0
BEYOND_S = 120.0  # until an answer; then there is none


class Probe:
    """Asks all the time while the block runs, and measures for how long nobody answered: `gap_s`,
    from the last answer to the next, so that it is rather too long than too short."""

    def __init__(self, site: Site, release: Release) -> None:
        self._site = site
        self._url = site.reached(release.url.rstrip("/") + release.health)
        self._over = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.gap_s = 0.0

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def until_answered(self) -> None:
        """Waits for an answer to a request that begins from now on."""
        self._answered.clear()
        self._answered.wait(BEYOND_S)

    def _ask(self) -> None:
        clock = self._site.clock
        there, missed = clock.monotonic(), False
        while not self._over.is_set():
            began = clock.monotonic()
            if send(Request("GET", self._url), timeout_s=ANSWER_S).status:
                if missed:
                    self.gap_s += clock.monotonic() - there
                there, missed = began, False
                self._answered.set()
            else:
                missed = True
            self._over.wait(AWAY_S if missed else THERE_S)
