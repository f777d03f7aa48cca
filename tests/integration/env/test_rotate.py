"""`env rotate`: one at a time, the old value kept, nothing told."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest
from tests.integration.env.conftest import CANARY, ENV, STRONG, Place, values_of


def rotate(place: Place, key: str, *more: str) -> tuple[int, str]:
    ended = place.run("env", "rotate", "prod", "--key", key, "--confirm", "prod", *more)
    return ended.code, ended.out + ended.err


def test_the_old_value_stays_for_a_while(place: Place) -> None:
    ended = place.run(
        "env", "rotate", "prod", "--key", "SESSION_SECRET", "--confirm", "prod", "--json"
    )
    assert ended.document["data"] == {
        "key": "SESSION_SECRET",
        "previous_key": "SESSION_SECRET_PREVIOUS",
        "file": "environments/.env.prod",
        "holding_old": [],
    }
    text = place.plain.read_text()
    new = values_of(text)["SESSION_SECRET"]
    line = f"export SESSION_SECRET = '{CANARY}0'  # each its own\n"
    kept = line.replace(f"{CANARY}0", new) + f"export SESSION_SECRET_PREVIOUS = '{CANARY}0'\n"
    assert text == ENV.replace(line, kept)
    assert STRONG.fullmatch(new)
    assert rotate(place, "SESSION_SECRET")[0] == 0
    assert values_of(place.plain.read_text())["SESSION_SECRET_PREVIOUS"] == new


def test_mark_and_line_ends_stay(place: Place) -> None:
    """A byte order mark, CRLF, no end on the last line."""
    before = b"\xef\xbb\xbf# \xc3\xa9\r\nPUBLIC_URL=x\r\nSESSION_SECRET=" + CANARY.encode()
    place.plain.write_bytes(before)
    assert rotate(place, "SESSION_SECRET")[0] == 0
    head = re.escape(before.removesuffix(CANARY.encode()))
    tail = rb"\r\nSESSION_SECRET_PREVIOUS=" + CANARY.encode()
    assert re.fullmatch(head + rb"\w{48}" + tail, place.plain.read_bytes())


def test_what_to_do_next_and_who_still_has_the_old_one(place: Place) -> None:
    code, said = rotate(place, "POSTGRES_PASSWORD")
    assert code == 0
    assert "[variables.POSTGRES_PASSWORD_PREVIOUS] is not declared" in said
    assert "DATABASE_URL has the old value inside" in said
    assert "the database does not know it yet" in said
    assert "stockctl deploy prod" in said
    assert f"DATABASE_URL=postgresql://u:{CANARY}1@127.0.0.1/db\n" in place.plain.read_text()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("SESION_SECRET", "Did you mean SESSION_SECRET?"),
        ("PUBLIC_URL", 'not as type = "secret"'),
        ("SESSION_SECRET_PREVIOUS", "Rotate SESSION_SECRET"),
        ("", "there is no [variables.]"),
    ],
)
def test_only_declared_secrets(place: Place, key: str, said: str) -> None:
    before = place.files()
    code, shown = rotate(place, key)
    assert code == 2
    assert said in shown
    assert place.files() == before


def test_nothing_without_the_name_nor_by_the_plan(place: Place) -> None:
    before = place.files()
    line = ("env", "rotate", "prod", "--key", "SESSION_SECRET")
    assert [place.run(*line, *more).code for more in ((), ("--yes",), ("--plan",))] == [4, 4, 0]
    assert place.files() == before


def test_the_journal_has_the_key_and_no_value(place: Place) -> None:
    rotate(place, "SESSION_SECRET")
    new = values_of(place.plain.read_text())["SESSION_SECRET"]
    (journal,) = place.root.rglob("journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["command"] for line in lines] == ["env rotate --key SESSION_SECRET"] * 2
    assert [line["outcome"] for line in lines] == ["started", "finished"]
    assert CANARY not in journal.read_text()
    assert new not in journal.read_text()


@pytest.mark.parametrize("form", ["plain", "sealed"])
def test_many_at_once(place: Place, form: str) -> None:
    """Each is refused or sees what the one before has left: the values form a chain."""
    if form == "sealed":
        assert place.run("env", "seal", "prod", "--confirm", "prod").code == 0
    line = ("env", "rotate", "prod", "--key", "SESSION_SECRET", "--confirm", "prod")
    processes = [place.start(*line) for _ in range(6)]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    codes = [code for *_, code in ended]
    assert set(codes) <= {0, 5}
    assert 0 in codes
    assert all("locked by" in err for _, err, code in ended if code == 5)
    text = place.opened() if form == "sealed" else place.plain.read_text()
    values = values_of(text)
    assert text.count("SESSION_SECRET_PREVIOUS") == 1
    assert values["SESSION_SECRET"] != values["SESSION_SECRET_PREVIOUS"]
    if codes.count(0) == 1:
        assert values["SESSION_SECRET_PREVIOUS"] == f"{CANARY}0"
    else:
        assert STRONG.fullmatch(values["SESSION_SECRET_PREVIOUS"])
    assert text.count("export SESSION_SECRET = ") == 1


HOLDER = """
import sys
from pathlib import Path
from datetime import datetime, UTC
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost
with LocalHost().lock(Path(sys.argv[1]), Holder("eve@home", "env edit", datetime.now(UTC))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_holds_the_lock_is_named(place: Place) -> None:
    lock = place.root / ".stockctl" / "prod" / "secrets.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        code, said = rotate(place, "SESSION_SECRET")
        assert code == 5
        assert "locked by eve@home" in said
        assert "env edit since" in said
        assert place.plain.read_text() == ENV
        holder.communicate()
    assert rotate(place, "SESSION_SECRET")[0] == 0


TRAPPED = """
import os, signal, sys
left = int(sys.argv.pop(1))
def trap(event, arguments):
    global left
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    changes = writes or event in ("os.rename", "os.link", "os.remove")
    if changes and "environments" in str(arguments[0]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(trap)
from stockctl.cli.app import main
main()
"""


def test_killed_anywhere_the_file_is_the_old_or_the_new(place: Place) -> None:
    steps = 0
    line = ["env", "rotate", "prod", "--key", "SESSION_SECRET", "--confirm", "prod"]
    while True:
        place.plain.write_text(ENV)
        done = subprocess.run(
            [sys.executable, "-c", TRAPPED, str(steps), *line],
            cwd=place.root,
            env=place.variables(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        text = place.plain.read_text()
        assert text == ENV or values_of(text)["SESSION_SECRET_PREVIOUS"] == f"{CANARY}0"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        place.run("env", "generate", "prod")
        assert not list(place.root.rglob("*tmp*"))
        steps += 1
    assert steps >= 3
