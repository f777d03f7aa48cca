"""What the container of `backup schedule --via compose` gets of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from stockctl import __version__
from stockctl.backup.schedule_compose import Box
from stockctl.cli.wiring import Opened, private_folder
from stockctl.core.errors import ConfigurationError, HostFailed
from stockctl.env.vault import VARIABLE as IDENTITY

IMAGE = f"stockctl:{__version__}"
_CLOCK = Path("/etc/localtime")  # the times of a schedule are this machine's


def file(opened: Opened) -> Path:
    """Beside the service's own compose files."""
    name = f"compose.backup-{opened.environment.name}.yaml"
    return opened.session.project().folder.absolute() / name


def box(opened: Opened) -> Box:
    """It runs as whom the project belongs to, who can read the env file. Raises
    ConfigurationError for root."""
    root = opened.session.project().root.absolute()
    owner = root.stat()
    if owner.st_uid == 0:
        raise ConfigurationError(
            f"{root} belongs to root, and the container must not be root",
            hint=f"Give it to a user of its own: chown -R USER: {root}",
        )
    identity = os.environ.get(IDENTITY)
    keys = (Path(identity).absolute(),) if identity else ()
    clock = (_CLOCK,) if _CLOCK.exists() else ()
    return Box(
        project=f"{opened.environment.project}-backup",
        image=IMAGE,
        user=f"{owner.st_uid}:{owner.st_gid}",
        readable=(root, *clock, *keys),
        writable=_written(opened),
        values=tuple((IDENTITY, str(key)) for key in keys),
    )


def prepare(opened: Opened) -> None:
    """What is mounted is there, and can be read and written by whom the container runs as.

    Raises ConfigurationError, HostFailed. A store or a folder for metrics is not made: it may be
    a disk that is not mounted at the moment.
    """
    root = opened.session.project().root.absolute()
    owner, ours = root.stat(), opened.folder_here.absolute()
    missing = [each for each in (ours, *ours.parents) if not each.exists()]
    private_folder(ours)
    if os.geteuid() == 0 and missing:
        for made in (*missing, ours / ".gitignore"):
            os.chown(made, owner.st_uid, owner.st_gid)
    for folder in _written(opened):
        if not folder.is_dir():
            raise HostFailed(f"{folder} is not there", hint="Make it, or mount it.")
    env_file = opened.loaded.env_file
    for path in (*((env_file.path,) if env_file else ()), ours, *ours.iterdir()):
        if path.lstat().st_uid != owner.st_uid:
            raise ConfigurationError(
                f"{path} does not belong to the user that {root} belongs to",
                hint=f"chown -R --reference={root} {path}",
            )


def _written(opened: Opened) -> tuple[Path, ...]:
    """What a backup writes to: locks and the journal, the store, the metrics. The outermost
    ones, since what is in them is in them."""
    settings = opened.environment.backup
    folders = {opened.folder_here.absolute()}
    if settings.place.kind == "folder":
        folders.add(Path(settings.store).absolute())
    if settings.metrics is not None:
        folders.add(settings.metrics.absolute().parent)
    inner = {each for each in folders if folders.intersection(each.parents)}
    return tuple(sorted(folders - inner))
