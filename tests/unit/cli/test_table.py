"""A table on a terminal that is too narrow for it."""

from __future__ import annotations

from stockctl.cli.table import Row, spilled

COLUMNS = ("BACKUP", "AGE", "SIZE", "ENCRYPTED", "")
ROWS = [
    Row(("20261126T081512Z", "2 h ago", "79.9 MB", "yes", "pinned: before the big one")),
    Row(("20261125T081512Z", "26 h ago", "79.9 MB", "no", ""), "red"),
]


def told(width: int) -> list[str] | None:
    lines = spilled(COLUMNS, ROWS, width)
    return None if lines is None else [line for line, _ in lines]


def test_what_fits_is_no_business_of_ours() -> None:
    assert told(80) is None
    assert told(72) is None  # the last column may fold


def test_what_does_not_fit_stands_beneath_with_its_name() -> None:
    assert told(50) == [
        "BACKUP            AGE       SIZE     ENCRYPTED",
        "20261126T081512Z  2 h ago   79.9 MB  yes",
        "    pinned: before the big one",
        "20261125T081512Z  26 h ago  79.9 MB  no",
    ]
    assert told(40) == [
        "BACKUP            AGE       SIZE",
        "20261126T081512Z  2 h ago   79.9 MB",
        "    encrypted: yes · pinned: before the",
        "    big one",
        "20261125T081512Z  26 h ago  79.9 MB",
        "    encrypted: no",
    ]


def test_the_first_column_is_never_cut() -> None:
    lines = told(10)
    assert lines is not None
    assert lines[1] == "20261126T081512Z"


def test_what_stands_beneath_has_its_row_s_colour() -> None:
    lines = spilled(COLUMNS, ROWS, 40)
    assert lines is not None
    assert [style for _, style in lines] == ["bold", "", "", "", "red", "red"]


def test_wide_characters_count_twice() -> None:
    lines = spilled(("A", "B"), [Row(("日本", "x" * 30)), Row(("a", "y"))], 20)
    assert lines is not None
    assert [line for line, _ in lines][:2] == ["A", "日本"]
