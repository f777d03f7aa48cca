"""What python-dotenv and Compose agree on passes; what they differ about is told in words.

The tables hold what was seen; tests/contract/test_env_file_readers.py asks the two readers again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.env.dotenv import parse_env_file
from stockctl.env.portable import FIX, differs

KNOWN = {"HOST": "db", "EMPTY": "", "PASSWORD": "hunter2hunter2"}
PEM = "-----BEGIN KEY-----\nMIIB+/Vw==\n-----END KEY-----"

AGREED = [
    "A=",
    "A=1",
    "A = 1",
    "export A=1",
    "export\tA  =\t1 ",
    "export=1",
    "A=two words",
    "A=a=b=c==",
    "A=V4s0nJq8+Lk2/PzXw7Rt5Yb==",
    "A=postgres://u:p%40ss@db:5432/app?sslmode=require&x=1#top",
    "A=https://x.example/a,b;c~d/(e)!*'\"[f]|<g>^h",
    "A=*",
    "A=C:\\dir\\new\\table",
    "A=a\\'b\\\"c",
    'A=it\'s "quoted" here',
    "A=#no-comment",
    "A=a#b",
    "A=a # comment",
    "A=a  # comment with $ and ${ and \" and '",
    "A=a # b\t# c",
    "A=$",
    "A=5$",
    "A=5$ and 6$",
    "A=$5",
    "A=$.$-$/$%",
    "A=}{",
    "A=caf\u00e9 \u20ac",
    "A=a\u00a0b",
    "A='a b'",
    'A="a b"',
    'A="a b"# comment',
    "A='a b'  # $comment",
    'A=\'{"a": [1, "$b", "$$", null], "c": "\\n"}\'',
    "A='pa$$word$1'",
    "A='it\\'s'",
    "A='${'",
    "A='a\nb'",
    f'A="{PEM}"',
    'A="a\\nb\\tc\\rd\\\\e\\"f\\a\\b\\f\\v"',
    'A="\\d\\w\\x41\\u0041\\1"',
    'A="\\\\0 \\\\\'"',
    "A=${HOST}",
    "A=${PATH_OF_NOBODY}",
    "A=${HOST}:5432/${HOST}",
    'A="${HOST}\n${HOST}"',
    'A="\\\\${HOST}"',
    "A=postgres://u:${PASSWORD}@${HOST:-db}:5432/app?a={b}",
    "A=${EMPTY}",
    "A=${EMPTY:-}",
    "A=${HOST:-db}",
    "A=${NOBODY:-http://127.0.0.1:80/?a=b-c+d,e}",
    'A="${NOBODY:-two words}"',
    "A=${NOBODY:-a#b}",
]

REFUSED = {
    "A=cost$def": "Compose expands $NAME",
    "A=$HOST": "Compose expands $NAME",
    "A=$_": "Compose expands $NAME",
    'A="a $HOST"': "Compose expands $NAME",
    "A=\\$HOST": "Compose expands $NAME",
    "A=$\u017f": "Compose expands $NAME",
    "A=pa$$word": "Compose reads $$ as one $",
    'A="pa$$"': "Compose reads $$ as one $",
    "A=$${HOST}": "Compose reads $$ as one $",
    'A="\\$HOST"': "Compose reads \\$ as $",
    'A="\\\\\\$5"': "Compose reads \\$ as $",
    'A="it\\\'s"': "python-dotenv reads \\' as '",
    'A="\\0"': "Compose reads \\0",
    'A="\\0101"': "Compose reads \\0",
    "A='a\\\\b'": "one of two backslashes",
    "A='${HOST}'": "in single quotes",
    "A='${NOBODY:-x}'": "in single quotes",
    "A=${HOST:?must be set}": "${NAME:-plain text} only",
    "A=${HOST-x}": "${NAME:-plain text} only",
    "A=${HOST:+x}": "${NAME:-plain text} only",
    "A=${HOST": "${NAME:-plain text} only",
    "A=${}": "${NAME:-plain text} only",
    "A=${ HOST }": "${NAME:-plain text} only",
    "A=${5}": "${NAME:-plain text} only",
    "A=${A.B}": "${NAME:-plain text} only",
    "A=${NOBODY:-${HOST}}": "${NAME:-plain text} only",
    "A=${NOBODY:-$HOST}": "${NAME:-plain text} only",
    "A=${HOST:-{}}": "${NAME:-plain text} only",
    'A="${NOBODY:-a\nb}"': "${NAME:-plain text} only",
    'A="${NOBODY:-a\\nb}"': "${NAME:-plain text} only",
    "A=${NOBODY:-a #b}": "${NAME:-plain text} only",
    "A=${EMPTY:-x}": "EMPTY is empty: Compose takes the default",
    'A="${HOST} ${EMPTY:-x}"': "EMPTY is empty: Compose takes the default",
    "A= # comment": "# after = and a space",
    "A = #x": "# after = and a space",
    "A=a\t# comment": "begins a comment",
    "A=a\u00a0# comment": "begins a comment",
    "A=a \t# comment # c": "begins a comment",
    "A=\u2003a": "white space after =",
    'A=\u2003"a"': "white space after =",
    "A=a\x1c": "a control character",
    '\x1dA="a"': "before =",
    'A="a"\x1f': "a control character",
    "A=1\rB=2": "carriage return",
    'A="a\r\nb"': "carriage return",
    "'A'=1": "before =",
    "A\u2003=1": "before =",
    "export\u00a0A=1": "before =",
    "export\vA=1": "before =",
}


@pytest.mark.parametrize("written", AGREED)
def test_what_both_read_alike_passes(written: str) -> None:
    assert differs(written, KNOWN) is None


@pytest.mark.parametrize("written", AGREED)
def test_what_passes_is_one_statement_of_the_env_file(written: str) -> None:
    env = parse_env_file(Path(".env"), ".env", written.encode(), KNOWN)
    assert [binding.written.reveal() for binding in env.bindings] == [written.rstrip("\r\n")]


@pytest.mark.parametrize("written", REFUSED)
def test_what_they_read_differently_is_told(written: str) -> None:
    assert REFUSED[written] in (differs(written, KNOWN) or "")


def test_a_default_is_the_same_to_both_unless_the_variable_is_set_and_empty() -> None:
    assert differs("A=${X:-d}", {}) is None
    assert differs("A=${X:-d}", {"X": "x"}) is None
    assert differs("A=${X:-d}", {"X": ""}) is not None
    assert differs("A=${X:-}", {"X": ""}) is None


def test_a_default_is_not_the_same_when_the_file_sets_the_variable_later() -> None:
    assert "X has no value yet" in (differs("A=${X:-d}", {}, {"A", "X"}) or "")
    assert "X has no value yet" in (differs('A="${X:-}"', {}, {"A", "X"}) or "")
    assert "A has no value yet" in (differs("A=${A:-x}y", {}, {"A"}) or "")
    assert differs("A=${X:-d}", {"X": "x"}, {"A", "X"}) is None
    assert differs("A=${X:-d}", {}, {"A"}) is None


@pytest.mark.parametrize(
    "written", ["$Tr0ub4dor", "a$$Tr0ub4dor", "'\\\\${Tr0ub4dor}'", "${X:-$Tr0ub4dor}"]
)
def test_no_reason_holds_a_part_of_the_value(written: str) -> None:
    reason = differs(f"A={written}", {})
    assert reason and "Tr0ub4dor" not in reason


def test_a_name_in_a_reason_is_one_between_braces() -> None:
    assert "EMPTY" in (differs("A=${EMPTY:-Tr0ub4dor}", KNOWN) or "")
    assert "Tr0ub4dor" not in (differs("A=${EMPTY:-Tr0ub4dor}", KNOWN) or "")


def test_what_the_fix_names_is_read_alike() -> None:
    for piece in ("\\n", "\\r", "\\t", '\\"', "\\\\", "${NAME}", "${NAME:-plain text}"):
        assert piece in FIX
        assert differs(f'A="{piece}"', {"NAME": "x"}) is None
