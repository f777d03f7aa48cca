"""git: which files it tracks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stockctl.core.command import Command


def tracked(files: Sequence[Path], folder: Path) -> Command:
    """Prints those of the files that are tracked, relative to `folder`, each with a NUL behind."""
    names = tuple(str(file) for file in files)
    argv = ("git", "--literal-pathspecs", "ls-files", "-z", "--", *names)
    return Command(argv, directory=folder)


def paths(stdout: str, folder: Path) -> set[Path]:
    """The files that `tracked` printed."""
    return {Path(folder / name) for name in stdout.split("\0") if name}


def is_repository(folder: Path) -> bool:
    """Whether there is a repository around `folder`, so that it is worth asking."""
    return any((above / ".git").exists() for above in (folder, *folder.parents))
