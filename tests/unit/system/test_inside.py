"""What a container says of its room and processors."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.system.inside import Folder, Inside, look_inside, parse
from stockctl.system.local import LocalHost

DATA = "/var/lib/postgresql/data\tyes\t/dev/vda 1000 400 600 40% /var/lib/postgresql/data\n"


def temporary(folder: str, filesystem: str = "overlay", writable: str = "yes") -> str:
    return f"{folder}\t{writable}\t{filesystem} 1000 400 600 40% /\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (temporary("/var/tmp") + temporary("/tmp"), "/var/tmp"),
        (temporary("/var/tmp", writable="no") + temporary("/tmp"), "/tmp"),
        (temporary("/var/tmp", "tmpfs") + temporary("/tmp"), "/tmp"),
        (temporary("/a\tb c") + temporary("/tmp"), "/a\tb c"),
        (temporary("/var/tmp", "tmpfs") + temporary("/tmp", "shm"), None),
        ("/nowhere\tno\t\n" + "/tmp\tyes\tdf: what?\n", None),
    ],
)
def test_the_first_folder_on_a_disk(said: str, expected: str | None) -> None:
    found = parse(f"4\n{DATA}{said}")
    assert found.processors == 4
    assert found.asked == Folder("/var/lib/postgresql/data", 1_024_000, 614_400)
    assert (found.temporary and found.temporary.path) == expected


@pytest.mark.parametrize(("used", "shared"), [(600, True), (595, True), (500, False)])
def test_one_disk_has_one_number(used: int, shared: bool) -> None:
    said = parse(f"1\n{DATA}/var/tmp\tyes\toverlay 1000 400 {used} 40% /\n")
    assert said.temporary is not None
    assert said.temporary.shares(said.asked) is shared
    assert not said.temporary.shares(None)


@pytest.mark.parametrize("said", ["", "1\n"])
def test_where_nothing_is_said(said: str) -> None:
    assert parse(said) == Inside(1)


def test_this_machine_is_asked_like_a_container(tmp_path: Path) -> None:
    found = look_inside(LocalHost(), (), str(tmp_path))
    assert found.processors >= 1
    assert found.asked is not None
    assert found.asked.path == str(tmp_path)
    assert found.asked.free > 0
    assert look_inside(LocalHost(), ("false",), "/") == Inside(1)
