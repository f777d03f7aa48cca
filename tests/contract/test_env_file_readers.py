"""stockctl, python-dotenv and Compose read one env file: where no rule objects, they agree.

The real `docker compose config` and the real python-dotenv; no engine is needed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from stockctl.env import portable
from stockctl.env.dotenv import parse_env_file
from stockctl.env.portable import differs

DEADLINE_S = 60
EXAMPLES, CAMPAIGN = 20, 300  # each of some forty statements
STATEMENTS = 50
KEYS = tuple(f"V{number}" for number in range(STATEMENTS))

# Each of them is read differently, today, with a reason; together they give every reason there is.
DIFFERENT = (
    "K=cost$def",
    "K=$SET",
    "K=$\u017f",
    "K=pa$$word",
    'K="\\$5"',
    'K="it\\\'s"',
    'K="\\0"',
    'K="\\0101"',
    "K='a\\\\b'",
    "K='${SET}'",
    "K='${NOBODY:-x}'",
    "K=${SET:+x}",
    "K=${SET",
    "K=${NOBODY:-${SET}}",
    "K=${SET:-{}}",
    'K="${NOBODY:-a\nb}"',
    "K=${EMPTY:-x}",
    "K= # comment",
    "K=a\t# comment",
    "K=a\u00a0# comment",
    "K=\u2003a",
    "K=a\x1c",
    "K=a\rL=2",
    'K="a\r\nb"',
    "'K'=1",
    "K\u2003=1",
    "export\u00a0K=1",
)


@dataclass(frozen=True)
class Readers:
    """The two readers in a folder of their own, without anything from this process."""

    folder: Path

    def compose(self, text: str, keys: list[str]) -> list[Mapping[str, str]]:
        """What a service gets by `${KEY}` and by `env_file:`; nothing when Compose refuses."""
        (self.folder / "env").write_bytes(text.encode())
        values = {key: f"${{{key}}}" for key in keys}
        services = {
            "named": {"image": "x", "environment": values},
            "whole": {"image": "x", "env_file": "env"},
        }
        (self.folder / "c.yaml").write_text(json.dumps({"name": "p", "services": services}))
        command = "docker compose -f c.yaml --env-file env config --format json"
        home = {name: os.environ[name] for name in ("PATH", "HOME")}
        done = subprocess.run(
            command.split(), cwd=self.folder, env=home, capture_output=True, timeout=DEADLINE_S
        )
        if done.returncode:
            return []
        read = json.loads(done.stdout)["services"]
        # `config` writes every $ of a value as $$
        return [
            {key: value.replace("$$", "$") for key, value in read[name]["environment"].items()}
            for name in services
        ]

    def python_dotenv(self, text: str) -> Mapping[str, str | None]:
        """Its own way to open the file; what it would find in this process is in no file here."""
        (self.folder / "env").write_bytes(text.encode())
        return dotenv_values(self.folder / "env")


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    with tempfile.TemporaryDirectory() as folder:
        yield Readers(Path(folder))


def accepted(written: str, known: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Statement, key and value when stockctl has nothing against a statement in its place."""
    env = parse_env_file(Path("env"), "env", written.encode(), known)
    if env.findings or env.broken or len(env.bindings) != 1:
        return None
    binding = env.bindings[0]
    if binding.unset or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", binding.key):
        return None
    if binding.key in known or differs(binding.written.reveal(), known, KEYS):
        return None
    return binding.written.reveal(), binding.key, binding.value.reveal()


TROUBLE = (
    *"${}#'\"\\:-+?=,;|&%@/!*()<>~^[]`abfntS01",
    *(" ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u00a0", "\u2003", "\u2028"),
    *("\u017f", "\u00e9", "\U0001f600", " #", "\t#", "export ", "A="),
    *("$$", "$S", "\\$", "\\\\", "\\n", "\\0", "\\0101", "\\'", '\\"', "${", "${NOBODY:-"),
    *("${SET}", "${EMPTY}", "${V1}", "${V3}", "${V2:-", "${V9:-d}", "${V20:-d}", "${EMPTY:-"),
    *("${NOBODY:-d}", "${SET:-d}", "${SET:?", "${SET-", "${SET:+"),
)
HEADS = ("",) * 9 + ("export ", "export\t", "export \f", "export\u00a0")
GAPS = ("",) * 9 + (" ", "\t", " \u00a0", "\u2003", "\x1c")
TAILS = ("",) * 9 + (" ", "\u2003", " # c", "#c", "\t# ${", "\x1d")
BODIES = st.lists(st.sampled_from(TROUBLE), max_size=12).map("".join)


@st.composite
def statements(draw: st.DrawFn) -> list[str]:
    """The statements of an env file: two for the others to name, then trouble."""
    lines = ["SET=some text", "EMPTY="]
    for key in KEYS[: draw(st.integers(STATEMENTS // 2, STATEMENTS))]:
        quote, gap = draw(st.sampled_from(("", "'", '"'))), draw(st.sampled_from(GAPS))
        body = draw(BODIES)
        if quote and draw(st.booleans()):
            body = body.replace(quote, "")
        ends = draw(st.sampled_from(HEADS)), draw(st.sampled_from(TAILS))
        lines.append(f"{ends[0]}{key}={gap}{quote}{body}{quote}{ends[1]}")
    return lines


FILES = {
    "lines": statements(),
    "newline": st.sampled_from(("\n", "\n", "\r\n")),
    "ending": st.sampled_from(("", "\n", "\n\n# $ ${ '\n")),
}
SLOW = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(SLOW, max_examples=EXAMPLES)
@given(**FILES)
def test_what_no_rule_objects_to_has_one_value(
    lines: list[str], newline: str, ending: str, readers: Readers
) -> None:
    all_agree(lines, newline, ending, readers)


@pytest.mark.campaign
@settings(SLOW, max_examples=CAMPAIGN)
@given(**FILES)
def test_in_many_files(lines: list[str], newline: str, ending: str, readers: Readers) -> None:
    all_agree(lines, newline, ending, readers)


def all_agree(lines: list[str], newline: str, ending: str, readers: Readers) -> None:
    """On the statements that no rule objects to."""
    known: dict[str, str] = {}
    kept: list[str] = []
    for line in lines:
        statement = accepted(line, known)
        if statement and (newline == "\n" or "\n" not in statement[0]):
            kept.append(statement[0])
            known[statement[1]] = statement[2]
    event(f"{len(kept) // 5 * 5} or more statements kept")
    text = newline.join(kept) + ending.replace("\n", newline)
    env = parse_env_file(Path("env"), "env", text.encode(), {})
    assert {key: value.reveal() for key, value in env.values().items()} == known
    assert readers.python_dotenv(text) == known
    assert readers.compose(text, list(known)) == [known, known]


@pytest.mark.parametrize("written", DIFFERENT)
def test_what_is_said_to_differ_does(written: str, readers: Readers) -> None:
    """Fails when one of the readers changes: then a reason may go."""
    text = f"SET=some text\nEMPTY=\n{written}\n"
    expected = readers.python_dotenv(text).get("K")
    assert [read.get("K") for read in readers.compose(text, ["K"])] != [expected, expected]


@pytest.mark.parametrize("written", ["K=${V:-x}\nV=9", "K=${K:-x}y"])
def test_a_default_for_a_name_without_a_value_yet_differs(written: str, readers: Readers) -> None:
    """By `env_file:`, where the project reads the same file."""
    named, whole = readers.compose(written, ["K"])
    assert named["K"] == readers.python_dotenv(written)["K"] != whole["K"]
    assert differs(written.partition("\n")[0], {}, ["K", "V"])


def test_every_reason_is_one_of_these() -> None:
    known = {"SET": "some text", "EMPTY": ""}
    told = {differs(written, known) for written in DIFFERENT}
    assert None not in told
    assert {reason for _, _, reason in portable.REASONS} <= told
