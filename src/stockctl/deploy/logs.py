"""What the containers of a release have written, and what they write."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stockctl.core.errors import HostFailed, StockctlError, UsageError
from stockctl.deploy.site import Site
from stockctl.system.container import Container

LOOK_S = 1.0  # how often `follow` looks for containers that are new


@dataclass(frozen=True, slots=True)
class Said:
    """One line. `at` is RFC 3339; empty while following."""

    container: str
    service: str
    text: str
    at: str = ""


def sources(site: Site, release: str | None, services: Sequence[str]) -> tuple[Container, ...]:
    """The containers that are meant: of a release, else of the live one, else all that there are.

    `services` may be any of the compose project, also long-lived ones. Raises UsageError for a
    service or a release that there is not, HostFailed for one whose containers are gone.
    """
    everything = site.containers()
    if services:
        unknown = set(services) - {c.service for c in everything}
        if unknown:
            known = ", ".join(sorted({c.service for c in everything})) or "no container"
            raise UsageError(f"no service {', '.join(sorted(unknown))}", hint=f"There is: {known}.")
        everything = tuple(c for c in everything if c.service in services)
    else:
        everything = tuple(c for c in everything if c.service in site.service.release)
    wanted = release or _live(site, everything)
    found = tuple(c for c in everything if wanted is None or c.release in (wanted, None))
    if not found and release is not None:
        raise _gone(site, release)
    return found


def _live(site: Site, containers: Sequence[Container]) -> str | None:
    """None where the live one has no container: then whatever is there is of interest."""
    live = site.releases.live()
    has = live is not None and any(c.release == live.id for c in containers)
    return live.id if live is not None and has else None


def _gone(site: Site, release: str) -> StockctlError:
    known = site.releases.ids()
    if release not in known:
        return UsageError(f"no release {release}", hint=f"There are: {', '.join(known) or 'none'}.")
    return HostFailed(
        f"no container of {release} is left, and its log went with it",
        hint=f"stockctl deploy history {site.environment.name} --release {release}",
    )


def read(site: Site, containers: Sequence[Container], lines: int) -> list[Said]:
    """The last lines of each, in the order in which the engine got them."""
    said = [
        Said(container.name, container.service, line.text, line.at)
        for container in containers
        for line in site.engine.log(container.id, lines)
    ]
    return sorted(said, key=lambda each: each.at)


def follow(site: Site, release: str | None, services: Sequence[str], lines: int) -> Iterator[Said]:
    """The last lines, and what comes. Without a release it goes on with the next one after a
    deploy; with one it ends when its containers have."""
    heard: queue.SimpleQueue[Said] = queue.SimpleQueue()
    readers: dict[str, threading.Thread] = {}
    while True:
        for container in _sources_now(site, release, services):
            if container.id not in readers:
                arguments = (site, container, lines, heard)
                reader = threading.Thread(target=_listen, args=arguments, daemon=True)
                readers[container.id] = reader
                reader.start()
        deadline = site.clock.monotonic() + LOOK_S
        while (left_s := deadline - site.clock.monotonic()) > 0:
            try:
                yield heard.get(timeout=left_s)
            except queue.Empty:
                break
        if release is not None and not any(each.is_alive() for each in readers.values()):
            while not heard.empty():
                yield heard.get()
            return


def _sources_now(site: Site, release: str | None, services: Sequence[str]) -> Sequence[Container]:
    """In the middle of a deploy there may be none for a moment."""
    try:
        return sources(site, release, services)
    except (UsageError, HostFailed):
        return ()


def _listen(site: Site, container: Container, lines: int, heard: queue.SimpleQueue[Said]) -> None:
    try:
        for text in site.engine.follow(container.id, lines):
            heard.put(Said(container.name, container.service, text))
    except StockctlError as error:  # it was removed, or the engine went away
        heard.put(Said(container.name, container.service, f"(no more of it: {error})"))
