"""An image from this machine's engine to the host's: `docker save` here, `docker load` there, one
stream between the two, without the layers that are there already."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Set as AbstractSet
from typing import IO, cast

from stockctl.core.command import Command
from stockctl.core.errors import StockctlError, ToolFailed
from stockctl.core.progress import Step
from stockctl.core.units import format_size
from stockctl.deploy.site import Site
from stockctl.system.engine import Engine

LOAD_S = 600.0  # from the last byte on
IN_MEMORY = 16 << 20
BLOCK = 1 << 20
LEGACY_LAYER, BLOBS = "/layer.tar", "blobs/sha256/"


def is_here(site: Site, reference: str) -> bool:
    """Whether the host's engine could get it from ours. A machine without an engine has none."""
    if not site.remote:
        return False
    engine = Engine()
    try:
        return engine.image_id(reference) is not None
    except StockctlError:
        return False
    finally:
        engine.close()


def send(site: Site, reference: str, step: Step) -> str:
    """Its id, which is the same on both engines. Raises ToolFailed, HostFailed."""
    engine = Engine()
    try:
        image_id = engine.image_id(reference)
        if image_id is None:
            raise ToolFailed(f"the image {reference} is not on this machine either")
        if site.engine.image_id(image_id) is not None:
            step.line(f"{site.host.name} has {reference} already")
            return image_id
        known = _known(site, engine.layers(image_id))
    finally:
        engine.close()
    try:
        _stream(site, image_id, known, step)
        whole = site.engine.image_id(image_id) is not None
    except ToolFailed:
        if not known:
            raise
        whole = False
    if not whole:  # an engine that wants all layers all the same
        _stream(site, image_id, frozenset(), step)
    if site.engine.image_id(image_id) is None:
        raise ToolFailed(f"{site.host.name} took {reference} and does not have it")
    return image_id


def _known(site: Site, layers: tuple[str, ...]) -> frozenset[str]:
    """The lowest layers that the host has below one of its releases. Docker does not read a layer
    from the archive if it has the chain of layers up to it (moby, image/tarexport/load.go)."""
    longest = 0
    for image_id in {release.image_id for release in site.releases.all() if release.image_id}:
        there = site.engine.layers(image_id)
        same = next(
            (n for n, (a, b) in enumerate(zip(layers, there, strict=False)) if a != b),
            min(len(layers), len(there)),
        )
        longest = max(longest, same)
    return frozenset(layers[:longest]) - frozenset(layers[longest:])


def _stream(site: Site, image_id: str, known: AbstractSet[str], step: Step) -> None:
    save = Command(("docker", "image", "save", image_id))
    load = Command(("docker", "image", "load", "--quiet"))
    digests = {digest.removeprefix("sha256:") for digest in known}
    with site.here.stream(save) as saved, site.host.stream(load, stdin=True) as loaded:
        counted = Counted(loaded.stdin, step)
        try:
            thin(saved.stdout, counted, digests)
        except (BrokenPipeError, OSError, tarfile.TarError):
            saved.check(LOAD_S)  # whichever of the two failed says why
            loaded.check(LOAD_S)
            raise
        saved.check(LOAD_S)
        loaded.close_stdin()
        loaded.check(LOAD_S)
    step.line(f"{format_size(counted.sent)} sent to {site.host.name}")


class Counted:
    """What was written so far, for whoever watches."""

    def __init__(self, target: IO[bytes], step: Step) -> None:
        self.sent = 0
        self._target = target
        self._step = step

    def write(self, data: bytes) -> int:
        self._target.write(data)
        self.sent += len(data)
        self._step.transferred(self.sent)
        return len(data)


def thin(source: IO[bytes], target: IO[bytes] | Counted, known: AbstractSet[str]) -> None:
    """Copies an image archive without the layers of these digests (hex). In the older format a
    layer's file does not say its digest: it is read to its end before it is passed on."""
    with (
        tarfile.open(fileobj=source, mode="r|", bufsize=BLOCK) as archive,
        tarfile.open(fileobj=cast("IO[bytes]", target), mode="w|", bufsize=BLOCK) as out,
    ):
        for member in archive:
            if not member.isfile():
                out.addfile(member)
                continue
            content = archive.extractfile(member)
            assert content is not None
            if member.name.startswith(BLOBS) and member.name.removeprefix(BLOBS) in known:
                continue
            if known and member.name.endswith(LEGACY_LAYER):
                _pass_on_unless(known, member, content, out)
            else:
                out.addfile(member, content)
    while source.read(BLOCK):  # what tar pads it with; or the writer would see a closed pipe
        pass


def _pass_on_unless(
    known: AbstractSet[str], member: tarfile.TarInfo, content: IO[bytes], out: tarfile.TarFile
) -> None:
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
        digest = hashlib.sha256()
        while piece := content.read(BLOCK):
            digest.update(piece)
            kept.write(piece)
        if digest.hexdigest() not in known:
            kept.seek(0)
            out.addfile(member, kept)
