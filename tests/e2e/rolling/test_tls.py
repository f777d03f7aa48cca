"""TLS in the proxy: certificates from a folder, plain HTTP redirected, new ones loaded."""

from __future__ import annotations

import http.client
import ssl
import subprocess
from pathlib import Path

from tests.e2e.rolling.conftest import Shop
from tests.ports import free_port


def certificate(folder: Path, name: str) -> None:
    """A self-signed one, with its key in the same file."""
    key, crt = folder.parent / "key.pem", folder.parent / "crt.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(crt)]
    subprocess.run(argv, check=True, capture_output=True)
    (folder / "site.pem").write_bytes(crt.read_bytes() + key.read_bytes())
    (folder / "site.pem").chmod(0o600)


def served(port: int) -> bytes:
    """The certificate that a client is shown."""
    return ssl.get_server_certificate(("127.0.0.1", port)).encode()


def test_certificates_redirect_and_hsts(shop: Shop) -> None:
    shop.deployed("v0")
    folder = shop.root / "environments" / "certificates"
    folder.mkdir()
    certificate(folder, "first")
    port = free_port()
    toml = shop.root / "environments" / "staging.toml"
    keys = f'[proxy]\ncertificates = "certificates"\nhttps = ["127.0.0.1:{port}"]\n'
    toml.write_text(toml.read_text().replace("[proxy]\n", keys))
    assert shop.back("--to", "r0001").code == 4  # it is not in the proxy's way that TLS is to come
    assert shop.to("v1").code == 0

    plain = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=10)
    plain.request("GET", "/a?b=c")
    answer = plain.getresponse()
    assert answer.status == 308
    assert answer.getheader("Location") == f"https://127.0.0.1:{port}/a?b=c"
    plain.close()

    context = ssl._create_unverified_context()
    secure = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    secure.request("GET", "/")
    answer = secure.getresponse()
    assert answer.read() == b"v1\n"
    assert answer.getheader("Strict-Transport-Security") == "max-age=31536000"
    secure.close()

    before = served(port)
    certificate(folder, "second")
    assert shop.run("deploy", "tidy", "staging").code == 0
    assert served(port) != before
