"""Requests all the time, in three kinds or four, and a count of those that failed.

    with Load("http://127.0.0.1:5001") as load:
        ...
    assert load.failed == []

`keep-alive`: one connection for many requests; `none`: a connection for each; `slow`: requests that
take a while; `post`, where a test asks for it: requests that nobody may send twice. Failed is
whatever is not a 200 with a whole body. A connection that the server closed while it was idle is no
failure, as it is none for any HTTP client.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

PAUSE_S = 0.015  # between the requests of one client: a load, not a flood
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """One request: when it began and ended, and which version answered, or why it failed."""

    kind: str
    began: float
    ended: float
    version: str
    failure: str = ""


class Load:
    """Three kinds of clients against one address, from enter to exit."""

    def __init__(
        self, url: str, *, clients: int = 2, slow_s: float = 1.0, posting: int = 0
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._over = threading.Event()
        self.answers: list[Answer] = []
        jobs = [("keep-alive", "/"), ("none", "/")] * clients + [("slow", f"/slow?s={slow_s}")] * 2
        jobs += [("post", "/")] * posting
        self._threads = [threading.Thread(target=self._client, args=job) for job in jobs]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> list[str]:
        """Why, each with its kind; empty when every request was answered."""
        return [f"{each.kind}: {each.failure}" for each in self.answers if each.failure]

    @property
    def versions(self) -> Counter[str]:
        """How many answers each version gave."""
        return Counter(each.version for each in self.answers if not each.failure)

    def last(self, version: str) -> float:
        """When the last answer of that version came (`time.monotonic`)."""
        return max(each.ended for each in self.answers if each.version == version)

    def _client(self, kind: str, path: str) -> None:
        connection = self._connect()
        while not self._over.is_set():
            began = time.monotonic()
            try:
                version, closes = self._ask(connection, path, kind)
                answer = Answer(kind, began, time.monotonic(), version)
            except (OSError, http.client.HTTPException) as error:
                answer = Answer(
                    kind, began, time.monotonic(), "", f"{type(error).__name__} {error}"
                )
                closes = True
            self.answers.append(answer)
            if closes or kind == "none":
                connection.close()
                connection = self._connect()
            self._over.wait(PAUSE_S)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)

    @staticmethod
    def _ask(connection: http.client.HTTPConnection, path: str, kind: str) -> tuple[str, bool]:
        headers = {"Connection": "close"} if kind == "none" else {}
        if kind == "post":
            connection.request("POST", path, b"once", headers)
        else:
            connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace").strip()
        if answer.status != 200:
            raise http.client.HTTPException(f"{answer.status} {body[:80]}")
        return body, answer.will_close
