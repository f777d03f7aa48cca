"""Files on disk: what is read, and everything that is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stockctl.core.errors import ConfigurationError, HostFailed, UsageError
from stockctl.db.migration import Phase, new_migration, read_migrations


def findings(folder: Path) -> list[tuple[str, str, int | None]]:
    with pytest.raises(ConfigurationError) as caught:
        read_migrations(folder)
    assert all(each.fix and each.message for each in caught.value.findings)
    return [
        (each.code, Path(each.where.file).name, each.where.line)
        for each in caught.value.findings
        if each.where
    ]


def write(folder: Path, name: str, up: str | bytes = "SELECT 1;", down: str = "SELECT 1;") -> None:
    data = up if isinstance(up, bytes) else up.encode()
    (folder / f"{name}.sql").write_bytes(data)
    if down:
        (folder / f"{name}.rollback.sql").write_text(down)


def test_a_migration_is_read_with_all_that_its_headers_say(tmp_path: Path) -> None:
    write(tmp_path, "0001_a")
    write(
        tmp_path,
        "0002_b",
        "-- transactional: false\n--phase:contract\r\n-- depends: 0001_a\n\n-- why\nVACUUM;",
    )
    write(tmp_path, "0003_c", "-- irreversible: it deletes\nSELECT 1;", down="")
    first, second, third = read_migrations(tmp_path)
    assert (first.id, first.phase, first.transactional) == ("0001_a", Phase.EXPAND, True)
    assert first.down_path == tmp_path / "0001_a.rollback.sql"
    assert (second.phase, second.transactional) == (Phase.CONTRACT, False)
    assert second.depends == ("0001_a",)
    assert (third.irreversible, third.reversible) == ("it deletes", False)
    assert len({each.checksum for each in (first, second, third)}) == 3


@pytest.mark.parametrize(
    ("up", "code", "line"),
    [
        ("-- phase: expand\n-- Transactional: false\nSELECT 1;", "M009", 2),
        ("/* x */\n-- transactional: false\nSELECT 1;", "M009", 2),
        ("SELECT 1;\n-- phase: contract\n", "M009", 2),
        ("-- phase: both\nSELECT 1;", "M010", 1),
        ("-- transactional: no\nSELECT 1;", "M010", 1),
        ("-- phase: expand\n-- phase: expand\nSELECT 1;", "M010", 2),
        ("-- depends: 0009_x\nSELECT 1;", "M011", 1),
        ("-- depends: 0001_a\nSELECT 1;", "M011", 1),
        ("-- nothing here\n\n", "M012", 1),
        ("-- transactional: false\nSELECT 1; SELECT 2;", "M013", 1),
        ("SELECT 1;\nCOMMIT;\n", "M014", 2),
        ("-- irreversible: because\nSELECT 1;", "M015", 1),
        (b"\xef\xbb\xbfSELECT 1;", "M008", 1),
        (b"SELECT 1;\n\xff", "M007", 2),
        (b"SELECT 1;\n\0", "M007", 2),
    ],
)
def test_one_mistake_in_a_file(tmp_path: Path, up: str | bytes, code: str, line: int) -> None:
    write(tmp_path, "0001_a", up)
    assert findings(tmp_path) == [(code, "0001_a.sql", line)]


def test_what_only_looks_like_a_mistake(tmp_path: Path) -> None:
    write(
        tmp_path,
        "0001_a",
        "-- Phases: expand, then contract\n"
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n"
        "-- transactional: false\nCOMMIT; END $$;\nSELECT '\n-- phase: x\n';"
        "/*\n-- depends: nothing\n*/",
    )
    assert len(read_migrations(tmp_path)) == 1


def test_all_mistakes_of_a_folder_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, "0001_a", down="")
    write(tmp_path, "0001_b")
    write(tmp_path, "2_short")
    (tmp_path / "0003_gone.rollback.sql").write_text("SELECT 1;")
    (tmp_path / "0004_x.down.sql").write_text("SELECT 1;")
    (tmp_path / "0005_Upper.SQL").write_text("SELECT 1;")
    (tmp_path / "0006_code.py").write_text("")
    (tmp_path / "README.md").write_text("")
    write(tmp_path, "0007_single", "-- transactional: false\nVACUUM;", "-- transactional: true\n;")
    assert findings(tmp_path) == [
        ("M006", "0001_a.sql", None),
        ("M003", "0001_b.sql", None),
        ("M005", "0003_gone.rollback.sql", None),
        ("M004", "0004_x.down.sql", None),
        ("M002", "0005_Upper.SQL", None),
        ("M002", "0006_code.py", None),
        ("M012", "0007_single.rollback.sql", 1),
        ("M016", "0007_single.rollback.sql", 1),
        ("M002", "2_short.rollback.sql", None),
        ("M002", "2_short.sql", None),
    ]


def test_no_folder(tmp_path: Path) -> None:
    assert findings(tmp_path / "none") == [("M001", "none", None)]


def test_what_is_no_file_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "0001_a")
    (tmp_path / "0002_b.sql").mkdir()
    (tmp_path / "0003_c.rollback.sql").symlink_to(tmp_path / "nowhere")
    (tmp_path / "notes").mkdir()
    (tmp_path / ".#0001_a.sql").symlink_to("anna@desk.4711")  # Emacs, while the file is open
    assert findings(tmp_path) == [
        ("M007", "0002_b.sql", None),
        ("M007", "0003_c.rollback.sql", None),
    ]


@pytest.fixture
def nobody() -> Iterator[None]:
    """For root, who may read and write everywhere: somebody else for the length of a test."""
    was = os.geteuid()
    if was != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own is for its user alone."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def unreadable(theirs: Path) -> Path:
    write(theirs, "0001_a")
    for path in theirs.iterdir():
        path.chmod(0)
    return theirs


@pytest.mark.usefixtures("nobody")
def test_unreadable_files_are_findings(unreadable: Path) -> None:
    assert findings(unreadable) == [
        ("M007", "0001_a.rollback.sql", None),
        ("M007", "0001_a.sql", None),
    ]


@pytest.fixture
def closed(theirs: Path) -> Path:
    theirs.chmod(0)
    return theirs


@pytest.mark.parametrize("call", [read_migrations, partial(new_migration, name="x")])
def test_a_folder_that_lets_nobody_in(
    closed: Path, nobody: None, call: Callable[[Path], object]
) -> None:
    with pytest.raises(HostFailed, match=str(closed)) as caught:
        call(closed)
    assert caught.value.hint


@pytest.fixture
def read_only(theirs: Path) -> Path:
    theirs.chmod(0o555)
    return theirs


def test_a_new_one_into_a_folder_that_is_read_only(read_only: Path, nobody: None) -> None:
    with pytest.raises(HostFailed, match="cannot write a migration into") as caught:
        new_migration(read_only, "x")
    assert "belong" in caught.value.hint


@pytest.mark.parametrize("below", [(), ("deeper",)])
def test_a_new_one_where_a_file_is(tmp_path: Path, below: tuple[str, ...]) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ConfigurationError, match="is not a folder") as caught:
        new_migration(path.joinpath(*below), "x")
    assert "database.migrations" in caught.value.hint


def test_a_new_pair_is_a_finding_until_it_is_filled_in(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    up, down = new_migration(folder, "Add users!", Phase.CONTRACT, transactional=False)
    assert (up.name, down.name) == ("0001_add_users.sql", "0001_add_users.rollback.sql")
    assert findings(folder) == [("M012", down.name, 1), ("M012", up.name, 1)]
    for path in (up, down):
        path.write_text(path.read_text() + "SELECT 1;\n")
    [migration] = read_migrations(folder)
    assert (migration.phase, migration.transactional) == (Phase.CONTRACT, False)
    assert new_migration(folder, "next")[0].name == "0002_next.sql"


def test_two_at_once_take_different_numbers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: new_migration(tmp_path, f"t{n}"), range(24)))
    assert sorted(up.name[:4] for up, _ in made) == [f"{n:04d}" for n in range(1, 25)]


@pytest.mark.parametrize("name", ["", "///", "größe"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a name"):
        new_migration(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_the_numbers_end(tmp_path: Path) -> None:
    write(tmp_path, "9999_last")
    with pytest.raises(UsageError, match="end at 9999"):
        new_migration(tmp_path, "more")
