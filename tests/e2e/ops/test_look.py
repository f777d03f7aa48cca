"""Looking at what runs: logs, a program in it, the record of each release."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.children import untraced
from tests.e2e.ops.conftest import Small
from tests.terminal import Terminal

CANARY = "c4n4ry9kJ2mQ8vX5tR7w"


def test_logs_of_the_live_release_with_secrets_masked(served: Small) -> None:
    served.set(GREETING="hello", API_TOKEN=CANARY)
    served.ok("deploy", "exec", "--", "sh", "-c", f"echo token is {CANARY} >/proc/1/fd/1")
    said = served.ok("deploy", "logs")
    assert "up hello\n" in said.out
    assert "asked /health" in said.out
    assert "token is ***" in said.out
    assert CANARY not in said.out
    few = served.data("deploy", "logs", "--lines", "1")["lines"]
    assert [line["text"] for line in few] == ["token is ***"]
    assert few[0]["service"] == "web" and few[0]["at"].startswith("20")
    assert served.run("deploy", "logs", "--release", "r0099").code == 2
    assert served.run("deploy", "logs", "--service", "wbe").code == 2
    assert served.run("deploy", "logs", "--follow", "--json").code == 2


def test_follow_goes_on_with_the_next_release(served: Small) -> None:
    served.set(GREETING="one")
    assert served.deploy().code == 0
    with subprocess.Popen(
        served.argv("deploy", "logs", "--follow"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=untraced(),
    ) as following:
        assert following.stdout is not None
        assert b"up one" in following.stdout.readline()
        served.set(GREETING="two")
        assert served.deploy().code == 0
        while b"up two" not in following.stdout.readline():
            assert following.poll() is None
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130
    gone = served.data("deploy", "status")["previous"]
    said = served.run("deploy", "logs", "--release", gone)
    assert said.code == 6
    assert "is left" in said.err


def test_a_program_gets_our_input_and_its_exit_code_is_ours(served: Small) -> None:
    served.set(GREETING="hello", ADMIN_TOKEN=CANARY)
    piped = served.run("deploy", "exec", "site", "--", "tr", "a-z", "A-Z", given="shout\n")
    assert (piped.code, piped.out) == (0, "SHOUT\n")
    # without the environment's name, options of the program that look like ours, the code
    done = served.run("deploy", "exec", "--", "sh", "-c", "echo $0 --json; exit 42", "--plan")
    assert (done.code, done.out) == (42, "--plan --json\n")
    secret = 'printf %s "$ADMIN_TOKEN"; tr "\\0" " " </proc/$PPID/cmdline'
    given = served.run("deploy", "exec", "--with", "ADMIN_TOKEN", "--", "sh", "-c", secret)
    assert given.out.startswith(CANARY)  # it is the program's output, and as it is
    assert served.run("deploy", "exec", "--with", "NOBODY", "--", "true").code == 2
    assert served.run("deploy", "exec").code == 2
    assert served.run("deploy", "exec", "--", "no-such-program").code in (126, 127)
    commands = [entry["command"] for entry in served.data("journal")["entries"]]
    assert "deploy exec sh" in commands
    assert not any(CANARY in command for command in commands)


def test_a_shell_at_a_terminal(served: Small) -> None:
    terminal = Terminal(served.root, "deploy", "exec", "site", "--", "sh")
    terminal.expect("$ ")
    terminal.type("tty; echo size $(stty size 2>/dev/null || echo none)\n")
    terminal.expect("/dev/pts/")
    terminal.type("exit 3\n")
    assert terminal.end() == 3


def test_nothing_runs_and_exec_says_so(small: Small) -> None:
    refused = small.run("deploy", "exec", "--", "true")
    assert refused.code in (2, 4), refused.err
    said = small.ok("deploy", "logs")
    assert "no containers" in said.err


def test_the_record_of_a_release_also_of_one_that_failed(served: Small, tmp_path: Path) -> None:
    served.set(GREETING="broken")
    assert served.deploy().code == 9
    served.set(GREETING="hello")
    history = served.data("deploy", "history")["releases"]
    failed, good = history[0], next(each for each in history if each["state"] == "finished")
    assert failed["state"] == "failed"
    assert "ended by itself" in failed["reason"]
    assert failed["image_id"].startswith("sha256:")
    assert [(step["name"], step["ok"]) for step in failed["steps"]][-2:] == [
        ("healthy", False),
        (f"put {failed['previous']} back", True),
    ]
    assert failed["configuration"] != good["configuration"]
    assert "@" in failed["who"]
    shown = served.ok("deploy", "history", "--release", failed["id"])
    assert "✗ healthy" in shown.out and "failed: " in shown.out
    assert served.run("deploy", "history", "--release", "r0099").code == 2
    entry = served.data("journal")["entries"][0]
    assert entry["outcome"] == "failed"
    assert entry["duration_s"] > 0
