"""One value changes, and not one byte beside it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stockctl.core.errors import ConfigurationError
from stockctl.env.dotenv import parse_env_file
from stockctl.env.edits import append, copy_value, find_statements, newline_of, set_value


def values(text: str) -> dict[str, str]:
    """As every other command reads them."""
    env = parse_env_file(Path(".env"), ".env", text.encode(), {})
    assert not env.broken
    return {key: value.reveal() for key, value in env.values().items()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("K=old\n", "K=new\n"),
        ("K=old", "K=new"),
        ("K=\n", "K=new\n"),
        ("K=", "K=new"),
        ("K=   \n", "K=   new\n"),
        ("K = old  # why\n", "K = new  # why\n"),
        ("K=# all of it\n", "K=new\n"),
        ("K= # why\n", "K=new # why\n"),
        ("K=a#b # why\n", "K=new # why\n"),
        ("  export K=old\n", "  export K=new\n"),
        ("export\tK='old' # why\n", "export\tK='new' # why\n"),
        ("'K'='old'\n", "'K'='new'\n"),
        ('K="old ${X}"  \n', 'K="new"  \n'),
        ('K="a\\"b" # \'\n', 'K="new" # \'\n'),
        ("K='a\\'b'\n", "K='new'\n"),
        ('K=""\n', 'K="new"\n'),
        ('K="one\ntwo"\nL=1\n', 'K="new"\nL=1\n'),
        ("A=1\r\nK=old\r\nB=2\r\n", "A=1\r\nK=new\r\nB=2\r\n"),
        ("\ufeffK=old\n", "\ufeffK=new\n"),
        ("\ufeff# K=\r\n\r\nK=old\r\n", "\ufeff# K=\r\n\r\nK=new\r\n"),
        ("K=1\nK=old\n", "K=1\nK=new\n"),
        ("KK=old\nK=old\nMY_K=old\n", "KK=old\nK=new\nMY_K=old\n"),
        ("A=K=old\nK=old\n", "A=K=old\nK=new\n"),
        ('A="\nK=inside\n"\nK=old\n', 'A="\nK=inside\n"\nK=new\n'),
        ("K=old\rL=1\r", "K=new\rL=1\r"),
        ("K=старый # да\n", "K=new # да\n"),
    ],
)
def test_only_the_value_changes(before: str, after: str) -> None:
    assert set_value(before, "K", "new") == after
    assert values(after)["K"] == "new"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "K=new\n"),
        ("\ufeff", "\ufeffK=new\n"),
        ("A=1\n", "A=1\nK=new\n"),
        ("A=1", "A=1\nK=new\n"),
        ("A=1\r\nB=2", "A=1\r\nB=2\r\nK=new\r\n"),
        ("# K=commented", "# K=commented\nK=new\n"),
        ("A=1\n\n\n", "A=1\n\n\nK=new\n"),
    ],
)
def test_a_key_that_is_not_there_comes_last(before: str, after: str) -> None:
    assert set_value(before, "K", "new") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("K=old\nZ=1\n", "K=old\nP=old\nZ=1\n"),
        ("K=old", "K=old\nP=old"),
        ("A=1\r\nK='a b'\r\nZ=1\r\n", "A=1\r\nK='a b'\r\nP='a b'\r\nZ=1\r\n"),
        ('  export K = "old"  # why\n', '  export K = "old"  # why\nexport P = "old"\n'),
        ("K=old\nP=older # before\n", "K=old\nP=old # before\n"),
        ("P='older'\nK=old\n", "P=old\nK=old\n"),
        ("P= # nothing yet\nK='a'\n", "P='a' # nothing yet\nK='a'\n"),
        ('K="one\ntwo"\nZ=1\n', 'K="one\ntwo"\nP="one\ntwo"\nZ=1\n'),
    ],
)
def test_the_old_value_goes_to_another_key(before: str, after: str) -> None:
    assert copy_value(before, "K", "P") == after
    assert values(after)["P"] == values(before)["K"]


@pytest.mark.parametrize("text", ['A="open\nK=1\n', "K=1\nnonsense\n", "=1\n", "K=1\nA='x\n"])
def test_nothing_is_changed_where_a_statement_does_not_parse(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"line \d+ or below does not parse"):
        set_value(text, "K", "new")


@pytest.mark.parametrize("value", ["", "a b", "a$b", "a#b", "'", "a\n", "ä", "a\\b"])
def test_only_values_that_mean_themselves_are_written(value: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        set_value("K=1\n", "K", value)


def test_line_ends_are_those_of_the_file() -> None:
    assert [newline_of(text) for text in ("", "a", "a\nb\r\n", "a\r\nb\n", "a\rb")] == [
        "\n",
        "\n",
        "\n",
        "\r\n",
        "\r",
    ]
    assert append("A=1\r\n", "B=2") == "A=1\r\nB=2\r\n"


def test_large_files_and_long_lines_take_no_time() -> None:
    text = "".join(f"K{n}=v\n" for n in range(100_000)) + "A=b" + " " * 1_000_000 + "c\n"
    began = time.process_time()
    assert set_value(text, "K5", "new").count("K5=new\n") == 1
    assert time.process_time() - began < 5


KEYS = st.sampled_from(["K", "A", "B_2", "'Q'", "export K", "  export\tA", " K", "Ü"])
QUOTED = st.text("ab '\"#$\\{}\n=é", max_size=8).map(
    lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
)
DOUBLE = st.text("ab '\"#$\\{}\n=é", max_size=8).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
BARE = st.text("ab\"'#$\\{} =é\t", max_size=8)
LINE = st.one_of(
    st.builds("{}{}{}{}".format, KEYS, st.sampled_from(["=", " = ", "= ", "\t="]),
              st.one_of(QUOTED, DOUBLE, BARE), st.sampled_from(["", " ", " # c", " # K=1"])),
    st.sampled_from(["", "# K=1", "   ", "#", "\t# x"]),
)  # fmt: skip
FILES = st.builds(
    lambda bom, lines, eol, last: bom + eol.join(lines) + last * eol,
    st.sampled_from(["", "\ufeff"]),
    st.lists(LINE, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)


@given(text=FILES, key=st.sampled_from(["K", "A", "B_2", "Q", "NEW"]))
def test_in_any_file_all_other_bindings_stay(text: str, key: str) -> None:
    try:
        statements = find_statements(text)
    except ConfigurationError:
        assume(False)
        return
    # those that refer to the key change with it, as they should
    assume("${" not in text)
    changed = set_value(text, key, "new1")
    before, after = values(text), values(changed)
    assert after == {**before, key: "new1"}
    counting = [each for each in statements if each.key == key]
    if counting:
        begin, end = counting[-1].inner
        assert changed == text[:begin] + "new1" + text[end:]
    else:
        assert changed.startswith(text)
        assert re.fullmatch(
            r"(\r?\n)?NEW=new1\r?\n" if key == "NEW" else r"(?s).*", changed[len(text) :]
        )


@given(text=FILES)
def test_in_any_file_the_old_value_is_kept_as_it_was(text: str) -> None:
    try:
        keys = {each.key for each in find_statements(text)}
    except ConfigurationError:
        assume(False)
        return
    assume("K" in keys and "${" not in text)
    before = values(text)
    changed = set_value(copy_value(text, "K", "K_PREVIOUS"), "K", "new1")
    assert values(changed) == {**before, "K": "new1", "K_PREVIOUS": before["K"]}


def test_comments_above_a_quoted_value_are_read_once() -> None:
    text = "# what comes next\n" * 40_000 + 'KEY="old"\n'  # minutes, if it were for each of them
    assert set_value(text, "KEY", "new") == text.replace('"old"', '"new"')
