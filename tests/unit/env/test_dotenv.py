"""Env files: every line that is wrong is named, and nothing is swallowed in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.env.dotenv import SIZE_LIMIT_BYTES, EnvFile, read_env_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def read(file: Path, content: str | bytes, **process: str) -> EnvFile:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_env_file(file, ".env", process)


def values(env: EnvFile) -> dict[str, str]:
    return {key: value.reveal() for key, value in env.values().items()}


def found(env: EnvFile) -> list[tuple[str, int | None]]:
    """What the reading says, what is broken, and what refers to nothing."""
    findings = [(f.code, f.where.line if f.where else None) for f in env.findings]
    broken = [("broken", each.where.line) for each in env.broken]
    return findings + broken + [("unset", b.where.line) for b in env.bindings if b.unset]


def test_keys_and_values_are_read(file: Path) -> None:
    env = read(file, "# comment\n\nA=1\nexport B = two words \nC='x # y'\nD=\"a\\nb\"\nE=\nF=a#b\n")
    expected = {"A": "1", "B": "two words", "C": "x # y", "D": "a\nb", "E": "", "F": "a#b"}
    assert values(env) == expected
    assert env.findings == ()


def test_a_binding_knows_its_line(file: Path) -> None:
    env = read(file, "# c\nA=1\n\n\nB=2\n  \nC=3\n")
    lines = {b.key: b.where.line for b in env.bindings}
    assert lines == {"A": 2, "B": 5, "C": 7}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_are_counted_whatever_ends_them(file: Path, newline: str) -> None:
    env = read(file, newline.join(["A=1", "", " ", "", "B=2", "C", ""]))
    assert [(b.key, b.where.line) for b in env.bindings] == [("A", 1), ("B", 5)]
    assert found(env) == [("broken", 6)]


def test_windows_line_ends_are_not_part_of_a_value(file: Path) -> None:
    assert values(read(file, "A=1\r\nB=two\r\n")) == {"A": "1", "B": "two"}


def test_a_byte_order_mark_is_not_part_of_the_first_key(file: Path) -> None:
    env = read(file, b"\xef\xbb\xbfA=1\n")
    assert values(env) == {"A": "1"}


@pytest.mark.parametrize("line", ['A="open', "A='open", "KEY", "A B=1", '"x" trailing', 'A="x" y'])
def test_a_line_that_is_no_binding_is_named(file: Path, line: str) -> None:
    env = read(file, f"FIRST=1\n{line}\nLAST=2\n")
    assert ("broken", 2) in found(env)
    assert values(env)["FIRST"] == "1"


def test_an_unclosed_quote_is_named_at_its_own_line(file: Path) -> None:
    env = read(file, 'A=1\nB="open\nC=3\nD="closed"\nE=5\n')
    assert found(env) == [("broken", 2)]
    assert values(env) == {"A": "1", "C": "3", "D": "closed", "E": "5"}


def test_of_duplicates_the_last_one_counts(file: Path) -> None:
    env = read(file, "A=1\nB=2\nA=3\n")
    assert [binding.key for binding in env.bindings] == ["A", "B", "A"]
    assert values(env)["A"] == "3"
    where = env.where("A")
    assert where is not None
    assert where.line == 3


def test_references_come_from_earlier_lines_then_from_the_process(file: Path) -> None:
    env = read(file, "A=1\nB=${A}${C}\nD=${X:-def}\n", A="process", C="process")
    assert values(env) == {"A": "1", "B": "1process", "D": "def"}
    assert env.findings == ()


def test_a_reference_that_is_not_set_is_named(file: Path) -> None:
    env = read(file, "A=1\nB=${GONE}\nC=${A}${ALSO_GONE}\n")
    assert found(env) == [("unset", 2), ("unset", 3)]
    assert [binding.unset for binding in env.bindings[1:]] == [("GONE",), ("ALSO_GONE",)]


def test_a_later_line_cannot_be_referred_to(file: Path) -> None:
    assert found(read(file, "A=${B}\nB=1\n")) == [("unset", 1)]


def test_a_dollar_without_braces_stays(file: Path) -> None:
    assert values(read(file, "A=pa$word\nB='$5'\n")) == {"A": "pa$word", "B": "$5"}


def test_no_message_holds_a_value(file: Path) -> None:
    canary = "canary-7f3a91"
    content = f'A={canary}\nA={canary}\nB="{canary}\n{canary}\nC=${{X}}{canary}\n'
    env = read(file, content)
    assert env.broken
    assert canary not in repr(env.findings)
    assert canary not in repr(env)


@pytest.mark.parametrize(
    ("content", "line"), [(b"A=1\nB=\xff\n", 2), (b"A=1\n\nB=x\0y\n", 3), (b"\xff\xfeA\0", 1)]
)
def test_bytes_that_are_no_text_are_named(file: Path, content: bytes, line: int) -> None:
    env = read(file, content)
    assert found(env) == [("E000", line)]
    assert env.bindings == ()


def test_a_folder_and_a_missing_file_are_one_finding(file: Path) -> None:
    assert found(read_env_file(file, ".env", {})) == [("E000", None)]
    file.mkdir()
    assert found(read_env_file(file, ".env", {})) == [("E000", None)]


def test_a_huge_file_is_not_read(file: Path) -> None:
    with file.open("wb") as out:
        out.truncate(SIZE_LIMIT_BYTES + 1)
    env = read_env_file(file, ".env", {})
    assert found(env) == [("E000", None)]
    assert "8 MB" in env.findings[0].message


def test_comments_above_a_quoted_value_are_read_once(file: Path) -> None:
    env = read(file, "# what comes next\n" * 40_000 + 'A="x"\n')  # minutes, if for each of them
    assert [(each.key, each.where.line) for each in env.bindings] == [("A", 40_001)]


def test_an_empty_file_is_fine(file: Path) -> None:
    env = read(file, "")
    assert (env.bindings, env.findings) == ((), ())


def test_a_line_of_an_unquoted_key_is_no_name(file: Path) -> None:
    content = "KEY=-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0B\nQ29uZmlkZW50aWFsS2V5MQ==\nA=1\n"
    env = read(file, content)
    assert list(env.values()) == ["KEY", "A"]
    assert [each.where.line for each in env.broken] == [2, 3]


def test_references_that_multiply_end_before_the_memory_does(file: Path) -> None:
    doubling = "".join(f"K{i}=${{K{i - 1}}}${{K{i - 1}}}\n" for i in range(1, 60))
    env = read(file, f"K0=xxxxxxxxxx\n{doubling}")
    assert found(env) == [("E000", 20)]
    assert env.bindings == ()


def test_references_that_do_not_close_are_one_broken_line(file: Path) -> None:
    assert found(read(file, "A=" + "${X:-" * 100_000 + "\nB=1\n")) == [("broken", 1)]
