"""Files of the project that its containers mount, on another machine.

What a compose file mounts from inside the project (`./redis.conf:/etc/redis.conf`, `configs`,
`secrets`) is sent to `<directory>/files/<digest>/<name>` there; a path outside the project is one
of that machine. Nothing there is ever changed; it is removed once no recorded release names it and
no container mounts it, since one that a release does not replace may be older than all of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockctl.core.command import Command
from stockctl.core.errors import HostFailed
from stockctl.deploy.site import Site
from stockctl.system.compose import Rendered

CHMOD_S = 30.0
FOLDER = "files"
DIGEST_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file or folder of this machine and where it goes on that one."""

    source: Path
    target: Path


def placed(
    site: Site, rendered: Rendered, folder: Path | None = None
) -> tuple[Rendered, tuple[Parcel, ...]]:
    """The configuration as it is for that machine, and what has to be sent for it, to `folder`
    where that is given. Nothing of either where the environment is on this machine."""
    above = folder or site.directory / FOLDER
    if not site.remote:
        return rendered, ()
    parcels: dict[Path, Parcel] = {}

    def place(named: Any) -> Any:
        source = Path(str(named))
        if not (source.is_absolute() and source.exists() and inside(site.root, source)):
            return named
        if source not in parcels:
            target = above / _digest(source) / source.name
            parcels[source] = Parcel(source, target)
        return str(parcels[source].target)

    document = dict(rendered.document)
    services = document["services"].items()
    document["services"] = {name: _mounting(service, place) for name, service in services}
    for kind in ("configs", "secrets"):
        if kind in document:
            document[kind] = {
                name: {**each, "file": place(each["file"])} if "file" in each else each
                for name, each in document[kind].items()
            }
    return Rendered(document), tuple(parcels.values())


def _mounting(service: dict[str, Any], place: Any) -> dict[str, Any]:
    if not service.get("volumes"):
        return service
    volumes = [
        {**each, "source": place(each["source"])} if each.get("type") == "bind" else each
        for each in service["volumes"]
    ]
    return {**service, "volumes": volumes}


def inside(root: Path, source: Path) -> bool:
    """Whether a path belongs to the project, wherever links lead."""
    try:
        return source.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _files(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield from sorted(path for path in source.rglob("*") if path.is_file())
    else:
        yield source


def _digest(source: Path) -> str:
    """Of names, modes and contents."""
    digest = hashlib.sha256()
    try:
        for file in _files(source):
            name = file.relative_to(source.parent)
            digest.update(f"{name}\0{file.stat().st_mode:o}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    except OSError as error:
        raise HostFailed(f"cannot read {error.filename}: {error.strerror}") from error
    return digest.hexdigest()[:DIGEST_LENGTH]


def deliver(site: Site, parcels: tuple[Parcel, ...]) -> None:
    """Sends what is not there yet, each file at once or not at all, with its mode."""
    missing = [each for each in parcels if not site.host.exists(each.target)]
    if not missing:
        return
    with site.progress.step("files") as step:
        for parcel in missing:
            _deliver(site, parcel)
        step.detail = ", ".join(each.source.name for each in missing)


def _deliver(site: Site, parcel: Parcel) -> None:
    """A folder gets its name last: until then it is not there."""
    source, target = parcel.source, parcel.target
    if not source.is_dir():
        site.host.write(target, source.read_bytes(), source.stat().st_mode & 0o777)
        return
    half = target.with_name(f".{target.name}.half")
    site.host.remove(half)
    folders = {half}
    for file in _files(source):
        goal = half / file.relative_to(source)
        site.host.write(goal, file.read_bytes(), file.stat().st_mode & 0o777)
        folders |= {above for above in goal.parents if above.is_relative_to(half)}
    # whoever a container runs as has to come in, as far as on this machine
    for argv in (("mkdir", "-p"), ("chmod", "755")):
        names = tuple(str(folder) for folder in sorted(folders))
        site.host.run(Command((*argv, *names)), timeout_s=CHMOD_S)
    site.host.rename(half, target)


def sweep(site: Site) -> int:
    """Removes what nobody can start a container with any more: an old secret must not lie around
    for ever. How many files and folders that were. To be called under the environment's lock:
    what is sent for a deploy has no name yet. Raises HostFailed, EngineUnavailable."""
    folder = site.directory / FOLDER
    lying = site.host.names(folder)
    unused = unused_of(lying, _named(site)) if lying else []
    for name in unused:
        gone = folder / f".{name.strip('.')}"
        if name != gone.name:  # half a folder under its own name would be taken for the whole one
            site.host.rename(folder / name, gone)
        site.host.remove(gone)
    return len(unused)


def unused_of(lying: Sequence[str], named: str) -> list[str]:
    """Of the names in the folder those that are ours and do not occur. One with a dot before it is
    a removal that was cut short."""
    ours = re.compile(rf"\.?[0-9a-f]{{{DIGEST_LENGTH}}}")
    return [n for n in lying if ours.fullmatch(n) and (n[0] == "." or f"/{n}/" not in named)]


def _named(site: Site) -> str:
    """Everything that may name one: what each release was rendered as, also one without a record,
    and what is mounted now."""
    kept = (site.releases.compose_file(name) for name in site.host.names(site.releases.folder))
    texts = [data.decode() for data in site.host.found(*kept).values()]
    return "\n".join([*texts, *(path for each in site.containers() for path in each.mounted)])
