"""A compose file with one service that makes backups while nobody is there. Pure text.

It belongs to no release: a compose project of its own, so that a deploy neither restarts nor
removes it. It sees the network as this machine does, so that `database.url` means the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockctl.backup.schedule import Job

SERVICE = "backup"
# For a child to end what it began: what a store and a database need to let go.
GRACE = "30s"


@dataclass(frozen=True, slots=True)
class Box:
    """The container: an image, who it runs as (`uid:gid`), and what it sees of this machine.

    Every path is the same inside. `values` hold no secrets: those stay in the env file, which lies
    in a folder that is mounted.
    """

    project: str
    image: str
    user: str
    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    values: tuple[tuple[str, str], ...] = ()


def heading(job: Job) -> str:
    """The first line: by it we know a file as ours."""
    return f"# stockctl backup schedule {job.environment} --via compose: written by --install\n"


def compose_file(job: Job, box: Box) -> str:
    """YAML, where every `$` is doubled: a single one is a variable for Compose."""
    import yaml

    document = {"name": box.project, "services": {SERVICE: _service(job, box)}}
    return heading(job) + yaml.safe_dump(document, sort_keys=False, width=100)


def _service(job: Job, box: Box) -> dict[str, Any]:
    root = str(job.root)
    command = ["--root", root, "--no-input", "backup", "schedule", job.environment, "--run"]
    return {
        "image": box.image,
        "pull_policy": "never",  # nobody else's image of this name
        "command": [_literal(each) for each in command],
        "restart": "unless-stopped",
        "stop_grace_period": GRACE,
        "user": box.user,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "network_mode": "host",
        "tmpfs": ["/tmp"],
        **({"environment": {k: _literal(v) for k, v in box.values}} if box.values else {}),
        "volumes": [
            *(_mount(path, read_only=True) for path in box.readable),
            *(_mount(path, read_only=False) for path in box.writable),
        ],
    }


def _mount(path: Path, *, read_only: bool) -> dict[str, Any]:
    where = _literal(str(path))
    mount = {"type": "bind", "source": where, "target": where, "read_only": read_only}
    return {**mount, "bind": {"create_host_path": False}}


def _literal(text: str) -> str:
    return text.replace("$", "$$")
