"""The folder that holds `environments/`, and the names in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from stockctl.core.errors import NoProject, UnknownEnvironment

FOLDER = "environments"
BASE = "base"  # what others extend; never an environment itself
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with `environments/` in it."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / FOLDER

    def file(self, name: str) -> Path:
        """The TOML file of an environment."""
        return self.folder / f"{name}.toml"

    def label(self, path: Path) -> str:
        """How messages call a file: relative to the project where it is inside."""
        try:
            return str(path.resolve().relative_to(self.root.resolve()))
        except (OSError, RuntimeError):  # a loop of links
            return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)
        except ValueError:  # outside
            return str(path)

    def names(self) -> list[str]:
        """Every environment, sorted."""
        stems = (file.stem for file in self.folder.glob("*.toml"))
        return sorted(stem for stem in stems if stem != BASE and _NAME.fullmatch(stem))

    def choose(self, name: str | None, process: Mapping[str, str]) -> str:
        """The environment that is meant: named, else $STOCKCTL_ENV, else the only one there is.

        Raises UnknownEnvironment; never guesses between two.
        """
        names = self.names()
        # an empty name is a variable that a script forgot to set: no reason to guess
        wanted = name if name is not None else process.get("STOCKCTL_ENV") or None
        listed = f"Environments here: {', '.join(names) or 'none'}."
        if wanted is None:
            if len(names) == 1:
                return names[0]
            raise UnknownEnvironment("which environment?", hint=listed)
        if wanted not in names:
            near = get_close_matches(wanted, names, n=1)
            guess = f"Did you mean {near[0]}? " if near else ""
            said = f"no environment {wanted}" if wanted else "the environment's name is empty"
            raise UnknownEnvironment(said, hint=guess + listed)
        return wanted


def is_there(path: Path, *, folder: bool = False) -> bool:
    """Whether there is such a file or folder; a name that no file system takes is none."""
    try:
        return path.is_dir() if folder else path.is_file()
    except (OSError, ValueError):
        return False


def find_project(explicit: Path | None, start: Path, process: Mapping[str, str]) -> Project:
    """`--root`, else $STOCKCTL_ROOT, else the nearest folder upwards. Raises NoProject."""
    named = explicit or (Path(process["STOCKCTL_ROOT"]) if process.get("STOCKCTL_ROOT") else None)
    if named is not None:
        root = named if named.is_absolute() else start / named
        if not (root / FOLDER).is_dir():
            raise NoProject(
                f"no folder {FOLDER}/ in {named}", hint="--root names the folder that holds it."
            )
        return Project(root)
    for folder in (start, *start.parents):
        if (folder / FOLDER).is_dir():
            return Project(folder)
    raise NoProject(
        f"no folder {FOLDER}/ in {start} or above it",
        hint="Go into the project, or name it: stockctl --root DIR …",
    )
