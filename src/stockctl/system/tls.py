"""The certificate of a server."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime


def certificate_expires(host: str, port: int, *, timeout_s: float) -> datetime:
    """When the certificate that `host` shows ends; it is verified as for any request. Raises
    OSError, of which ssl.SSLError is one, where it does not hold or nobody answers."""
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        shown = secured.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
