"""`env generate` and `rotate`: strong values, one at a time, and no other byte."""

from __future__ import annotations

import difflib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.env.conftest import CANARY, ENV, Place

STRONG = re.compile(r"[A-Za-z0-9]{48}")


def read(text: str) -> dict[str, str]:
    """The values of a simple env file."""
    pairs = re.findall(r"^(?:export )?(\w+) ?= ?'?([^'\s]*)", text, re.MULTILINE)
    return dict(pairs)


def changed_lines(before: str, after: str) -> list[str]:
    found = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line[:2] + line[2:].partition("=")[0] for line in found if line[0] in "+-"]


def rotate(place: Place, key: str, *more: str) -> tuple[int, str]:
    ended = place.run("env", "rotate", "prod", "--key", key, "--confirm", "prod", *more)
    return ended.code, ended.out + ended.err


# ------------------------------------------------------------------- generate


def test_missing_and_empty_secrets_get_a_value(place: Place) -> None:
    place.plain.write_text("# top\r\nPUBLIC_URL=\r\nPOSTGRES_PASSWORD= # here\r\nX=1")
    ended = place.run("env", "generate", "prod", "--json")
    assert ended.document["data"] == {
        "generated": ["SESSION_SECRET", "POSTGRES_PASSWORD"],
        "missing": ["PUBLIC_URL"],
        "file": "environments/.env.prod",
    }
    text = place.plain.read_bytes().decode()
    pattern = (
        "# top\r\nPUBLIC_URL=\r\nPOSTGRES_PASSWORD=(\\w{48}) # here\r\nX=1\r\n"
        "SESSION_SECRET=(\\w{48})\r\n"
    )
    found = re.fullmatch(pattern, text)
    assert found
    assert found[1] != found[2]
    assert not any(value in ended.out + ended.err for value in found.groups())
    before = place.files()
    again = place.run("env", "generate", "prod")
    assert (again.code, "nothing to generate" in again.out) == (0, True)
    assert "PUBLIC_URL is for you to set" in again.out
    assert place.files() == before


def test_the_plan_writes_nothing(place: Place) -> None:
    place.plain.unlink()
    before = place.files()
    ended = place.run("env", "generate", "prod", "--plan", "--json")
    assert ended.document["data"]["planned"] == ["SESSION_SECRET", "POSTGRES_PASSWORD"]
    assert ended.document["data"]["generated"] == []
    assert place.files() == before


def test_a_placeholder_is_replaced_only_with_the_name_of_the_protected(place: Place) -> None:
    text = ENV.replace(f"POSTGRES_PASSWORD={CANARY}1", "POSTGRES_PASSWORD=changeme")
    place.plain.write_text(text)
    assert place.run("env", "generate", "prod").code == 4
    assert place.run("env", "generate", "prod", "--yes").code == 4
    assert place.plain.read_text() == text
    assert place.run("env", "generate", "prod", "--confirm", "prod").code == 0
    after = place.plain.read_text()
    assert changed_lines(text, after) == ["- POSTGRES_PASSWORD", "+ POSTGRES_PASSWORD"]


def test_a_file_that_is_not_there_comes_from_its_example(place: Place) -> None:
    example = f"# copy me\nPUBLIC_URL=https://a.example.com\nSESSION_SECRET={CANARY}\n"
    place.plain.with_name(".env.prod.example").write_text(example)
    place.plain.unlink()
    ended = place.run("env", "generate", "prod")
    assert ended.code == 0
    text = place.plain.read_text()
    assert text.startswith("# copy me\nPUBLIC_URL=https://a.example.com\nSESSION_SECRET=")
    assert CANARY not in text  # what is in the example is everybody's
    assert place.plain.stat().st_mode & 0o777 == 0o600
    assert all(STRONG.fullmatch(read(text)[k]) for k in ("SESSION_SECRET", "POSTGRES_PASSWORD"))


def test_without_an_example_it_has_what_is_declared(place: Place) -> None:
    place.plain.unlink()
    assert place.run("env", "generate", "prod").code == 0
    assert list(read(place.plain.read_text())) == [
        "SESSION_SECRET",
        "POSTGRES_PASSWORD",
        "PUBLIC_URL",
    ]


def test_a_sealed_file_is_filled_in_and_made(sealed: Place) -> None:
    sealed.toml.with_name("base.toml").write_text(
        sealed.toml.with_name("base.toml").read_text()
        + '[variables.CSRF_SECRET]\ntype = "secret"\nrequired = true\n'
    )
    assert sealed.run("env", "generate", "prod").code == 0
    added = sealed.opened().removeprefix(ENV)
    assert re.fullmatch(r"CSRF_SECRET=\w{48}\n", added)
    before = sealed.sealed.read_bytes()
    assert sealed.run("env", "generate", "prod").code == 0
    assert sealed.sealed.read_bytes() == before
    sealed.sealed.unlink()
    assert sealed.run("env", "generate", "prod").code == 0
    assert "CSRF_SECRET" in sealed.opened()
    assert not sealed.plain.exists()


def test_the_other_form_of_the_file_is_not_overlooked(sealed: Place) -> None:
    """Somebody's secrets are in it; new ones are not what is wanted."""
    sealed.toml.write_text(sealed.toml.read_text().replace("prod.env.age", ".env.prod"))
    ended = sealed.run("env", "generate", "prod")
    assert (ended.code, "stockctl env unseal prod" in ended.err) == (3, True)
    assert sealed.run("env", "unseal", "prod", "--confirm", "prod").code == 0
    sealed.sealed.unlink()
    sealed.toml.write_text(sealed.toml.read_text().replace(".env.prod", "prod.env.age"))
    ended = sealed.run("env", "generate", "prod")
    assert (ended.code, "stockctl env seal prod" in ended.err) == (3, True)
    assert sealed.run("env", "seal", "prod", "--confirm", "prod").code == 0
    assert sealed.opened() == ENV


@pytest.mark.parametrize(
    "text", [f"A='{CANARY}\nSESSION_SECRET=\n", "A=1\nnonsense\n", "A=\0\n", "A=\udcff\n"]
)
def test_a_file_that_does_not_parse_is_left_alone(place: Place, text: str) -> None:
    raw = text.encode(errors="surrogateescape")
    place.plain.write_bytes(raw)
    for line in (("generate",), ("rotate", "--key", "SESSION_SECRET")):
        ended = place.run("env", *line, "prod", "--confirm", "prod")
        assert (ended.code, "environments/.env.prod:" in ended.err) == (3, True)
    assert place.plain.read_bytes() == raw


def test_a_link_a_folder_and_a_loop(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "real.env"
    target.write_text(ENV)
    target.chmod(0o644)
    place.plain.unlink()
    place.plain.symlink_to(target)
    assert rotate(place, "SESSION_SECRET")[0] == 0
    assert place.plain.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert f"SESSION_SECRET_PREVIOUS = '{CANARY}0'" in target.read_text()
    place.plain.unlink()
    place.plain.symlink_to(place.plain.name)
    assert rotate(place, "SESSION_SECRET")[0] == 3
    place.plain.unlink()
    place.plain.mkdir()
    assert rotate(place, "SESSION_SECRET")[0] == 3


# --------------------------------------------------------------------- rotate


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
    new = read(text)["SESSION_SECRET"]
    line = f"export SESSION_SECRET = '{CANARY}0'  # each its own\n"
    kept = line.replace(f"{CANARY}0", new) + f"export SESSION_SECRET_PREVIOUS = '{CANARY}0'\n"
    assert text == ENV.replace(line, kept)
    assert STRONG.fullmatch(new)
    assert rotate(place, "SESSION_SECRET")[0] == 0
    assert read(place.plain.read_text())["SESSION_SECRET_PREVIOUS"] == new


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
    new = read(place.plain.read_text())["SESSION_SECRET"]
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
    values = read(text)
    assert text.count("SESSION_SECRET_PREVIOUS") == 1
    assert values["SESSION_SECRET"] != values["SESSION_SECRET_PREVIOUS"]
    if codes.count(0) == 1:
        assert values["SESSION_SECRET_PREVIOUS"] == f"{CANARY}0"
    else:
        assert STRONG.fullmatch(values["SESSION_SECRET_PREVIOUS"])
    assert changed_lines(ENV, text).count("+ export SESSION_SECRET ") == 1


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
        assert text == ENV or read(text)["SESSION_SECRET_PREVIOUS"] == f"{CANARY}0"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        place.run("env", "generate", "prod")
        assert not list(place.root.rglob("*tmp*"))
        steps += 1
    assert steps >= 3


# ------------------------------------------------------------------ the canary


@pytest.mark.parametrize(
    ("form", "flags"), [("plain", ("-v",)), ("sealed", ("--json",)), ("sealed", ("-v",))]
)
def test_no_verb_says_a_secret(place: Place, form: str, flags: tuple[str, ...]) -> None:
    """`run` itself looks for the canary in all that is printed; here for the new values, too."""
    if form == "sealed":
        assert place.run("env", "seal", "prod", "--confirm", "prod").code == 0
    said = ""
    for line in (
        "env generate prod",
        "env rotate prod --key SESSION_SECRET --plan",
        "env rotate prod --key SESSION_SECRET --confirm prod",
        "env rotate prod --key POSTGRES_PASSWORD --confirm prod",
        "env rotate prod --key NOTHING",
        "env edit prod --confirm prod",
        "env seal prod --confirm prod",
        "env seal prod --again --confirm prod",
        "env unseal prod --confirm prod",
        "env show prod",
        "env validate prod",
        "journal prod",
    ):
        ended = place.run(*line.split(), *flags, EDITOR=place.script('echo "A=1" >> $1'))
        said += ended.out + ended.err
    text = place.plain.read_text() if place.plain.exists() else place.opened()
    values = read(text)
    for key in ("SESSION_SECRET", "SESSION_SECRET_PREVIOUS", "POSTGRES_PASSWORD"):
        assert len(values[key]) >= 32
        assert values[key] not in said
    kept = {path: data for path, data in place.files().items() if "environments" not in path}
    for path, data in kept.items():
        assert CANARY.encode() not in data, path
        assert values["SESSION_SECRET"].encode() not in data, path
