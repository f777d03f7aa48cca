"""Gates on the host: disk, certificate."""

from __future__ import annotations

from urllib.parse import urlsplit

from stockctl.core.units import format_duration, format_size
from stockctl.deploy.preflight.gate import Gate, Preflight
from stockctl.system.disk import usage
from stockctl.system.tls import certificate_expires

TIMEOUT_S = 10.0
HTTPS = 443


def disk(preflight: Preflight) -> Gate:
    """Images, a backup and the log of a migration need room."""
    most = preflight.settings.disk_used_at_most
    assert most is not None
    found = usage(preflight.site.host, preflight.site.directory)
    share = 100 * (1 - found.free / found.total)
    said = f"{share:.0f} % used, at most {most} %; {format_size(found.free)} free"
    return Gate("disk", share <= most, said, fix=f"stockctl backup prune {preflight.name} --plan")


def certificate(preflight: Preflight) -> Gate:
    """Of `service.url`, where it is https."""
    need = preflight.settings.certificate_valid_for
    assert need is not None
    parts = urlsplit(preflight.site.service.url)
    if parts.scheme != "https" or not parts.hostname:
        return Gate("certificate", True, "service.url is not https")
    try:
        ends = certificate_expires(parts.hostname, parts.port or HTTPS, timeout_s=TIMEOUT_S)
    except OSError as error:
        said = f"the certificate of {parts.hostname} does not hold: {error}"
        return Gate("certificate", False, said, fix="Renew it.")
    left = (ends - preflight.site.clock.now()).total_seconds()
    said = f"holds for {format_duration(left)}, needs {format_duration(need)}"
    return Gate("certificate", left >= need, said, ends, "Renew it.")
