"""New files below `environments/`: all of them or none, and never over one that is there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from stockctl.core.errors import HostFailed, Refused
from stockctl.core.secret import Secret
from stockctl.env.init.text import NewFile, ignore_lines

IGNORE = ".gitignore"


def refuse_existing(folder: Path, names: Sequence[str]) -> None:
    """Raises Refused where one of the files is there, also as a link to nothing."""
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        raise Refused(
            f"{folder.name}/ has {', '.join(there)} already; nothing is overwritten",
            hint="Give the environment another name, or remove what is left of an earlier run.",
        )


def ignore_change(folder: Path) -> str:
    """What the `.gitignore` there lacks; empty where it has all."""
    try:
        return ignore_lines((folder / IGNORE).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return ignore_lines("")
    except OSError as error:
        raise HostFailed(f"cannot read {folder / IGNORE}: {error.strerror}") from error


def create(folder: Path, files: Sequence[NewFile]) -> None:
    """In this order, each on disk before the next. Whatever ends it early, Ctrl-C included: what
    was made is gone again. Raises Refused and HostFailed."""
    with ExitStack() as undo:
        if not folder.exists():
            with _told(folder):
                folder.mkdir(exist_ok=True)
            undo.callback(_quietly(folder.rmdir))
        with _alone(folder):
            refuse_existing(folder, [file.name for file in files])
            with undo.pop_all() as made:
                _append(folder / IGNORE, ignore_change(folder), made)
                for file in files:
                    _write(folder / file.name, file, made)
                made.pop_all()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Another `env init` waits: what one takes back must not be what the other relies on."""
    with _told(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        os.close(descriptor)


def _append(path: Path, text: str, undo: ExitStack) -> None:
    if not text:
        return
    if not os.path.lexists(path):
        _write(path, NewFile(path.name, Secret(text), text), undo)
        return
    with _told(path), path.open("ab") as file:
        undo.callback(_quietly(partial(os.truncate, path, file.tell())))
        file.write(text.encode())


def _write(path: Path, file: NewFile, undo: ExitStack) -> None:
    with _told(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
        undo.callback(_quietly(path.unlink))
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(file.text.reveal().encode())
            stream.flush()
            os.fsync(descriptor)


def _quietly(remove: Callable[[], object]) -> Callable[[], None]:
    """On the way out: the error that is being told matters more than this one."""

    def attempt() -> None:
        with suppress(OSError):
            remove()

    return attempt


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise Refused(f"{path} is there already; nothing is overwritten") from error
    except OSError as error:
        raise HostFailed(f"cannot write {path}: {error.strerror or error}") from error
