"""What an engine says of a pull that did not work, and what a person is told."""

from __future__ import annotations

import pytest

from stockctl.core.command import Completed
from stockctl.deploy.image import version_in
from stockctl.deploy.pull import explained, registry_of
from stockctl.system import compose

IMAGE = "registry.example.com/shop:9"
DIGEST = "sha256:" + "ab" * 32


def ended(stderr: str) -> Completed:
    return Completed(compose.pull(IMAGE), 1, "", stderr, 0.1)


@pytest.mark.parametrize(
    ("stderr", "cause", "hint"),
    [
        (
            f"Error response from daemon: manifest for {IMAGE} not found: manifest unknown:"
            " manifest unknown\n",
            "registry.example.com does not have it",
            f"There is no {IMAGE} yet.",
        ),
        (
            f"failed to resolve reference: {IMAGE}: not found\n",
            "registry.example.com does not have it",
            "was it pushed?",
        ),
        (
            'Error response from daemon: Head "https://registry.example.com/v2/shop/manifests/9":'
            " no basic auth credentials\n",
            "does not let us have it",
            "On deploy@prod, as the user who deploys: docker login registry.example.com\n",
        ),
        (
            'Error response from daemon: Get "https://registry.example.com/v2/": unauthorized:'
            " authentication required\n",
            "does not let us have it",
            "docker login registry.example.com",
        ),
        (
            'Error response from daemon: Get "https://registry.example.com/v2/": dial tcp'
            " 192.0.2.1:443: connect: connection refused\n",
            "registry.example.com does not answer",
            "does deploy@prod reach it?",
        ),
        (
            'Error response from daemon: Get "https://registry.example.com/v2/": dial tcp: lookup'
            " registry.example.com: no such host\n",
            "does not answer",
            "The same command again is safe.",
        ),
        (
            'Error response from daemon: Get "https://registry.example.com/v2/": http: server gave'
            " HTTP response to HTTPS client\n",
            "speaks plain HTTP",
            "insecure-registries",
        ),
        (
            'Error response from daemon: Get "https://registry.example.com/v2/": x509: certificate'
            " signed by unknown authority\n",
            "does not trust the certificate",
            "/etc/docker/certs.d/registry.example.com/ca.crt",
        ),
        (
            "Error response from daemon: toomanyrequests: You have reached your pull rate limit.\n",
            "no more for now",
            "Wait, or log in",
        ),
        (
            "no matching manifest for linux/arm64/v8 in the manifest list entries\n",
            "for other processors only",
            "Build and push it for those of deploy@prod",
        ),
        (
            "failed to register layer: write /usr/lib/a: no space left on device\n",
            "its disk is full",
            "Make room on deploy@prod",
        ),
        ("something new\n", "docker says why", f"Try it on deploy@prod: docker pull {IMAGE}"),
    ],
)
def test_each_cause_has_a_next_step(stderr: str, cause: str, hint: str) -> None:
    error = explained(IMAGE, "deploy@prod", ended(stderr), remote=True)
    assert error.exit_code == 6
    assert error.message.startswith(f"{IMAGE} cannot be pulled on deploy@prod: ")
    assert cause in error.message
    assert hint in error.hint
    assert error.details == f"$ docker pull {IMAGE}\n{stderr}".rstrip()


def test_only_another_machine_is_sent_what_is_here() -> None:
    refused = ended("dial tcp: connect: connection refused\n")
    assert "docker pull" in explained(IMAGE, "prod", refused, remote=True).hint
    assert "docker pull" not in explained(IMAGE, "this machine", refused, remote=False).hint


def test_docker_s_own_registry_is_not_named_to_docker_login() -> None:
    said = "pull access denied for shop, repository does not exist or may require 'docker login'"
    error = explained("shop:9", "this machine", ended(said), remote=False)
    assert "docker.io does not let us have it" in error.message
    assert error.hint.endswith("docker login\nIs the name right?")


@pytest.mark.parametrize(
    ("reference", "registry", "version"),
    [
        ("shop", "docker.io", "latest"),
        ("shop:1.4", "docker.io", "1.4"),
        ("ada/shop:1.4", "docker.io", "1.4"),
        ("localhost/shop", "localhost", "latest"),
        ("127.0.0.1:5000/shop", "127.0.0.1:5000", "latest"),
        ("127.0.0.1:5000/a/shop:1.4", "127.0.0.1:5000", "1.4"),
        (f"example.com/shop@{DIGEST}", "example.com", "abababababab"),
        (f"example.com/shop:1.4@{DIGEST}", "example.com", "1.4"),
    ],
)
def test_a_reference_is_read(reference: str, registry: str, version: str) -> None:
    assert (registry_of(reference), version_in(reference)) == (registry, version)
