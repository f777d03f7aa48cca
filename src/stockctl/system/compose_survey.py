"""Docker Compose asked what its files say, before anything has a value. No engine is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stockctl.core.command import Command


def merged(files: Sequence[Path], directory: Path) -> Command:
    """Prints one JSON document of them all, profiles included, with each `${X}` as written."""
    flags = ("--no-interpolate", "--no-normalize", "--no-path-resolution", "--no-env-resolution")
    return _config(files, directory, *flags, profiles=("--profile", "*"))


def variables(files: Sequence[Path], directory: Path) -> Command:
    """Prints, as JSON, every variable with its default and whether Compose insists on it."""
    return _config(files, directory, "--variables")


def _config(
    files: Sequence[Path], directory: Path, *flags: str, profiles: tuple[str, ...] = ()
) -> Command:
    named = [part for file in files for part in ("-f", str(file))]
    # a project name: that of the folder may be none; an env file: `.env` is not asked for yet
    argv = ("docker", "compose", "-p", "survey", *named, "--env-file", "/dev/null", *profiles)
    return Command((*argv, "config", "--format", "json", *flags), directory=directory)
