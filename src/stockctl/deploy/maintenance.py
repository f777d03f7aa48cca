"""`deploy maintenance`: the proxy answers everybody with 503 and a page; the health check goes on.

<directory>/maintenance.json              who, since when, for how long; on while it is there
<directory>/proxy/config/maintenance.html   the page
"""

from __future__ import annotations

import hashlib
import html
import json

from stockctl.core.errors import Refused, Unhealthy
from stockctl.core.units import format_instant
from stockctl.deploy import beside
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.deploy.standing import serving
from stockctl.deploy.traffic import Traffic
from stockctl.system.haproxy import PAGE, Route
from stockctl.system.host import content
from stockctl.system.journal_file import operator

LARGEST_PAGE = 14_000  # bytes; HAProxy's answer has to fit into one buffer (tune.bufsize, 16 kB)
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 1.2em/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 32em;
padding: 0 1em }}</style>
<h1>{title}</h1>
<p>{message}</p>
</html>
"""


def page(message: str) -> bytes:
    """A plain page; the message is text."""
    text = html.escape(message)
    return _PAGE.format(title="Back in a moment", message=text).encode()


def is_on(site: Site, body: bytes = b"") -> bool:
    """For a plan: looks, changes nothing. Raises Refused where switching would."""
    _require_possible(site, body)
    return _noted(site) is not None


def switch_on(site: Site, body: bytes, retry_after_s: float) -> None:
    """From the next request on. Raises Refused, Locked, ToolFailed; then it is as before."""
    release = _require_possible(site, body)
    digest = hashlib.sha256(body).hexdigest()[:12]
    said = {
        "who": operator(),
        "since": format_instant(site.clock.now()),
        "retry_after_s": round(retry_after_s),
        "page": digest,
    }
    traffic = Traffic(site)
    with site.journal.alone(site.lock_file, "deploy maintenance --on"):  # also while frozen
        site.host.write(traffic.folder / "config" / PAGE, body, 0o644)
        before = _noted(site)
        site.host.write(site.maintenance_file, json.dumps(said).encode() + b"\n")
        try:
            _apply(site, release)
        except BaseException:
            _put_back(site, before)
            raise


def switch_off(site: Site) -> bool:
    """False where it was not on."""
    release = _require_possible(site)
    with site.journal.alone(site.lock_file, "deploy maintenance --off"):
        before = _noted(site)
        if before is None:
            return False
        site.host.remove(site.maintenance_file)
        try:
            _apply(site, release)
        except BaseException:
            _put_back(site, before)
            raise
    return True


def _require_possible(site: Site, body: bytes = b"") -> Release:
    if len(body) > LARGEST_PAGE:
        raise Refused(f"the page has {len(body)} bytes; at most {LARGEST_PAGE} fit in an answer")
    if not site.rolling:
        raise Refused(
            f"{site.environment.name} has no proxy that could answer",
            hint='Maintenance needs deploy.strategy = "rolling".',
        )
    release = serving(site) or site.releases.live()
    if release is None:
        raise Refused(f"nothing was deployed to {site.environment.name} yet")
    return release


def _noted(site: Site) -> bytes | None:
    return content(site.host, site.maintenance_file)


def _put_back(site: Site, before: bytes | None) -> None:
    if before is None:
        site.host.remove(site.maintenance_file)
    else:
        site.host.write(site.maintenance_file, before)


def _apply(site: Site, release: Release) -> None:
    """The same routes, with or without the page. A release that is down is no reason not to say
    so: then there is nobody to send the health check to."""
    try:
        routes: tuple[Route, ...] = (beside.route(site, release),)
    except Unhealthy:
        routes = ()
    Traffic(site).route(routes, release.health)
