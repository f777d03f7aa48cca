"""`env edit`: whatever happens to it, nothing is left in the clear and nothing half done."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.children import untraced
from tests.integration.env.conftest import CANARY, ENV, PROGRAM, Place, Waiting

CHANGE = 'sed -i "s/^PUBLIC_URL=.*/PUBLIC_URL=https:\\/\\/new.example.com/" "$1"'
Editing = Callable[..., Waiting]


def edit(place: Place, script: str, *more: str) -> object:
    return place.run("env", "edit", "prod", "--confirm", "prod", *more, EDITOR=place.script(script))


def left(place: Place) -> list[Path]:
    return list(place.runtime.iterdir())


def test_what_was_edited_is_sealed_again(sealed: Place) -> None:
    ended = edit(sealed, CHANGE, "--json")
    assert ended.code == 0
    assert ended.document["data"] == {
        "file": "environments/prod.env.age",
        "env_file": "prod.env.age",
        "changed": True,
    }
    expected = ENV.replace("stockmind.example.com", "new.example.com")
    assert sealed.opened() == expected
    assert not left(sealed)
    assert CANARY.encode() not in b"".join(sealed.files().values())


def test_a_plain_file_is_edited_as_well(place: Place) -> None:
    assert edit(place, CHANGE).code == 0
    assert place.plain.read_text() == ENV.replace("stockmind.example.com", "new.example.com")
    assert place.plain.stat().st_mode & 0o777 == 0o600
    assert not left(place)


def test_unchanged_means_untouched(sealed: Place) -> None:
    before = sealed.files()
    ended = edit(sealed, "touch $1")
    assert (ended.code, "nothing was changed" in ended.out) == (0, True)
    assert sealed.files() == before


@pytest.mark.parametrize(
    "script", ["exit 3", f"{CHANGE}; exit 1", "kill -9 $$", 'rm "$1"', 'ln -sf /etc/hostname "$1"']
)
def test_an_editor_that_fails_changes_nothing(sealed: Place, script: str) -> None:
    before = sealed.files()
    ended = edit(sealed, script)
    assert (ended.code, "nothing was changed" in ended.err) == (6, True)
    assert sealed.files() == before


def test_no_such_editor(sealed: Place) -> None:
    before = sealed.files()
    ended = sealed.run("env", "edit", "prod", "--confirm", "prod", EDITOR="/no/such --wait")
    assert (ended.code, "/no/such" in ended.err) == (6, True)
    ended = sealed.run("env", "edit", "prod", "--confirm", "prod", EDITOR="'open")
    assert ended.code == 2
    assert sealed.files() == before


def test_visual_comes_first_and_takes_options(sealed: Place) -> None:
    visual = sealed.script(f'test "$1" = --wait && shift && {CHANGE}') + " --wait"
    ended = sealed.run("env", "edit", "prod", "--confirm", "prod", VISUAL=visual, EDITOR="false")
    assert ended.code == 0
    assert "new.example.com" in sealed.opened()


@pytest.mark.parametrize(
    "script",
    [f"echo \"X='{CANARY}\" >> $1", "echo nonsense >> $1", "printf 'A=\\000' >> $1",
     "printf 'A=\\377' >> $1"],
)  # fmt: skip
def test_what_does_not_parse_is_not_taken(sealed: Place, script: str) -> None:
    before = sealed.files()
    ended = edit(sealed, script)
    assert (ended.code, "nothing was changed" in ended.err) == (3, True)
    assert "environments/prod.env.age:7" in ended.err
    assert sealed.files() == before


def test_the_plaintext_is_for_its_owner_and_nowhere_else(sealed: Place, editing: Editing) -> None:
    waiting = editing()
    file = waiting.until_ready()
    assert file.read_text() == ENV
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.parent.parent == sealed.runtime
    arguments = Path(f"/proc/{waiting.process.pid}/cmdline").read_bytes()
    variables = Path(f"/proc/{waiting.process.pid}/environ").read_bytes()
    assert CANARY.encode() not in arguments + variables
    holders = [path for path, data in sealed.files().items() if CANARY.encode() in data]
    assert holders == [str(file)]
    assert waiting.release().code == 0
    assert not left(sealed)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)]
)
def test_a_signal_leaves_nothing(
    sealed: Place, editing: Editing, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    before = sealed.files()
    waiting = editing(before=f'cp "$1" "$(dirname "$1")/.prod.env.swp"; {CHANGE}')
    file = waiting.until_ready()
    assert file.with_name(".prod.env.swp").exists()
    waiting.process.send_signal(number)
    assert waiting.end().code == code
    assert sealed.files() == before
    assert not left(sealed)
    editor = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{editor}").exists(), "the editor outlived the command"


def test_an_editor_that_ignores_the_end_is_ended(
    sealed: Place, editing: Editing, tmp_path: Path
) -> None:
    waiting = editing(before="trap '' TERM INT HUP")
    waiting.until_ready()
    waiting.process.send_signal(signal.SIGTERM)
    assert waiting.end().code == 143
    assert not left(sealed)
    editor = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{editor}").exists()


def test_ctrl_c_reaches_the_whole_group(sealed: Place, editing: Editing) -> None:
    before = sealed.files()
    waiting = editing()
    waiting.until_ready()
    os.killpg(waiting.process.pid, signal.SIGINT)
    assert waiting.end().code in (130, 6)  # the editor may be the first to end
    assert sealed.files() == before


def test_kill_9_is_swept_by_the_next_run(sealed: Place, editing: Editing) -> None:
    before = sealed.files()
    waiting = editing()
    file = waiting.until_ready()
    waiting.process.kill()
    waiting.process.wait(30)
    assert file.exists()
    ended = sealed.run("env", "generate", "prod", "--plan")
    assert (ended.code, f"removed {file.parent}" in ended.err) == (0, True)
    assert sealed.files() == before
    waiting.go.write_text("go\n")  # the orphaned editor ends


def test_a_living_edit_is_not_swept(sealed: Place, editing: Editing) -> None:
    waiting = editing(then=CHANGE)
    file = waiting.until_ready()
    assert sealed.run("env", "generate", "prod").code == 0
    assert file.exists()
    assert waiting.release().code == 0
    assert "new.example.com" in sealed.opened()


def test_who_was_second_is_refused_and_loses_nothing_of_the_first(
    sealed: Place, editing: Editing
) -> None:
    waiting = editing(then=CHANGE)
    waiting.until_ready()
    rotated = sealed.run("env", "rotate", "prod", "--key", "SESSION_SECRET", "--confirm", "prod")
    assert rotated.code == 0
    first = sealed.files()
    ended = waiting.release()
    assert (ended.code, "changed by somebody else meanwhile" in ended.err) == (4, True)
    after = {path: data for path, data in sealed.files().items() if "journal" not in path}
    assert after == {path: data for path, data in first.items() if path in after}
    assert not left(sealed)


def test_nobody_works_in_vain(sealed: Place) -> None:
    """What cannot be sealed again, or was not confirmed, is said before the editor starts."""
    script = sealed.script(f"touch {sealed.home}/started")
    assert sealed.run("env", "edit", "prod", EDITOR=script).code == 4
    sealed.toml.write_text(sealed.toml.read_text().replace('bob = "age1', 'bob = "age2'))
    ended = sealed.run("env", "edit", "prod", "--confirm", "prod", EDITOR=script)
    assert (ended.code, "seal.recipients.bob" in ended.err) == (3, True)
    assert not (sealed.home / "started").exists()


def test_on_a_terminal_one_may_go_on_editing(sealed: Place) -> None:
    """First a quote is left open; asked, the person goes on and closes it."""
    counter = sealed.home / "times"
    script = sealed.script(
        f'echo x >> {counter}; if [ "$(wc -l < {counter})" = 1 ]; then echo "X=\'1" >> $1;'
        " else sed -i \"s/^X=.*/X='1'/\" $1; fi"
    )
    code, shown = on_terminal(sealed, script, b"\n")
    assert "Go on editing?" in shown
    assert code == 0
    assert sealed.opened() == f"{ENV}X='1'\n"
    assert CANARY not in shown


def test_on_a_terminal_one_may_give_up(sealed: Place) -> None:
    before = sealed.files()
    code, shown = on_terminal(sealed, sealed.script("echo nonsense >> $1"), b"n\n")
    assert (code, "nothing was changed" in shown) == (3, True)
    assert sealed.files() == before


def on_terminal(place: Place, editor: str, answer: bytes) -> tuple[int, str]:
    """The program on a terminal of its own, whose keyboard says `answer`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "env", "edit", "prod", "--confirm", "prod"],
        cwd=place.root,
        env=untraced(place.variables(EDITOR=editor, TERM="dumb")),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, answer)
    shown = b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:  # EIO: the other side is closed
            break
        if not read:
            break
        shown += read
    os.close(ours)
    return process.wait(60), shown.decode()


def test_what_the_editor_says_is_not_in_the_document(sealed: Place) -> None:
    ended = sealed.run(
        "env", "edit", "prod", "--confirm", "prod", "--json", EDITOR=sealed.script("echo hello")
    )
    assert ended.document["data"]["changed"] is False
    assert "hello" in ended.err


@pytest.mark.skipif(shutil.which("vim") is None, reason="there is no vim here")
def test_vim_leaves_nothing_in_the_home_folder(sealed: Place) -> None:
    """Its usual memory: registers in ~/.viminfo, swap, undo and backup files."""
    kept = sealed.home / "kept"
    kept.mkdir()
    settings = (
        "set nocompatible undofile backup writebackup viminfo='100,<50,s10,h",
        f"set undodir={kept} backupdir={kept} directory={kept} updatecount=1",
    )
    (sealed.home / ".vimrc").write_text("\n".join(settings) + "\n")
    keys = b"/SESSION\ryyp:%s/SESSION_SECRET/A_SECRET/\r:wq\r"
    code, _ = on_terminal(sealed, "vim", keys)
    assert code == 0
    assert "A_SECRET" in sealed.opened()
    paths = [path for path in sealed.home.rglob("*") if path.is_file()]
    assert not [path for path in paths if CANARY.encode() in path.read_bytes()]
    assert not left(sealed)
