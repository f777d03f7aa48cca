"""What a rehearsal has in place of the files, folders and volumes that the live services mount.

Files and read-only folders of the project are mounted, read-only: they are configuration. Whatever
the live services may write to is data: an empty volume of the rehearsal's own stands there. Sockets
and devices are left out: one that is mounted read-only lets the live service be talked to all the
same. What is in doubt is data.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from stockctl.core.command import Command
from stockctl.deploy.files import inside
from stockctl.system.compose import Rendered
from stockctl.system.host import Host

LOOK_S = 30.0
DIGEST_LENGTH = 8
NAMED = ("configs", "secrets")
Mount = dict[str, Any]  # one entry of a service's `volumes`, in the long form


class Kind(Enum):
    """What a path of the host is."""

    FILE = auto()
    FOLDER = auto()
    NOTHING = auto()
    SPECIAL = auto()  # a socket or a device


@dataclass(frozen=True, slots=True)
class Source:
    """Where a mount comes from. `ours`: it belongs to the project, and nothing runs in it."""

    kind: Kind
    ours: bool


@dataclass(frozen=True, slots=True)
class Stood:
    """The mounts of one service, and what is not as it is in the live one, for a person."""

    mounts: tuple[Mount, ...]
    words: tuple[str, ...]


def sources(host: Host, root: Path, rendered: Rendered) -> dict[str, Source]:
    """What each path is that anything in this configuration mounts: in the project's `root` on this
    machine, elsewhere on the host. Raises HostFailed."""
    paths = {str(mount["source"]) for mount in _binds(rendered)}
    for kind in NAMED:
        declared = rendered.document.get(kind, {}).values()
        paths |= {str(each["file"]) for each in declared if each.get("file")}
    return {path: _look(host, root, Path(path)) for path in sorted(paths)}


def written(rendered: Rendered) -> frozenset[Path]:
    """Folders and files that a live service may write to."""
    return frozenset(
        Path(mount["source"]) for mount in _binds(rendered) if not mount.get("read_only")
    )


def stood(
    name: str, service: Mapping[str, Any], known: Mapping[str, Source], data: frozenset[Path]
) -> Stood:
    """The mounts of one service. `data`: what `written` found."""
    mounts: list[Mount] = []
    words: list[str] = []
    for mount in service.get("volumes", []):
        made, word = _one(mount, known, data)
        mounts += [made] if made else []
        words += [f"{name}: {word}"] if word else []
    return Stood(tuple(mounts), tuple(words))


def _one(
    mount: Mount, known: Mapping[str, Source], data: frozenset[Path]
) -> tuple[Mount | None, str]:
    if mount["type"] in ("volume", "tmpfs"):
        wanted = ("type", "source", "target", "read_only", "tmpfs")
        return {key: mount[key] for key in wanted if key in mount}, ""
    if mount["type"] != "bind":
        return None, f"a mount of the type {mount['type']} at {mount['target']} is left out"
    source, path = known[str(mount["source"])], Path(mount["source"])
    ours = source.ours or _only_read(mount, path, data)
    if source.kind is Kind.FILE and ours:
        return _read_only(mount), ""
    if source.kind is Kind.FILE:
        return None, f"{path} may be data of the live service: it is left out"
    if source.kind is Kind.SPECIAL:
        return None, f"{path} is a socket or a device: it is left out"
    if source.kind is Kind.FOLDER and source.ours and _only_read(mount, path, data):
        return _read_only(mount), ""
    why = f"{path} may be data of the live service: an empty volume stands for it"
    return _own(mount), why if source.kind is Kind.FOLDER else ""


def _only_read(mount: Mount, path: Path, data: frozenset[Path]) -> bool:
    near = any(path.is_relative_to(each) or each.is_relative_to(path) for each in data)
    return bool(mount.get("read_only")) and not near


def _read_only(mount: Mount) -> Mount:
    return {
        "type": "bind",
        "source": mount["source"],
        "target": mount["target"],
        "read_only": True,
        "bind": {"create_host_path": False},
    }


def _own(mount: Mount) -> Mount:
    """Services that share a folder share the volume."""
    digest = hashlib.sha256(str(mount["source"]).encode()).hexdigest()[:DIGEST_LENGTH]
    return {"type": "volume", "source": f"folder-{digest}", "target": mount["target"]}


def named(
    rendered: Rendered, kind: str, wanted: frozenset[str], known: Mapping[str, Source]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The `configs` or `secrets` of these names, and words for what cannot be had."""
    kept: dict[str, Any] = {}
    words: list[str] = []
    for name in sorted(wanted):
        declared = rendered.document.get(kind, {}).get(name, {})
        file = str(declared.get("file") or "")
        there = known[file].kind is Kind.FILE or _folder_of_ours(known[file]) if file else True
        found = {k: declared[k] for k in ("file", "content", "environment") if k in declared}
        if found and there and not declared.get("external"):
            kept[name] = found
        else:
            words.append(f"{kind}: {name} is no file here: it is left out")
    return kept, tuple(words)


def _folder_of_ours(source: Source) -> bool:
    return source.kind is Kind.FOLDER and source.ours


def _binds(rendered: Rendered) -> Iterator[Mount]:
    for service in rendered.document["services"].values():
        for mount in service.get("volumes", []):
            if mount.get("type") == "bind":
                yield mount


def _look(host: Host, root: Path, path: Path) -> Source:
    if inside(root, path) and path.exists():
        return _ours(path)
    for flag, kind in (("-f", Kind.FILE), ("-d", Kind.FOLDER), ("-e", Kind.SPECIAL)):
        if host.run(Command(("test", flag, str(path))), timeout_s=LOOK_S, check=False).ok:
            return Source(kind, False)
    return Source(Kind.NOTHING, False)


def _ours(path: Path) -> Source:
    """A folder with a socket in it is used by something that runs."""
    if path.is_file():
        return Source(Kind.FILE, True)
    if not path.is_dir():
        return Source(Kind.SPECIAL, True)
    return Source(Kind.FOLDER, all(map(_plain, _below(path))))


def _below(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        yield from (Path(above) / name for name in (*folders, *files))


def _plain(path: Path) -> bool:
    """Whoever can read it reads it, and talks to nobody. One that went meanwhile is not there."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
