"""An environment on another machine: a real sshd on 127.0.0.1, a folder of its own, one engine."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockctl.system.local import LocalHost
from tests.e2e.conftest import eventually
from tests.e2e.ops.conftest import IMAGE, Small, make, take_away
from tests.remotes import Sshd, make_key
from tests.terminal import Terminal

CANARY = "c4n4ry-ssh-3Rk8Vq1Zp"


@pytest.fixture(scope="module")
def far(sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """One that serves r0001 over there."""
    plugins = sshd.folder / ".docker"  # where that user's docker looks for Compose
    if not plugins.exists():
        plugins.symlink_to(Path.home() / ".docker")
    small = make(tmp_path_factory.mktemp("far") / "project")
    there = tmp_path_factory.mktemp("there") / "srv"
    shutil.copy(sshd.known_hosts, small.root / "environments" / "known_hosts")
    small.toml(
        f'[host]\nssh = "127.0.0.1:{sshd.port}"\nidentity_file = "{sshd.key}"\n'
        f'directory = "{there}"'
    )
    compose = small.root / "environments" / "compose.yaml"
    mounts = '    volumes: ["./page.txt:/page.txt:ro", "../pages:/pages:ro"]\n    healthcheck:'
    compose.write_text(compose.read_text().replace("    healthcheck:", mounts))
    (small.root / "environments" / "page.txt").write_text("a page\n")
    (small.root / "pages" / "deep").mkdir(parents=True)
    (small.root / "pages" / "deep" / "one.txt").write_text("one\n")
    small.set(GREETING=CANARY)
    done = small.deploy("-v", "--json")
    assert done.code == 0, done.err + done.out
    assert CANARY not in done.out + done.err
    yield small
    take_away(small)


def there(small: Small) -> Path:
    line = next(line for line in small.file.read_text().splitlines() if "directory" in line)
    return Path(line.split('"')[1])


def test_everything_lies_over_there_and_works_as_here(far: Small) -> None:
    assert far.says() == CANARY
    kept = [file.name for file in far.root.rglob(".stockctl/**/*") if file.is_file()]
    assert kept == [".gitignore"]  # backups would go there
    folder = there(far)
    assert json.loads((folder / "live.json").read_text())["release"] == "r0001"
    shutil.rmtree(far.root / "pages")  # what a container mounts lies over there as well
    mounted = far.ok("deploy", "exec", "--", "cat", "/page.txt", "/pages/deep/one.txt")
    assert mounted.out == "a page\none\n"
    (far.root / "pages" / "deep").mkdir(parents=True)
    (far.root / "pages" / "deep" / "one.txt").write_text("one\n")
    assert far.data("deploy", "site", "--image", IMAGE, "--plan")["planned"]["changes"] == []
    files = [file for file in folder.rglob("*") if file.is_file()]
    private = [file for file in files if "files" not in file.parts]
    assert all(file.stat().st_mode & 0o077 == 0 for file in private)
    assert CANARY in (folder / "releases" / "r0001" / "compose.json").read_text()

    far.set(GREETING="two")
    assert far.deploy().code == 0
    assert far.says() == "two"
    status = far.data("deploy", "status")
    assert (status["live"]["id"], status["locked_by"]) == ("r0002", None)
    assert "up two" in far.ok("deploy", "logs").out
    assert far.ok("deploy", "exec", "--", "tr", "a-z", "A-Z", given="shout\n").out == "SHOUT\n"
    assert far.run("deploy", "exec", "--", "sh", "-c", "exit 42").code == 42
    back = far.data("deploy", "rollback", "--yes")
    assert (back["release"]["id"], back["replaced"]) == ("r0001", "r0002")
    assert far.says() == CANARY
    doctor = far.ok("doctor", "--json")
    assert all(check["ok"] for check in json.loads(doctor.out)["data"]["checks"])
    commands = [entry["command"] for entry in far.data("journal")["entries"]]
    assert "deploy rollback to r0001" in commands


def test_a_shell_over_there_has_this_terminal(far: Small) -> None:
    terminal = Terminal(far.root, "deploy", "exec", "site", "--", "sh")
    terminal.expect("$ ")
    terminal.type("tty\n")
    terminal.expect("/dev/pts/")
    terminal.type("exit 3\n")
    assert terminal.end() == 3


def test_a_host_key_that_changed_is_refused_before_anything_is_sent(
    far: Small, tmp_path: Path
) -> None:
    known = far.root / "environments" / "known_hosts"
    right = known.read_text()
    before = sorted(there(far).rglob("*"))
    known.write_text(f"{right.split(' ')[0]} {make_key(tmp_path / 'other')}")
    try:
        refused = far.deploy()
        assert refused.code == 6
        assert "the host key of 127.0.0.1 is not the one" in refused.err
        known.write_text("")
        unknown = far.run("deploy", "status")
        assert unknown.code == 6
        assert "ssh-keyscan" in unknown.err
    finally:
        known.write_text(right)
    assert sorted(there(far).rglob("*")) == before


def planted(small: Small, digest: str) -> Path:
    """A file as a deploy leaves it that was killed before any record named it."""
    file = there(small) / "files" / digest / "secret.txt"
    file.parent.mkdir(parents=True)
    file.write_text("an old one\n")
    return file


def test_files_go_that_no_release_names_and_no_container_mounts(far: Small) -> None:
    unused, cut_short, old = (planted(far, name) for name in ("a" * 16, f".{'b' * 16}", "c" * 16))
    named = set(there(far).joinpath("files").glob("*/pag*"))
    labels = {"project": far.compose_project, "service": "old", "oneoff": "False"}
    flags = [part for k, v in labels.items() for part in ("--label", f"com.docker.compose.{k}={v}")]
    mount = f"{old}:/secret.txt:ro"
    name = f"{far.compose_project}-old"  # what a release does not replace outlives them all
    argv = ["docker", "create", "--name", name, "-v", mount, *flags, IMAGE]
    subprocess.run(argv, check=True, capture_output=True)
    plan = far.data("deploy", "tidy", "--plan")
    assert unused.exists() and plan["planned"] == [], plan
    far.ok("deploy", "tidy")
    assert old.exists() and not unused.parent.exists() and not cut_short.parent.exists()
    subprocess.run(["docker", "rm", name], check=True, capture_output=True)
    far.ok("deploy", "tidy")
    assert not old.parent.exists()
    assert len(named) >= 2 and set(there(far).joinpath("files").glob("*/*")) == named


@pytest.mark.parametrize("how", ["cut", "kill"])
def test_what_ends_a_deploy_in_the_middle_leaves_a_way_forward(
    far: Small, sshd: Sshd, how: str
) -> None:
    """The line is cut, or we are killed, while the new release starts."""
    live = far.live()
    far.set(GREETING="late", START_DELAY_S="600")
    working = far.start("deploy", "site", "--image", IMAGE)
    assert working.stderr is not None
    for line in working.stderr:
        if "✓ replace" in line:
            break
    if how == "cut":
        sshd.cut()
    else:
        working.send_signal(signal.SIGKILL)
    _, err = working.communicate(timeout=150)
    assert working.returncode != 0
    eventually(lambda: LocalHost().holder(there(far) / "lock") is None, within_s=60)
    if how == "cut":
        assert "the line to 127.0.0.1 was cut" in err
    assert far.live() == live
    far.set(GREETING="after")
    done = far.deploy()
    assert done.code == 0, done.err
    assert far.says() == "after"
