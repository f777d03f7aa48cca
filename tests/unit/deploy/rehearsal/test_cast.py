"""What a rehearsal is started from: whatever could reach the live system is not in it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from stockctl.deploy.rehearsal.cast import Document, cast, document
from stockctl.deploy.rehearsal.mounts import Kind, Source, sources
from stockctl.system.compose import Rendered
from stockctl.system.local import LocalHost

LIVE: dict[str, Any] = {
    "name": "shop-prod",
    "services": {
        "postgres": {
            "image": "postgres:16",
            "environment": {"POSTGRES_PASSWORD": "x"},
            "volumes": [{"type": "volume", "source": "data", "target": "/var/lib/postgresql"}],
            "ports": [{"published": "5432", "target": 5432}],
            "networks": {"shared": None},
            "shm_size": "256m",
            "container_name": "shop-db",
        },
        "app": {
            "image": "shop:v1",
            "environment": {"DATABASE_URL": "postgresql://a@postgres/d"},
            "depends_on": {"postgres": {"condition": "service_healthy"}, "redis": {}},
            "network_mode": "host",
            "restart": "always",
            "labels": {"traefik.enable": "true"},
            "secrets": [{"source": "key"}, {"source": "swarm"}],
        },
        "worker": {"image": "shop:v1", "depends_on": {"queue": {}}},
        "redis": {
            "image": "redis",
            "depends_on": {"init": {"condition": "service_completed_successfully"}, "app": {}},
            "networks": {"shared": {"aliases": ["cache"]}},
        },
        "init": {"image": "busybox", "volumes": [{"type": "volume", "target": "/tmp"}]},
        "queue": {"build": {"context": "."}},
        "grafana": {"image": "grafana", "depends_on": {"app": {}}},
    },
    "volumes": {"data": {"name": "data", "external": True}},
    "networks": {"shared": {"external": True}},
    "secrets": {"key": {"name": "shop_key", "file": "/keys/key"}, "swarm": {"external": True}},
}
ALL = cast(Rendered(LIVE), "postgres", "app", ("app", "worker"))
KEY = {"/keys/key": Source(Kind.FILE, False)}


def test_the_released_services_play_and_what_they_depend_on() -> None:
    assert ALL.everybody == ("postgres", "redis", "queue", "init", "app", "worker")
    assert cast(Rendered(LIVE), None, "app", ("app",)).beside == ("postgres", "redis", "init")


def test_nothing_of_the_live_system_is_in_it() -> None:
    made = document(Rendered(LIVE), ALL, "sha256:2", KEY)
    assert made.rendered.document == {
        "services": {
            "postgres": {
                "image": "postgres:16",
                "environment": {"POSTGRES_PASSWORD": "x"},
                "networks": {"default": {"aliases": ["shop-db"]}},
                "shm_size": "256m",
                "volumes": [{"type": "volume", "source": "data", "target": "/var/lib/postgresql"}],
            },
            "redis": {
                "image": "redis",
                "networks": {"default": {"aliases": ["cache"]}},
                "depends_on": {"init": {"condition": "service_completed_successfully"}},
            },
            "init": {"image": "busybox", "volumes": [{"type": "volume", "target": "/tmp"}]},
            "queue": {"image": "shop-prod-queue"},
            "app": {
                "image": "sha256:2",
                "environment": {"DATABASE_URL": "postgresql://a@postgres/d"},
                "secrets": [{"source": "key"}],
            },
            "worker": {"image": "sha256:2"},
        },
        "networks": {"default": {"internal": True}},
        "volumes": {"data": {}},  # its own: neither the name nor `external` is kept
        "secrets": {"key": {"file": "/keys/key"}},
    }
    assert made.left_out == (
        "grafana: nothing needs it",
        "secrets: swarm is no file here: it is left out",
    )


def played(rendered: Rendered, project: Path) -> Document:
    """Of `app`, which a release replaces."""
    known = sources(LocalHost(), project, rendered)
    return document(rendered, cast(rendered, None, "app", ("app",)), "sha256:2", known)


def bind(source: Path, target: str, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": target, **more}


def test_what_a_live_service_may_write_to_is_not_mounted(tmp_path: Path) -> None:
    project, data = tmp_path / "project", tmp_path / "srv"
    for folder in (project / "conf", project / "data", project / "run", data, data / "sub"):
        folder.mkdir(parents=True, exist_ok=True)
    for file in (project / "redis.conf", data / "app.db", tmp_path / "zone"):
        file.write_text("x")
    (project / "link.db").symlink_to(data / "app.db")
    here = socket.socket(socket.AF_UNIX)
    here.bind(str(project / "run" / "s"))
    ro = {"read_only": True}
    mounts = [
        bind(project / "redis.conf", "/redis.conf"),  # a file of the project
        bind(project / "conf", "/conf", **ro),  # a folder of the project that is only read
        bind(project / "data", "/data"),
        bind(project / "run", "/run", **ro),  # has a socket in it
        bind(project / "run" / "s", "/s", **ro),
        bind(project / "link.db", "/link.db"),
        bind(data, "/srv", **ro),
        bind(data / "app.db", "/app.db"),
        bind(tmp_path / "zone", "/zone", **ro),
        bind(tmp_path / "nothing", "/nothing"),
        {"type": "npipe", "source": "x", "target": "/pipe"},
    ]
    writer = {"image": "b", "volumes": [bind(data / "sub", "/sub")]}
    rendered = Rendered({"services": {"app": {"volumes": mounts}, "writer": writer}})
    made = played(rendered, tmp_path / "project")
    here.close()
    got = {m["target"]: m for m in made.rendered.document["services"]["app"]["volumes"]}
    read = {target for target, mount in got.items() if mount["type"] == "bind"}
    assert read == {"/redis.conf", "/conf", "/zone"}
    assert all(got[target]["read_only"] for target in read)
    own = {target for target, mount in got.items() if mount["type"] == "volume"}
    assert own == {"/data", "/run", "/srv", "/nothing"}
    volumes = made.rendered.document["volumes"]
    assert volumes == {got[target]["source"]: {} for target in sorted(own)}
    words = "\n".join(made.left_out)
    for path in ("data", "run", "run/s", "link.db"):
        assert f"app: {project / path} " in words
    assert f"app: {data} may be data" in words
    assert f"app: {data / 'app.db'} may be data of the live service: it is left out" in words
    assert "writer: nothing needs it" in words
    assert "redis.conf" not in words


def test_a_file_that_a_live_service_writes_below_a_folder_is_data(tmp_path: Path) -> None:
    """Read-only here, and in a folder that is written to there."""
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "state").write_text("x")
    app = {"volumes": [bind(tmp_path / "srv" / "state", "/state", read_only=True)]}
    other = {"image": "o", "volumes": [bind(tmp_path / "srv", "/srv")]}
    rendered = Rendered({"services": {"app": app, "other": other}})
    made = played(rendered, tmp_path / "project")
    assert "volumes" not in made.rendered.document["services"]["app"]
    assert "state may be data" in made.left_out[1]
