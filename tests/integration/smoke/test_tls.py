"""The certificate and the redirect of an https URL, with certificates made for the test."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.answering import Quiet, serving
from tests.conftest import FakeClock, Recorder
from tests.unit.deploy.preflight.conftest import gate, maker

from stockctl.smoke.tls import tls_outcomes


class Handler(Quiet, BaseHTTPRequestHandler):
    """On plain HTTP it redirects where `Server.to` says; on TLS it is never asked anything."""

    def do_GET(self) -> None:
        to = self.server.to  # type: ignore[attr-defined]
        self.send_response(308 if to else 200)
        if to:
            self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    to = ""

    def handle_error(self, *_arguments: object) -> None:
        """A client that refuses the certificate."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Self-signed, for localhost, good for 30 days."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "30", "-subj", "/CN=localhost", "-keyout", str(key)]
    argv += ["-addext", "subjectAltName=DNS:localhost", "-out", str(cert)]
    subprocess.run(argv, check=True, capture_output=True)
    return key, cert


@pytest.fixture
def secured(certificate: tuple[Path, Path]) -> Iterator[Server]:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield server


@pytest.fixture
def plain() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    with serving(server):
        yield server


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("later", "ok", "said"),
    [(timedelta(hours=1), True, "ends in 29d"), (timedelta(days=20, hours=1), False, "ends in 9d")],
)
def test_a_certificate_is_good_until_it_ends_soon(
    secured: Server,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    later: timedelta,
    ok: bool,
    said: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))  # as a machine trusts its authority
    (found,) = tls_outcomes(f"https://localhost:{secured.server_port}", NOW + later)
    assert (found.ok, found.check.critical) == (ok, False)
    assert found.detail.startswith(said)


def test_a_certificate_that_nobody_vouches_for_is_a_failure(secured: Server) -> None:
    (found,) = tls_outcomes(f"https://localhost:{secured.server_port}", NOW)
    assert (found.ok, found.check.critical) == (False, True)
    assert "does not hold" in found.detail


def test_the_gate_wants_it_to_hold_for_a_while(
    secured: Server,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    recorder: Recorder,
) -> None:
    url = f"https://localhost:{secured.server_port}"
    made = maker(tmp_path, FakeClock(NOW), recorder, url)
    red = gate(made(certificate_valid_for="14d"), "certificate")
    assert (red.ok, red.fix) == (False, "Renew it.")  # nobody vouches for it
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    assert gate(made(certificate_valid_for="14d"), "certificate").ok
    red = gate(made(certificate_valid_for="31d"), "certificate")
    assert (red.ok, red.detail.endswith(", needs 31d 0h")) == (False, True), red


@pytest.mark.parametrize(
    ("to", "ok"),
    [("https://localhost/", True), ("http://localhost/other", False), ("", False)],
)
def test_plain_http_must_lead_to_https(secured: Server, plain: Server, to: str, ok: bool) -> None:
    plain.to = to
    url = f"https://localhost:{secured.server_port}"
    redirect = tls_outcomes(url, NOW, http_port=plain.server_port)[1]
    assert redirect.ok == ok
    assert ("expected a redirect to https" in redirect.detail) != ok


def test_nothing_is_asked_of_a_plain_url() -> None:
    assert tls_outcomes("http://127.0.0.1:1", NOW) == ()
