"""git: which files it tracks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stockctl.core.command import Command

_FULL_PATHS = (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3")


def tracked(files: Sequence[Path], folder: Path) -> Command:
    """Prints those of the files that are tracked, relative to `folder`, each with a NUL behind."""
    names = tuple(str(file) for file in files)
    argv = ("git", "--literal-pathspecs", "ls-files", "-z", "--", *names)
    return Command(argv, directory=folder)


def paths(stdout: str, folder: Path) -> set[Path]:
    """The files that `tracked` printed."""
    return {Path(folder / name) for name in stdout.split("\0") if name}


def may_track(files: Sequence[Path], folder: Path) -> bool:
    """Whether git, asked in `folder`, could say that it tracks one of the files.

    Mostly it could not: their names are not in its index, or there is no repository. To start git,
    with all that a child process of ours has around it, takes 20 ms, to look into the index one.
    Versions 2 and 3 of the index hold every path in full, version 4 and the parts of a split one
    do not (https://git-scm.com/docs/index-format).
    """
    found = (above / ".git" for above in (folder, *folder.parents))
    git = next((each for each in found if each.exists()), None)
    if git is None:
        return False
    elsewhere = not (git / "HEAD").is_file() or {"GIT_DIR", "GIT_INDEX_FILE"} & os.environ.keys()
    try:
        index = (git / "index").read_bytes()
    except FileNotFoundError:
        return bool(elsewhere)
    except OSError:
        return True
    if elsewhere or index[:8] not in _FULL_PATHS or b"link" in index:
        return True
    names = {file.name for file in files}  # another system may write ü in another way
    return any(not name.isascii() or name.encode() in index for name in names)
