"""What is shown holds no secrets and no control characters."""

from __future__ import annotations

import errno
import json
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.cli.output import LONG, Output
from stockctl.cli.reporter import DETAIL, TerminalReporter, folded
from stockctl.cli.session import Session
from stockctl.cli.table import Row
from stockctl.core.errors import Refused, StockctlError, Where
from stockctl.core.progress import Line, Message, StepEnded, StepStarted, Transferred
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret

CANARY = "canary-7f3a91"


def output(**options: bool) -> Output:
    made = Output(**options)
    made.redactor.learn([Secret(CANARY)])
    return made


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    cleaned = Output().clean(text)
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in cleaned)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\tb\r\nc", "a    b\nc"),
        (f"can\x1b[0mary-7f3a91 {CANARY}", "*** ***"),
    ],
)
def test_escape_sequences_go_and_secrets_behind_them(text: str, shown: str) -> None:
    assert output().clean(text) == shown


def test_a_secret_with_a_tab_in_it_is_masked() -> None:
    made = Output()
    made.redactor.learn([Secret("left\tright")])
    assert made.clean("is left\tright.") == "is ***."


def test_every_way_to_show_something_masks(capsys: pytest.CaptureFixture[str]) -> None:
    made = output()
    made.line(f"line {CANARY}")
    made.note(f"note {CANARY}")
    made.table(("A",), [Row((f"cell {CANARY}",))], "none")
    made.findings([Finding("C001", Severity.ERROR, CANARY, Where(CANARY), CANARY)])
    made.error(StockctlError(CANARY, details=CANARY, hint=CANARY))
    made.document({"a": CANARY, "path": Path(CANARY)})
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err
    assert "line ***" in shown.out
    assert "note ***" in shown.err


def test_data_that_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    made = output()
    made.line("[red]x[/red] [/x] :smile:")
    made.table(("A",), [Row(("[/x] [bold]",))], "none")
    shown = capsys.readouterr().out
    assert "[red]x[/red] [/x] :smile:" in shown
    assert "[/x] [bold]" in shown


def test_with_json_only_the_document_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    made = output(as_json=True)
    made.line("a line")
    made.table(("A",), [Row(("x",))], "none")
    made.document({"ok": True})
    assert json.loads(capsys.readouterr().out) == {"ok": True}


def test_an_empty_table_says_so_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    output().table(("A",), [], "nothing yet")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "nothing yet\n")


def test_quiet_keeps_results_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    made = output(quiet=True)
    made.note("note")
    made.line("result")
    made.error(StockctlError("wrong", hint="mend it"))
    shown = capsys.readouterr()
    assert shown.out == "result\n"
    assert shown.err == "error: wrong\n→ mend it\n"


def test_an_error_says_what_details_and_next(capsys: pytest.CaptureFixture[str]) -> None:
    output().error(StockctlError("wrong", where=Where("a.toml", 3), details="x\ny", hint="mend"))
    assert capsys.readouterr().err == "error: a.toml:3: wrong\n  x\n  y\n→ mend\n"


def test_without_a_terminal_there_is_one_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    report = TerminalReporter(output(), verbose=False)
    report(StepStarted("outer"))
    report(StepStarted("inner"))
    report(Transferred("inner", 5, 10))
    report(Transferred("inner", 5))
    report(Line(f"tool {CANARY}"))
    report(StepEnded("inner", 1.0, True, CANARY))
    report(StepEnded("outer", 2.0, False))
    report(Message("said"))
    report(Message("careful", Severity.WARNING))
    report.stop()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["✓", "inner"], ["✗", "outer"]]
    assert lines[0].startswith("  ✓ inner")
    assert lines[0].endswith("1.0s  ***")
    assert lines[2:] == ["said", "warning: careful"]


def test_verbose_shows_what_the_tools_print(capsys: pytest.CaptureFixture[str]) -> None:
    report = TerminalReporter(output(), verbose=True)
    report(StepStarted("a"))
    report(Line(f"tool \x1b[31m{CANARY}"))
    assert capsys.readouterr().err == "    tool ***\n"


def test_quiet_hides_steps_but_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    report = TerminalReporter(output(quiet=True), verbose=False)
    report(StepStarted("a"))
    report(StepEnded("a", 1.0, True))
    report(Message("said"))
    report(Message("careful", Severity.WARNING))
    assert capsys.readouterr().err == "warning: careful\n"


class Full(StringIO):
    """As a file on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_on_a_full_disk_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("E020", Severity.ERROR, "has mode 0644", Where(".env.prod"))
    monkeypatch.setattr("sys.stderr", Full())
    monkeypatch.setattr("sys.stdout", Full())
    shown = output()
    shown.findings([finding])
    shown.note("careful")
    TerminalReporter(shown, verbose=False)(Message("careful", Severity.WARNING))
    with pytest.raises(OSError, match="No space left"):
        shown.findings([finding], beside=False)


def test_a_long_table_is_lined_up_and_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten thousand rows take no minute, and show no secret."""
    output = Output(as_json=False, no_color=True, quiet=False)
    output.redactor.learn([Secret("hunter2hunter2")])
    rows = [Row((f"row-{number}", "hunter2hunter2", "x")) for number in range(LONG + 1)]
    output.table(("NAME", "B", "C"), rows, "none")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NAME     B    C"
    assert lines[1] == "row-0    ***  x"
    assert len(lines) == LONG + 2


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (28, ["11 checks, before it gets", "requests"]),
        (0, ["11 checks, before it gets requests"]),  # no terminal
        (10, ["11 checks, before it gets requests"]),
    ],
)
def test_what_a_step_says_stays_in_its_column(room: int, expected: list[str]) -> None:
    found = folded("11 checks, before it gets requests", room).split("\n")
    assert found == [expected[0], *(" " * DETAIL + line for line in expected[1:])]


def test_a_hint_names_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session()
    session.fail(Refused("first", hint="See: stockctl db status ENV"))
    session.environment = "prod"
    session.fail(Refused("second", hint="See: stockctl db status ENV"))
    err = capsys.readouterr().err
    assert "→ See: stockctl db status ENV\n" in err  # nobody said which
    assert "→ See: stockctl db status prod\n" in err
    other = Session()
    other.as_json, other.environment = True, 'a"b'
    other.fail(Refused("third", hint="See: stockctl db status ENV"))
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["hint"] == 'See: stockctl db status a"b'
