"""What is looked at of every https URL, without being declared: the certificate, the redirect."""

from __future__ import annotations

import time
from datetime import datetime
from urllib.parse import urlsplit

from stockctl.core.units import format_duration, format_instant
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.report import Outcome
from stockctl.system.http import Request, send
from stockctl.system.tls import certificate_expires

WARN_S = 14 * 86400.0  # certificates of 90 days are renewed 30 before their end
TIMEOUT_S = 10.0
HTTPS, HTTP = 443, 80
MOVED = (301, 302, 307, 308)


def tls_outcomes(url: str, now: datetime, *, http_port: int = HTTP) -> tuple[Outcome, ...]:
    """Two outcomes for an https URL, else none. The certificate counts as a failure once it does
    not hold; while it only ends soon, and for a redirect that is missing, they are not critical.

    Where the URL names a port, nobody can tell where plain HTTP would be: no redirect is asked.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return ()
    found = [_certificate(parts.hostname, parts.port or HTTPS, now)]
    if parts.port in (None, HTTPS) or http_port != HTTP:
        found.append(_redirect(parts.hostname, http_port))
    return tuple(found)


def _check(name: str, *, critical: bool) -> SmokeCheck:
    return SmokeCheck(name=name, path="/", suite="tls", critical=critical)


def _certificate(host: str, port: int, now: datetime) -> Outcome:
    started = time.monotonic()
    try:
        ends = certificate_expires(host, port, timeout_s=TIMEOUT_S)
    except OSError as error:
        reason = f"the certificate of {host}:{port} does not hold: {error}"
        return Outcome(_check("certificate", critical=True), ok=False, reason=reason)
    left = (ends - now).total_seconds()
    reason = f"ends in {format_duration(left)}, {format_instant(ends)}"
    check = _check("certificate", critical=False)
    return Outcome(check, left > WARN_S, duration_s=time.monotonic() - started, reason=reason)


def _redirect(host: str, port: int) -> Outcome:
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}/" if port == HTTP else f"http://{shown}:{port}/"
    answer = send(Request("GET", url), timeout_s=TIMEOUT_S)
    where = answer.headers.get("location", "")
    ok = answer.status in MOVED and where.startswith("https://")
    came = answer.failure or f"{answer.status} {where}".strip()
    return Outcome(
        _check("redirect to https", critical=False),
        ok,
        status=answer.status or None,
        duration_s=answer.duration_s,
        reason=f"{url} → {came}" if ok else f"{url}: expected a redirect to https, got {came}",
    )
