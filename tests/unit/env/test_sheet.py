"""An env file is put back in one step, or is as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stockctl.core.errors import ConfigurationError, HostFailed, Refused
from stockctl.env.sheet import (
    PUBLIC,
    read_or_none,
    remove_file,
    replace_file,
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env.prod"
    path.write_bytes(b"old")
    path.chmod(0o600)
    return path


def alone(file: Path) -> bool:
    return [each.name for each in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("before", "after"), [(0o600, 0o600), (0o644, 0o600), (0o400, 0o400), (0o777, 0o600)]
)
def test_a_plain_file_never_gets_wider(file: Path, before: int, after: int) -> None:
    file.chmod(before)
    replace_file(file, b"new", b"old", "x")
    assert (file.read_bytes(), mode(file)) == (b"new", after)
    assert alone(file)


def test_a_public_file_keeps_its_mode(file: Path) -> None:
    file.chmod(0o664)
    replace_file(file, b"new", b"old", "x", PUBLIC)
    assert mode(file) == 0o664


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new"
    before = os.umask(umask)
    try:
        replace_file(path, b"new", None, "x")
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert alone(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(file: Path) -> None:
    os.chown(file, 12345, 23456)
    replace_file(file, b"new", b"old", "x")
    status = file.stat()
    assert (status.st_uid, status.st_gid, mode(file)) == (12345, 23456, 0o600)


def test_a_link_stays_one(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "there" / ".env.link"
    link.parent.mkdir()
    link.symlink_to("../.env.prod")
    replace_file(link, b"new", b"old", "x")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert [each.name for each in link.parent.iterdir()] == [".env.link"]


def test_a_link_to_nothing_makes_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("target")
    replace_file(link, b"new", None, "x")
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_what_somebody_else_wrote_meanwhile_stays(file: Path) -> None:
    for before in (b"older", None):
        with pytest.raises(Refused, match="changed by somebody else"):
            replace_file(file, b"new", before, ".env.prod")
        assert file.read_bytes() == b"old"
    file.unlink()
    with pytest.raises(Refused):
        replace_file(file, b"new", b"old", ".env.prod")
    assert not list(file.parent.iterdir())


def test_what_a_killed_write_left_is_swept(file: Path) -> None:
    (file.parent / ".env.prod.0a1b2c3d.stockctl-tmp").write_bytes(b"plaintext")
    (file.parent / ".env.production.0a1b2c3d.stockctl-tmp").write_bytes(b"another's")
    replace_file(file, b"new", b"old", "x")
    names = sorted(each.name for each in file.parent.iterdir())
    assert names == [".env.prod", ".env.production.0a1b2c3d.stockctl-tmp"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for path in (loop, tmp_path / "no" / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(HostFailed, match=r"^cannot write \.env\.prod: "):
            replace_file(path, b"new", None, ".env.prod")


def test_reading(tmp_path: Path, file: Path) -> None:
    assert read_or_none(file, "x") == b"old"
    assert read_or_none(tmp_path / "absent", "x") is None
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for path in (tmp_path, loop, Path("nul\0")):
        with pytest.raises(ConfigurationError, match=r"^\.env\.prod: cannot be read: "):
            read_or_none(path, ".env.prod")
    with file.open("wb") as large:
        large.truncate(20_000_000)
    with pytest.raises(ConfigurationError, match="too large"):
        read_or_none(file, "x")


def test_removing_takes_what_a_link_points_at_along(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    remove_file(link, "x")
    assert not list(tmp_path.iterdir())
    with pytest.raises(HostFailed, match="cannot remove x"):
        remove_file(file, "x")
