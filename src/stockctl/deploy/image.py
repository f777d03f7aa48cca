"""The image of a release: built here or pulled, and from then on known by its id only."""

from __future__ import annotations

from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import ToolFailed, UsageError
from stockctl.core.progress import Step
from stockctl.deploy.site import Site
from stockctl.system import compose
from stockctl.system.host import Host

BUILD_S = 3600.0
PULL_S = 1800.0
GIT_S = 30.0
KEPT = "stockctl-kept"  # the name under which the images of recorded releases are held


def version_of(host: Host, root: Path) -> str:
    """The git commit of the project, with `-dirty` where the working tree differs from it.

    Raises UsageError outside a git repository: then the version has to be named.
    """
    commit = Command(("git", "rev-parse", "--short=12", "HEAD"), directory=root)
    changes = Command(("git", "status", "--porcelain"), directory=root)
    try:
        name = host.run(commit, timeout_s=GIT_S).stdout.strip()
        dirty = bool(host.run(changes, timeout_s=GIT_S).stdout.strip())
    except ToolFailed as error:
        raise UsageError(
            "which version? there is no git commit to name it after",
            details=error.details,
            hint="Give it with --tag V, or an image with --image REF.",
        ) from error
    return f"{name}-dirty" if dirty else name


def obtain(site: Site, reference: str, version: str, step: Step, *, build: bool) -> str:
    """The id of the image `reference`, after building or fetching it. Raises ToolFailed."""
    folder = site.service.build
    if build and folder is not None:
        command, timeout_s = compose.build(folder, reference, version), BUILD_S
    elif site.engine.image_id(reference) is not None:
        command = None  # it is here already: a tag that moved since is not our guess to make
    else:
        command, timeout_s = compose.pull(reference), PULL_S
    if command is not None:
        site.host.run(command, timeout_s=timeout_s, on_line=step.line)
    image_id = site.engine.image_id(reference)
    if image_id is None:
        raise ToolFailed(f"the image {reference} is not there after it was built or pulled")
    step.detail = f"{reference} {image_id[7:19]}"
    return image_id


def hold(site: Site, release_id: str, image_id: str) -> None:
    """Gives the image a name of ours, so that pruning images does not take a rollback away."""
    site.engine.tag(image_id, f"{KEPT}/{site.environment.project}", release_id)


def release_hold(site: Site, release_id: str) -> None:
    """Takes the name away again."""
    site.engine.untag(f"{KEPT}/{site.environment.project}:{release_id}")
