"""The image of a release: built here or pulled, and from then on known by its id only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import ToolFailed, UsageError
from stockctl.core.progress import Step
from stockctl.deploy.parcel import is_here, send
from stockctl.deploy.pull import pull
from stockctl.deploy.site import Site
from stockctl.system import compose
from stockctl.system.host import Host

BUILD_S = 3600.0
GIT_S = 30.0
DIRTY = "-dirty"
DIGEST_LENGTH = 12
KEPT = "stockctl-kept"  # the name under which the images of recorded releases are held


@dataclass(frozen=True, slots=True)
class Commit:
    """Where the project's git stands; `dirty` where the working tree differs from it."""

    id: str
    dirty: bool

    @property
    def short(self) -> str:
        return f"{self.id[:12]}{DIRTY * self.dirty}"

    @property
    def revision(self) -> str:
        """As it stands in the label of an image."""
        return f"{self.id}{DIRTY * self.dirty}"


def commit_of(host: Host, root: Path) -> Commit | None:
    """None outside a git repository, and in one without a commit."""
    head = Command(("git", "rev-parse", "HEAD"), directory=root)
    changes = Command(("git", "status", "--porcelain"), directory=root)
    try:
        name = host.run(head, timeout_s=GIT_S).stdout.strip()
        return Commit(name, bool(host.run(changes, timeout_s=GIT_S).stdout.strip()))
    except ToolFailed:
        return None


def version_of(commit: Commit | None) -> str:
    """A release's version where none was given. Raises UsageError where there is no commit."""
    if commit is None:
        raise UsageError(
            "which version? there is no git commit to name it after",
            hint="Give it with --tag V, or an image with --image REF.",
        )
    return commit.short


def is_dirty(commit: Commit | None, *, build: bool) -> bool:
    """Whether a version names no one image: built, and from what was not committed."""
    return build and commit is not None and commit.dirty


def built_from(commit: Commit | None, *, build: bool) -> str | None:
    """The commit of what will be built; None for an image that is there already."""
    return commit.id if build and commit is not None else None


def version_in(reference: str) -> str:
    """A release's version where an image was named: its tag, else the beginning of its digest."""
    name, _, digest = reference.partition("@")
    tag = name.rsplit("/", 1)[-1].partition(":")[2]
    return tag or digest.partition(":")[2][:DIGEST_LENGTH] or "latest"


def obtain(
    site: Site, reference: str, version: str, commit: Commit | None, step: Step, *, build: bool
) -> str:
    """The id of the image `reference`, after building or fetching it. Raises ToolFailed."""
    if build and site.service.build is not None:
        image_id = _built(site, reference, version, commit, step)
    else:
        image_id = _fetched(site, reference, step)
    if image_id is None:
        raise ToolFailed(f"the image {reference} is not there after it was built or pulled")
    step.detail = f"{reference} {image_id[7:19]}"
    return image_id


def bring(site: Site, reference: str, step: Step) -> None:
    """An image that a deploy needs beside the release's own: before anything is touched, not when
    it is missed. Raises ToolFailed."""
    detail = step.detail
    _fetched(site, reference, step)
    step.detail = detail


def _built(
    site: Site, reference: str, version: str, commit: Commit | None, step: Step
) -> str | None:
    assert site.service.build is not None
    revision = commit.revision if commit else None
    command = compose.build(site.service.build, reference, version, revision)
    site.here.run(command, timeout_s=BUILD_S, on_line=step.line)
    return send(site, reference, step) if site.remote else site.engine.image_id(reference)


def _fetched(site: Site, reference: str, step: Step) -> str | None:
    found = site.engine.image_id(reference)
    if found is not None:
        return found  # it is there already: a tag that moved since is not our guess to make
    if is_here(site, reference):
        return send(site, reference, step)
    pull(site, reference, step)
    return site.engine.image_id(reference)


def commit_in(site: Site, image_id: str) -> Commit | None:
    """What the image says that it was built from, here or elsewhere; None where it says nothing."""
    said = site.engine.label(image_id, compose.REVISION_LABEL)
    return Commit(said.removesuffix(DIRTY), said.endswith(DIRTY)) if said else None


def hold(site: Site, release_id: str, image_id: str) -> None:
    """Gives the image a name of ours, so that pruning images does not take a rollback away."""
    site.engine.tag(image_id, f"{KEPT}/{site.environment.project}", release_id)


def forget(site: Site, release_id: str) -> None:
    """Takes our name away again, and with it the one that it got when it was built or pulled,
    unless another recorded release goes by it. A digest is no name that a person gave it, and
    would keep the image for ever. The engine keeps what a container uses."""
    site.engine.untag(f"{KEPT}/{site.environment.project}:{release_id}")
    releases = site.releases.all()
    gone = next(release for release in releases if release.id == release_id)
    others = {release.image for release in releases if release.id != release_id}
    ours = gone.image == f"{site.service.image}:{gone.version}" or "@" in gone.image
    if ours and gone.image not in others and site.engine.image_id(gone.image) == gone.image_id:
        site.engine.untag(gone.image)
