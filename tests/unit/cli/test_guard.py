"""Nothing destructive happens unless somebody meant this very environment."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from stockctl.cli.answer import typed as line_typed
from stockctl.cli.guard import confirm
from stockctl.cli.session import Session
from stockctl.core.errors import ConfirmationMissing

Type = Callable[[str], None]


@pytest.fixture
def somebody_types(monkeypatch: pytest.MonkeyPatch) -> Iterator[Type]:
    """Puts text on a real terminal that is our standard input; nothing is Ctrl-D."""
    with ExitStack() as opened:

        def on_a_terminal(text: str) -> None:
            master, slave = os.openpty()
            opened.callback(os.close, master)
            monkeypatch.setattr("sys.stdin", opened.enter_context(os.fdopen(slave)))
            os.write(master, text.encode() or b"\x04")

        yield on_a_terminal


def asked(
    *,
    protected: bool = True,
    given: str | None = None,
    yes: bool = False,
    session: Session | None = None,
) -> None:
    what = "replace what serves"
    confirm(session or Session(), "prod", what, protected=protected, given=given, yes=yes)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.mark.parametrize("protected", [True, False])
def test_the_name_as_an_option_is_an_answer(protected: bool) -> None:
    asked(protected=protected, given="prod")


def test_yes_is_enough_where_it_is_not_protected() -> None:
    asked(protected=False, yes=True)


def test_yes_is_not_enough_where_it_is_protected() -> None:
    with pytest.raises(ConfirmationMissing) as caught:
        asked(protected=True, yes=True)
    assert caught.value.hint == "Give --confirm prod."


@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("yes", [True, False])
@pytest.mark.parametrize("given", ["staging", "", "PROD", "prod "])
def test_another_name_is_refused_whatever_else_is_given(
    protected: bool, yes: bool, given: str
) -> None:
    with pytest.raises(ConfirmationMissing, match="not the name"):
        asked(protected=protected, given=given, yes=yes)


def test_without_a_terminal_nobody_is_asked() -> None:
    with pytest.raises(ConfirmationMissing, match="nobody confirmed") as caught:
        asked(protected=False)
    assert "--confirm prod or --yes" in caught.value.hint
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("option", ["no_input", "as_json"])
def test_who_wants_no_questions_gets_none(somebody_types: Type, option: str) -> None:
    somebody_types("prod\n")
    session = Session()
    setattr(session, option, True)
    with pytest.raises(ConfirmationMissing, match="nobody confirmed"):
        asked(session=session)


def test_a_person_types_the_name(somebody_types: Type, capsys: pytest.CaptureFixture[str]) -> None:
    somebody_types("prod\n")
    asked()
    shown = capsys.readouterr()
    assert "replace what serves" in shown.err
    assert "Type prod" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("typed", ["yes\n", "\n", "", "y\n", "staging\n"])
def test_anything_else_that_is_typed_is_a_no(somebody_types: Type, typed: str) -> None:
    somebody_types(typed)
    with pytest.raises(ConfirmationMissing, match="nothing was changed"):
        asked()


def test_a_signal_wakes_who_waits_for_an_answer(somebody_types: Type) -> None:
    """The handler lets it go on: what is typed afterwards is still taken."""
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        somebody_types("")
        signal.raise_signal(signal.SIGUSR1)
        assert line_typed() == ""
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_ctrl_c_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        interrupt = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            line_typed()
        interrupt.join()
    os.close(master)
