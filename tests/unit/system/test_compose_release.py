"""A release's own project and the proxy's, cut out of a rendered configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stockctl.core.errors import ConfigurationError
from stockctl.system.compose import Rendered
from stockctl.system.compose_release import beside, proxy, publications, tls_of, volumes, with_tls

PORT = {"mode": "ingress", "host_ip": "127.0.0.1", "target": 5000, "published": "5001"}


def document(**app: Any) -> Rendered:
    service = {
        "image": "sha256:abc",
        "container_name": "fixed",
        "depends_on": {"postgres": {"condition": "service_healthy"}, "worker": {}},
        "labels": {"stockctl.release": "r0007"},
        "networks": {"default": None, "inner": {"aliases": ["a"], "ipv4_address": "10.0.0.9"}},
        "ports": [PORT],
        "volumes": [{"type": "volume", "source": "uploads", "target": "/u"}],
        **app,
    }
    return Rendered(
        {
            "name": "shop-prod",
            "services": {
                "app": service,
                "worker": {"image": "sha256:abc", "networks": {"default": None}},
                "postgres": {"image": "postgres:16", "ports": [{"target": 5432}]},
            },
            "networks": {"default": {"name": "shop-prod_default"}, "inner": {"name": "corp"}},
            "volumes": {"uploads": {"name": "shop-prod_uploads"}, "other": {"name": "x"}},
        }
    )


def cut(rendered: Rendered) -> dict[str, Any]:
    return beside(
        rendered,
        project="shop-prod",
        release_id="r0007",
        services=("app", "worker"),
        web="app",
        port=5000,
        replicas=2,
    ).document


def test_a_release_holds_only_what_is_released() -> None:
    made = cut(document())
    assert made["name"] == "shop-prod-r0007"
    assert set(made["services"]) == {"app", "worker"}
    assert set(made["services"]["app"]["depends_on"]) == {"worker"}


def test_nothing_of_it_can_exist_only_once() -> None:
    app = cut(document())["services"]["app"]
    assert "container_name" not in app
    assert app["networks"]["inner"] == {"aliases": ["a"]}
    assert app["ports"] == [
        {"mode": "ingress", "host_ip": "127.0.0.1", "target": 5000, "protocol": "tcp"}
    ]


def test_networks_and_volumes_are_those_of_the_long_lived_project() -> None:
    made = cut(document())
    assert made["networks"]["default"] == {"name": "shop-prod_default", "external": True}
    assert made["volumes"]["uploads"] == {"name": "shop-prod_uploads", "external": True}
    (volume,) = volumes(document(), "shop-prod", ("app", "worker"))
    assert volume.name == "shop-prod_uploads"
    assert volume.labels["com.docker.compose.volume"] == "uploads"


def test_labels_lead_back_to_the_project() -> None:
    services = cut(document())["services"]
    assert services["app"]["labels"] == {
        "stockctl.release": "r0007",
        "stockctl.project": "shop-prod",
        "stockctl.web": "5000",
    }
    assert services["app"]["scale"] == 2
    assert "stockctl.web" not in services["worker"]["labels"]


def found(rendered: Rendered, *given: str) -> list[tuple[Any, Any, Any]]:
    ports = publications(rendered, services=("app", "worker"), web="app", port=5000, given=given)
    return [(each.get("host_ip"), each["published"], each["target"]) for each in ports]


def test_the_proxy_listens_where_the_service_was_published() -> None:
    assert found(document()) == [("127.0.0.1", "5001", 8080)]
    assert found(document(), "80", "[::1]:81") == [(None, "80", 8080), ("::1", "81", 8080)]


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ({"ports": []}, "publishes no port for 5000"),
        ({"ports": [{"target": 5000}]}, "publishes no port for 5000"),
        ({"ports": [PORT, {"target": 9229, "published": "9229"}]}, "app publishes its port 9229"),
        ({"network_mode": "host"}, 'app has network_mode "host"'),
    ],
)
def test_what_cannot_run_twice_is_refused(app: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        found(document(**app))


def test_the_proxy_is_on_the_networks_of_the_released_services() -> None:
    made = proxy(
        document(),
        project="shop-prod",
        services=("app", "worker"),
        image="haproxy:lts-alpine",
        published=({"target": 8080, "published": "5001"},),
        folder=Path("/srv/proxy/config"),
    ).document
    assert made["networks"] == {
        "default": {"name": "shop-prod_default"},
        "inner": {"name": "corp"},
    }
    service = made["services"]["stockctl-proxy"]
    assert [port["target"] for port in service["ports"]] == [8080, 8404]
    assert service["ports"][1]["host_ip"] == "127.0.0.1"
    assert service["volumes"][0]["read_only"] is True


def test_tls_is_what_the_proxy_was_made_with() -> None:
    made = proxy(
        document(),
        project="shop-prod",
        services=("app",),
        image="haproxy:lts-alpine",
        published=with_tls(("0.0.0.0:5443",)),
        folder=Path("/srv/proxy/config"),
        certificates=Path("/srv/certificates"),
    )
    assert tls_of(made.to_bytes()) == (Path("/srv/certificates"), 5443)
    assert tls_of(b"") is None
