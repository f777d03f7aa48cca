"""A release as a compose project of its own, and the proxy's place in the long-lived project.

Both are cut out of the rendered configuration by pure functions. A release's project holds only
the services that a release replaces; networks and volumes are those of the long-lived project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockctl.core.errors import ConfigurationError
from stockctl.system import haproxy
from stockctl.system.compose import PROJECT_LABEL, WEB_LABEL, Rendered

PROXY = "stockctl-proxy"
Publication = dict[str, Any]  # one entry of a service's `ports`, in the long form

_NOT_SHARED = ("container_name", "depends_on", "links", "build")  # two releases run at once
_NOT_TWICE = ("ipv4_address", "ipv6_address", "mac_address", "link_local_ips")


def project_of(project: str, release_id: str) -> str:
    """The compose project of one release."""
    return f"{project}-{release_id}"


def beside(
    rendered: Rendered,
    *,
    project: str,
    release_id: str,
    services: Sequence[str],
    web: str,
    port: int,
    replicas: int,
) -> Rendered:
    """The release's own project. Its web service listens on 127.0.0.1 at a port that the engine
    picks: health checks and smoke tests of the candidate go there."""
    made: dict[str, Any] = {}
    for name in services:
        service = _alone(rendered.document["services"][name], services)
        labels = {**service.get("labels", {}), PROJECT_LABEL: project}
        if name == web:
            labels[WEB_LABEL] = str(port)
            service |= {"ports": [_loopback(port)], "scale": replicas}
            service["deploy"] = {**service.get("deploy", {}), "replicas": replicas}
        made[name] = service | {"labels": labels}
    document = {
        **rendered.document,
        "name": project_of(project, release_id),
        "services": made,
        "networks": _external(rendered.document.get("networks", {})),
        "volumes": _external(rendered.document.get("volumes", {})),
    }
    return Rendered(document)


def _alone(service: Mapping[str, Any], released: Sequence[str]) -> dict[str, Any]:
    kept = {key: value for key, value in service.items() if key not in (*_NOT_SHARED, "ports")}
    wanted = {n: how for n, how in (service.get("depends_on") or {}).items() if n in released}
    if wanted:
        kept["depends_on"] = wanted
    if isinstance(kept.get("networks"), dict):
        kept["networks"] = {name: _anywhere(how) for name, how in kept["networks"].items()}
    return kept


def _anywhere(network: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if network is None:
        return None
    return {key: value for key, value in network.items() if key not in _NOT_TWICE}


def _external(named: Mapping[str, Any]) -> dict[str, Any]:
    return {key: {"name": value["name"], "external": True} for key, value in named.items()}


def _loopback(port: int) -> Publication:
    return {"mode": "ingress", "host_ip": "127.0.0.1", "target": port, "protocol": "tcp"}


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume that released services share with whatever runs beside them."""

    name: str
    driver: str
    options: dict[str, str]
    labels: dict[str, str]


def volumes(rendered: Rendered, project: str, services: Sequence[str]) -> tuple[Volume, ...]:
    """The named volumes of these services, labelled as Compose labels those it makes. Not those
    that are declared external: they are somebody else's."""
    declared = rendered.document.get("volumes", {})
    keys = {
        mount["source"]
        for service in services
        for mount in rendered.document["services"][service].get("volumes", [])
        if mount.get("type") == "volume" and mount.get("source") in declared
    }
    return tuple(
        Volume(
            declared[key]["name"],
            declared[key].get("driver", "local"),
            declared[key].get("driver_opts", {}),
            {"com.docker.compose.project": project, "com.docker.compose.volume": key},
        )
        for key in sorted(keys)
        if not declared[key].get("external")
    )


def publications(
    rendered: Rendered, *, services: Sequence[str], web: str, port: int, given: Sequence[str]
) -> tuple[Publication, ...]:
    """Where the proxy listens on the host: `given`, else what the web service publishes.

    Raises ConfigurationError for what two releases at once cannot share.
    """
    for name in services:
        service = rendered.document["services"][name]
        if service.get("network_mode"):
            raise _not_rolling(name, f'has network_mode "{service["network_mode"]}"')
        for each in service.get("ports", []):
            if name != web or int(each["target"]) != port:
                raise _not_rolling(name, f"publishes its port {each['target']}")
    found = [_parsed(each) for each in given]
    found = found or [dict(each) for each in rendered.document["services"][web].get("ports", [])]
    if not found or not all(each.get("published") for each in found):
        raise ConfigurationError(
            f"{web} publishes no port for {port}: where shall the proxy listen?",
            hint=f'In the compose file: ports: ["127.0.0.1:8080:{port}"]; or [proxy] ports.',
        )
    return tuple({**each, "target": haproxy.PUBLIC_PORT} for each in found)


def with_tls(places: Sequence[str]) -> tuple[Publication, ...]:
    """Where the proxy listens with TLS, too."""
    return tuple({**_parsed(each), "target": haproxy.TLS_PORT} for each in places)


def _parsed(text: str) -> Publication:
    """`8080`, `127.0.0.1:8080` or `[::1]:8080`."""
    address, _, published = text.rpartition(":")
    place = {"host_ip": address.strip("[]")} if address else {}
    return {"mode": "ingress", "published": published, "protocol": "tcp", **place}


def _not_rolling(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} {why}: two releases at once cannot both have that",
        hint="Only service.port of service.web may be published. Else: deploy.strategy ="
        ' "recreate".',
    )


def proxy(
    rendered: Rendered,
    *,
    project: str,
    services: Sequence[str],
    image: str,
    published: Sequence[Publication],
    folder: Path,
    certificates: Path | None = None,
) -> Rendered:
    """The proxy in the long-lived project, on every network of the released services.

    It starts as root, which reads the configuration, and its workers run as `haproxy`.
    """
    networks = sorted(
        {n for name in services for n in rendered.document["services"][name].get("networks", {})}
    )
    declared = rendered.document.get("networks", {})
    local = {"host_ip": "127.0.0.1", "mode": "ingress", "protocol": "tcp"}
    service = {
        "image": image,
        "user": "0:0",
        "entrypoint": ["haproxy"],
        "command": ["-W", "-db", "-f", f"{haproxy.FOLDER}/{haproxy.FILE}"],
        "networks": dict.fromkeys(networks),
        # started while a release is down, HAProxy asks for its address before it takes requests;
        # where the engine's DNS asks on and nobody answers, that would be 5 s twice and again
        "dns_opt": ["timeout:1", "attempts:2"],
        "ports": [*published, {**local, "target": haproxy.STATS_PORT}],
        "volumes": [
            _read_only(folder, haproxy.FOLDER),
            *([_read_only(certificates, haproxy.CERTIFICATES)] if certificates else []),
        ],
        # any signal to it counts as stopped by hand, also the one that makes it load (moby,
        # daemon/kill.go): with `unless-stopped` it would not come back with the engine
        "restart": "always",
        "stop_signal": "SIGUSR1",
        "labels": {PROJECT_LABEL: project},
    }
    return Rendered(
        {
            "name": project,
            "services": {PROXY: service},
            "networks": {name: declared[name] for name in networks},
        }
    )


def _read_only(folder: Path, inside: str) -> dict[str, Any]:
    return {"type": "bind", "source": str(folder), "target": inside, "read_only": True}


def tls_of(document: bytes) -> tuple[Path, int] | None:
    """The folder of certificates and the public port that a proxy was made with, if it has TLS."""
    if not document:
        return None
    service = Rendered.parse(document).document["services"][PROXY]
    folders = [v["source"] for v in service["volumes"] if v["target"] == haproxy.CERTIFICATES]
    ports = [p["published"] for p in service["ports"] if p["target"] == haproxy.TLS_PORT]
    return (Path(folders[0]), int(ports[0])) if folders and ports else None
