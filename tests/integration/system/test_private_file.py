"""Files without a name, on this machine and as they are made in a container: by a shell there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.children import untraced
from tests.disks import small_disk

from stockctl.core.errors import HostFailed, ToolFailed
from stockctl.system.local import LocalHost
from stockctl.system.private_file import PrivateFile, in_container, in_memory, on_disk

HOST = LocalHost()
Make = Callable[[Path], AbstractContextManager[PrivateFile]]
# What enters a container is a command before the command.
KINDS: dict[str, Make] = {
    "memory": lambda _folder: in_memory(),
    "disk": on_disk,
    "container": lambda folder: in_container(HOST, ("env",), str(folder)),
}
KILLED = """
import sys, time
from stockctl.system.local import LocalHost
from stockctl.system.private_file import in_container
def blocks():
    yield b"secret" * 100_000
    print(file.path, flush=True)
    time.sleep(60)
with in_container(LocalHost(), ("env",), sys.argv[1]) as file:
    file.write(blocks())
"""


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_what_was_written_and_has_no_name(kind: str, tmp_path: Path) -> None:
    blocks = [os.urandom(100_000), b"", b"end"]
    with KINDS[kind](tmp_path) as file:
        assert file.write(blocks) == 100_003
        opened = subprocess.run(
            ["cat", file.path], pass_fds=file.inherits, capture_output=True, check=True
        )
        assert opened.stdout == b"".join(blocks)
        assert Path(file.path).stat().st_mode & 0o077 == 0 or kind == "memory"
        assert list(tmp_path.iterdir()) == []
    assert not Path(file.path).exists()


def test_killed_in_the_middle_nothing_is_left(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=untraced()) as child:
        assert child.stdout is not None
        path = Path(child.stdout.readline().strip())
        assert path.exists()
        assert list(tmp_path.iterdir()) == []
        child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while path.exists():
        assert time.monotonic() < deadline, "the shell that held it is still there"
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["disk", "container"])
def test_a_full_disk_is_said(kind: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "256k") as folder:
        with pytest.raises(HostFailed, match="cannot write to") as caught, KINDS[kind](folder) as f:
            f.write([bytes(1 << 20)] * 4)
        assert "No space left" in f"{caught.value}{caught.value.details}"
        assert "--jobs 1" in caught.value.hint
        assert list(folder.iterdir()) == []


def test_bytes_that_are_lost_on_the_way_are_missed(tmp_path: Path) -> None:
    enter = ("sh", "-c", 'case "$3" in *cat*) head -c 10 | "$@";; *) exec "$@";; esac', "sh")
    with (
        in_container(HOST, enter, str(tmp_path)) as file,
        pytest.raises(HostFailed, match="of 20 bytes only 10"),
    ):
        file.write([bytes(20)])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed), in_container(HOST, ("env",), str(tmp_path / "gone")):
        pass
