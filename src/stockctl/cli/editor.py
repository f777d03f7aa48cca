"""A person's editor on a piece of plaintext that lands nowhere else."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stockctl.cli.session import Session
from stockctl.core.errors import HostFailed, Refused, ToolFailed, ToolMissing, UsageError
from stockctl.env.workspace import private_folder

_VIM = re.compile(r"n?vim(\.\w+)?|vimx")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 5.0  # between SIGTERM and SIGKILL: vim puts the terminal right in well under a second


def editor_command(process: Mapping[str, str]) -> tuple[str, ...]:
    """$VISUAL, else $EDITOR, else vi; as a shell splits it. Raises UsageError."""
    for name in ("VISUAL", "EDITOR"):
        written = process.get(name, "").strip()
        if written:
            try:
                return tuple(shlex.split(written))
            except ValueError as error:
                raise UsageError(f"${name} cannot be split into words: {error}") from None
    return ("vi",)


def discreet(command: tuple[str, ...]) -> tuple[str, ...]:
    """vim without the files that it keeps elsewhere: registers in ~/.viminfo, swap, undo, backups
    where a vimrc wants them. Others are left as they are; nano and emacs stay beside the file."""
    program = Path(shutil.which(command[0]) or command[0]).resolve().name
    if not _VIM.fullmatch(program):
        return command
    return (*command, "-n", "-i", "NONE", "-c", "set nobackup nowritebackup noundofile")


def edited(
    session: Session,
    name: str,
    plain: bytes,
    process: Mapping[str, str],
    accept: Callable[[bytes], bool],
) -> bytes:
    """What a person makes of `plain`; they may go on until `accept` takes it or raises.

    Raises ToolFailed where the editor fails. The file is 0600 in a folder that goes with the
    block, whatever the editor leaves beside it.
    """
    command = discreet(editor_command(process))
    _require_somebody(session, process)
    with private_folder(process) as folder:
        file = folder / name
        _write(file, plain)
        while True:
            _edit((*command, str(file)), quiet=session.as_json)
            result = _read(file)
            if accept(result):
                return result


def _require_somebody(session: Session, process: Mapping[str, str]) -> None:
    """An editor that draws on the screen must not draw into a log. One that was named may be a
    program that needs no screen."""
    named = process.get("VISUAL", "").strip() or process.get("EDITOR", "").strip()
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if session.no_input or not (terminal or named):
        raise Refused(
            "there is no terminal to edit on: nothing was changed",
            hint="Run it on a terminal, or name a program in $EDITOR that needs none.",
        )


def _edit(argv: tuple[str, ...], *, quiet: bool) -> None:
    with _running(argv, quiet=quiet) as child:
        code = child.wait()
    if code:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise ToolFailed(f"the editor {argv[0]} {how}: nothing was changed")


@contextmanager
def _running(argv: tuple[str, ...], *, quiet: bool) -> Iterator[subprocess.Popen[bytes]]:
    """In our own process group, since it needs the terminal. It never outlives the block: a signal
    that comes while it is being started waits, since Popen would lose the child on the way."""
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in _ENDING}
    child = None
    try:
        child = _start(argv, quiet=quiet)
        _restore(before)
        for number in came:
            signal.raise_signal(number)
        yield child
    finally:
        _restore(before)
        if child is not None and child.poll() is None:
            _end(child)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _start(argv: tuple[str, ...], *, quiet: bool) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(argv, stdout=sys.stderr.fileno() if quiet else None)
    except FileNotFoundError:
        raise ToolMissing(
            f"the editor {argv[0]} is not on this machine", hint="Name one in $VISUAL or $EDITOR."
        ) from None
    except OSError as error:
        raise ToolFailed(f"the editor {argv[0]} does not start: {error.strerror}") from None


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _write(file: Path, plain: bytes) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            written.write(plain)
    except OSError as error:
        raise HostFailed(f"cannot write for the editor: {error.strerror}") from None


def _read(file: Path) -> bytes:
    try:
        if file.is_symlink() or not file.is_file():
            raise ToolFailed("the editor left no file: nothing was changed")
        return file.read_bytes()
    except OSError as error:
        raise HostFailed(f"cannot read what the editor wrote: {error.strerror}") from None
