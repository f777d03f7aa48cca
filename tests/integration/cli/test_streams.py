"""Who reads, who has left, who was never there; and how a run is ended from outside."""

from __future__ import annotations

import http.server
import json
import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.answering import Quiet, serving
from tests.children import untraced
from tests.integration.cli.conftest import PROGRAM, Run, environment

SMOKE = '[[smoke]]\nname = "slow"\npath = "/"\ntimeout = "30s"\n'


class Hanging(Quiet, http.server.BaseHTTPRequestHandler):
    """Takes a request, says so, and never answers."""

    asked = threading.Event()
    leave = threading.Event()

    def do_GET(self) -> None:
        self.asked.set()
        self.leave.wait(30)


@pytest.fixture
def hanging() -> Iterator[str]:
    Hanging.asked.clear()
    Hanging.leave.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hanging)
    server.daemon_threads = True
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"
        Hanging.leave.set()


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [(signal.SIGTERM, 143, "TERMINATED"), (signal.SIGINT, 130, "INTERRUPTED")],
)
def test_a_signal_ends_it_in_order_with_one_document(
    project: Path, hanging: str, number: signal.Signals, code: int, name: str
) -> None:
    with (project / "environments" / "local.toml").open("a") as file:
        file.write(SMOKE.replace("30s", "1h") + "repeat = 3\n")
    argv = [PROGRAM, "smoke", "local", "--url", hanging, "--json"]
    with subprocess.Popen(
        argv,
        cwd=project,
        env=untraced(environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert Hanging.asked.wait(30)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    document = json.loads(out)
    assert (document["ok"], document["error"]["code"]) == (False, name)
    assert document["error"]["exit_code"] == code
    assert b"Traceback" not in err


@pytest.mark.parametrize("arguments", [("env", "list"), ("--help",), ("env", "list", "--json")])
def test_a_reader_that_left_is_no_error(project: Path, arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=project,
            env=environment(),
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    assert done.returncode == 0
    assert done.stderr == b""


def test_the_exit_code_is_true_also_when_nobody_reads_the_errors(project: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [PROGRAM, "smoke", "local", "--url", "http://127.0.0.1:1"],
            cwd=project,
            env=environment(),
            stdout=write,
            stderr=write,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    assert done.returncode == 3  # no checks are declared


def test_the_work_goes_on_when_the_watcher_leaves(project: Path) -> None:
    checks = "".join(SMOKE.replace("slow", name).replace("30s", "1s") for name in ("one", "two"))
    with (project / "environments" / "local.toml").open("a") as file:
        file.write(checks)
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [PROGRAM, "smoke", "local", "--url", "http://127.0.0.1:1", "--json"],
            cwd=project,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=write,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    assert done.returncode == 9
    assert [check["name"] for check in json.loads(done.stdout)["data"]["checks"]] == ["one", "two"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(project: Path, closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{PROGRAM} env list {closed}"],
        cwd=project,
        env=environment(),
        timeout=60,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    assert done.returncode == 0


def test_without_a_standard_input_nobody_is_asked(project: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{PROGRAM} db rollback local --steps 1 <&-"],
        cwd=project,
        env=environment(),
        timeout=60,
        check=False,
        capture_output=True,
    )
    assert b"bug" not in done.stderr
    assert done.returncode == 0  # nothing is applied: nothing to take back


def test_where_there_is_only_ascii_nothing_fails(stockctl: Run) -> None:
    ended = stockctl("env", "show", "nope\udcff", PYTHONIOENCODING="ascii")
    assert ended.code == 2
    assert "Traceback" not in ended.err
    ended = stockctl("env", "show", "ümlaut", "--json", PYTHONIOENCODING="ascii")
    assert ended.document["environment"] == "ümlaut"


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_ticks_are_words_where_there_is_only_ascii(stockctl: Run, locale: dict[str, str]) -> None:
    ended = stockctl("doctor", "local", **locale)
    lines = ended.out.splitlines()
    assert any(line.startswith("ok database") for line in lines), ended.err
    assert ended.out.isascii()
    assert "\\u" not in ended.out + ended.err
    refused = stockctl("db", "status", "nowhere", **locale)
    assert "\n-> " in refused.err


def test_a_name_that_is_no_text_is_still_one_document(stockctl: Run) -> None:
    ended = stockctl("env", "show", "a\udcff", "--json")
    assert ended.code == 2
    assert ended.document["error"]["code"] == "UNKNOWN_ENVIRONMENT"


def test_a_folder_that_is_gone_is_a_usage_error(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", f"rmdir {gone}; exec {PROGRAM} env list"],
        cwd=gone,
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"gone" in done.stderr


# ---------------------------------------------------------------- on a terminal


def on_terminal(
    project: Path, *arguments: str, answer: str = "", **variables: str
) -> tuple[int, str]:
    """Runs it on a terminal of its own; the exit code and all that was shown."""
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=project,
        env=untraced(environment(**{"TERM": "xterm-256color", **variables})),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        shown, asked = "", False
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([main], [], [], 0.1)[0]:
                try:
                    shown += os.read(main, 65536).decode(errors="replace")
                except OSError:
                    break
            if answer and not asked and "to go on" in shown:
                os.write(main, answer.encode() + b"\n")
                asked = True
        code = process.wait(10)
    os.close(main)
    return code, shown


def test_a_terminal_sees_the_steps_in_colour(project: Path) -> None:
    code, shown = on_terminal(project, "db", "migrate", "local")
    assert code == 0, shown
    assert "✓" in shown
    assert "0001_initial_schema" in shown
    assert "\x1b[32m" in shown


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_sees_no_escape_codes(project: Path, variables: dict[str, str]) -> None:
    with (project / "environments" / "local.toml").open("a") as file:
        file.write(SMOKE)
    smoke = ("smoke", "local", "--url", "http://127.0.0.1:1")
    code, shown = on_terminal(project, *smoke, **variables)
    assert code == 9
    assert "✗ slow" in shown
    assert "\x1b" not in shown


def test_no_color_as_an_option_is_the_same(project: Path) -> None:
    _, shown = on_terminal(project, "env", "validate", "--all", "--no-color")
    assert "\x1b" not in shown


@pytest.mark.parametrize(("answer", "code"), [("local", 0), ("prod", 4)])
def test_a_person_types_the_name(project: Path, answer: str, code: int) -> None:
    toml = project / "environments" / "local.toml"
    toml.write_text("protected = true\n" + toml.read_text())
    ended, shown = on_terminal(project, "db", "migrate", "local", answer=answer)
    assert "Type local to go on" in shown
    assert ended == code
