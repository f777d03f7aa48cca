"""Another machine as a Host, over SSH. It passes the contract of `LocalHost`.

There it takes sshd, a POSIX shell and flock(1); nothing of ours is installed. When the line is cut
what runs there is ended, and locks are free, as soon as sshd sees it: at once for a connection
that was closed, within its `ClientAliveInterval` for a network that went silent.
"""

from __future__ import annotations

import shlex
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.core.command import Command, Completed
from stockctl.core.errors import HostFailed
from stockctl.system import lock_note, ssh_scripts
from stockctl.system.host import Holder
from stockctl.system.running import OnLine, Running, run
from stockctl.system.ssh_address import Target
from stockctl.system.ssh_connection import CLOSE_S, Connection
from stockctl.system.ssh_line import answering, end_input, load_paramiko
from stockctl.system.ssh_process import RemoteChild
from stockctl.system.ssh_shell import Shells
from stockctl.system.tunnel import Tunnels
from stockctl.system.watchdog import SCRIPT

if TYPE_CHECKING:
    from paramiko import Channel, SFTPClient

# Now and then a byte, so that sshd notices a network that went silent, which ends its TCP.
_WATCHDOG = f'(while sleep 30 && echo; do :; done) & beat=$!\n{SCRIPT}kill "$beat" 2>/dev/null\n'


class SshHost:
    """Runs programs and keeps files on another machine. It connects when first used."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.name = str(target.address)
        self._connection = Connection(target)
        self._watchdog: Channel | None = None
        self._mutex = threading.Lock()  # of the watchdog
        self._shells = Shells(self._connection.line, self.name)
        self._tunnels = Tunnels(self._to_port, self._to_engine)

    def __enter__(self) -> SshHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> None:
        """Connects on a thread beside us. What goes wrong is told to whoever needs the line."""
        load_paramiko()

        def connect() -> None:
            with suppress(Exception):
                self._shells.begin()

        threading.Thread(target=connect, daemon=True).start()

    def close(self) -> None:
        """What still runs there is ended; locks are free."""
        self._tunnels.close()
        self._connection.close()

    def run(
        self,
        command: Command,
        *,
        timeout_s: float,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        def start(command: Command, on_line: OnLine) -> AbstractContextManager[Running]:
            return self.stream(command, on_line=on_line)

        return run(start, command, timeout_s=timeout_s, check=check, on_line=on_line)

    @contextmanager
    def stream(
        self,
        command: Command,
        *,
        stdin: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> Iterator[RemoteChild]:
        child = RemoteChild(self, command, stdin=stdin, on_line=on_line)
        try:
            yield child
        except BaseException:
            child.end()
            raise
        child.close()

    def ask(self, script: str, *arguments: str) -> str:
        return self._do("answer", script, *arguments).decode(errors="replace")

    def read(self, path: Path) -> bytes:
        return self._do(f"read {path}", ssh_scripts.READ, str(path))

    def found(self, *paths: Path) -> dict[Path, bytes]:
        if not paths:
            return {}
        doing = f"read {paths[0] if len(paths) == 1 else paths[0].parent}"
        said = self._do(doing, ssh_scripts.FOUND, *map(str, paths))
        return {paths[n]: data for n, data in ssh_scripts.contents(said)}

    def found_below(self, folder: Path, name: str) -> dict[str, bytes]:
        said = self._do(f"read {folder}", ssh_scripts.FOUND_BELOW, str(folder), name)
        return dict(sorted(ssh_scripts.contents_below(said)))

    def write(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        names = (str(path.parent), str(path), _temporary(path))
        size = str(len(data))
        self._do(f"write {path}", ssh_scripts.WRITE, *names, f"{mode:o}", size, data=data)

    def append(self, path: Path, data: bytes) -> None:
        names = (str(path.parent), str(path), _temporary(path))
        self._do(f"write {path}", ssh_scripts.APPEND, *names, str(len(data)), data=data)

    def exists(self, path: Path) -> bool:
        return self._do(f"look at {path}", ssh_scripts.EXISTS, str(path)) == b"yes\n"

    def names(self, folder: Path) -> list[str]:
        said = self._do(f"list {folder}", ssh_scripts.NAMES, str(folder))
        return sorted(name for name in said.decode(errors="surrogateescape").split("\0") if name)

    def rename(self, path: Path, to: Path) -> None:
        names = (str(path), str(to), str(to.parent))
        self._do(f"rename {path}", ssh_scripts.RENAME, *names)

    def remove(self, *paths: Path) -> None:
        names = tuple(map(str, paths))
        self._do(f"remove {', '.join(names)}", ssh_scripts.REMOVE, *names)

    @contextmanager
    def lock(self, path: Path, holder: Holder) -> Iterator[None]:
        """`flock(1)` by a shell that lives as long as the channel: the kernel over there drops it
        when the line is cut. The file stays, for a second holder to find this very one.

        Raises HostFailed at the end of a block during which the line was cut: from there on
        somebody else may have been at work.
        """
        channel = self.open()
        try:
            arguments = (str(path.parent), str(path), lock_note.note(holder).decode())
            with answering(self.name, f"lock {path}"), channel.makefile("rb") as answer:
                channel.exec_command(ssh_scripts.call(ssh_scripts.LOCK, *arguments))
                ssh_scripts.skip_greeting(answer)
                said = answer.readline()
                if said == b"held\n":
                    raise lock_note.held(lock_note.said(answer.read()))
                if said != b"ours\n":
                    why = _last_words(channel.makefile_stderr("rb").read())
                    raise HostFailed(f"{self.name}: cannot lock {path}: {why}")
            channel.settimeout(None)
            try:
                with self._connection.holding():
                    yield
            except BaseException:
                with suppress(OSError, EOFError):
                    end_input(channel)
                    channel.status_event.wait(CLOSE_S)  # so that it is free for who comes next
                raise
            self._release(channel, path)
        finally:
            channel.close()

    def _release(self, channel: Channel, path: Path) -> None:
        lost = channel.closed or channel.exit_status_ready()
        if not lost:
            with answering(self.name, f"unlock {path}"):
                end_input(channel)
                channel.recv_exit_status()
        if lost:
            raise HostFailed(
                f"the line to {self.name} was cut while {path} was locked",
                hint="Somebody else may have been at work meanwhile: look at the journal.",
            )

    def holder(self, path: Path) -> str | None:
        said = self._do(f"look at {path}", ssh_scripts.HOLDER, str(path))
        return lock_note.said(said.removeprefix(b"held\n")) if said else None

    def sftp(self) -> SFTPClient:
        """A session for files, for whoever wants them as a store."""
        return self._connection.line().sftp()

    def require(self) -> None:
        self._connection.line()

    def reach(self, host: str, port: int) -> tuple[str, int]:
        return "127.0.0.1", self._tunnels.port(host, port)

    @property
    def engine(self) -> str | None:
        return self._tunnels.engine()

    def _to_port(self, host: str, port: int) -> Channel:
        return self._connection.line().to(host, port)

    def _to_engine(self) -> Channel:
        """As `DOCKER_HOST=ssh://` does it (docker/cli, cli/connhelper)."""
        channel = self.open()
        with answering(self.name, "reach its engine"), channel.makefile("rb") as answer:
            channel.exec_command(ssh_scripts.call("exec docker system dial-stdio"))
            ssh_scripts.skip_greeting(answer)
        channel.settimeout(None)
        return channel

    # What a RemoteChild needs of us.

    def open(self) -> Channel:
        return self._connection.line().channel()

    def guard(self, group: int) -> None:
        """Should the line be cut, the watchdog over there ends this process group."""
        self._tell(f"+ {group}\n")

    def release(self, group: int) -> None:
        self._tell(f"- {group}\n")

    def _tell(self, line: str) -> None:
        with self._mutex, answering(self.name, "speak to the watchdog"):
            if self._watchdog is None or self._watchdog.closed:
                if line.startswith("-"):
                    return  # it went with the line, and has done its work
                self._watchdog = self.open()
                self._watchdog.exec_command(f"exec sh -c {shlex.quote(_WATCHDOG)}")
            self._watchdog.sendall(line.encode())

    def _do(self, doing: str, script: str, *arguments: str, data: bytes = b"") -> bytes:
        try:
            code, stdout, stderr = self._ask(script, arguments, data)
        except HostFailed as error:
            error.message = f"cannot {doing}: {error.message}"
            raise
        if code != 0:
            raise HostFailed(f"{self.name}: cannot {doing}: {stderr or f'exit {code}'}")
        return stdout

    def _ask(self, script: str, arguments: tuple[str, ...], data: bytes) -> tuple[int, bytes, str]:
        code, stdout, stderr = self._shells.ask(script, arguments, data)
        return code, stdout, _last_words(stderr)


def _last_words(stderr: bytes) -> str:
    """The last line of it, without the name of the program that speaks."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].rpartition(": ")[2] if lines else ""


def _temporary(path: Path) -> str:
    return str(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"))
