"""The line to another machine is cut in the middle, under load: requests go on being answered, it
is said, and the next command needs no help.

The sample here runs always; `make campaign` cuts at every fifth of a second of a deploy and of a
rollback, to a release that still runs and to one that was stopped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from stockctl.system.local import LocalHost
from tests.e2e.conftest import eventually
from tests.e2e.rolling.conftest import Shop, make, take_away
from tests.e2e.rolling.test_kills import works_without_help
from tests.remotes import Sshd, serve_ssh

_versions = count(2)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Sshd]]:
    """A project behind an sshd of its own, which serves v1."""
    with serve_ssh(tmp_path_factory.mktemp("cut") / "sshd") as sshd:
        (sshd.folder / ".docker").symlink_to(Path.home() / ".docker")
        shop = make(tmp_path_factory.mktemp("cut") / "project")
        shutil.copy(sshd.known_hosts, shop.root / "environments" / "known_hosts")
        file = shop.root / "environments" / "staging.toml"
        host = f'[host]\nssh = "127.0.0.1:{sshd.port}"\nidentity_file = "{sshd.key}"\n'
        host += f'directory = "{shop.directory}"\n\n'
        file.write_text(file.read_text().replace("[deploy]\n", f"{host}[deploy]\n"))
        shop.deploy_settings(watch="0s", drain_timeout="3s", keep=3)
        shop.deployed("v1")
        yield shop, sshd
        take_away(shop)


def after_a_cut(shop: Shop, code: int, said: str) -> None:
    """The lock is free, what is not as it should be is said, and the next command works."""
    eventually(lambda: LocalHost().holder(shop.directory / "lock") is None, within_s=30)
    if code:
        assert code in (6, 9, 11), said
        assert "cut" in said, said
    works_without_help(shop)


@pytest.mark.parametrize("text", ["✓ image", "✓ start", "✓ switch"])
def test_the_line_is_cut_during_a_deploy(far: tuple[Shop, Sshd], text: str) -> None:
    shop, sshd = far
    shop.deploy_settings(watch="10s")  # so that it goes on for long enough
    with shop.load() as load:
        process = shop.start_to(f"cut-{next(_versions)}")
        shop.until(process, text)
        sshd.cut()
        _, err = process.communicate(timeout=120)
        shop.deploy_settings(watch="0s")
        assert process.returncode in (6, 9, 11), err
        after_a_cut(shop, process.returncode, err)
    assert load.failed == [], load.failed[:3]


@pytest.mark.parametrize(("soak", "text"), [("10m", "✓ switch"), ("0s", "✓ start")])
def test_the_line_is_cut_during_a_rollback(far: tuple[Shop, Sshd], soak: str, text: str) -> None:
    """With its switch behind it; once a target that was stopped has started."""
    shop, sshd = far
    shop.deploy_settings(soak=soak)
    shop.deployed(f"cut-{next(_versions)}")
    if soak == "0s":
        shop.ok("deploy", "tidy", "staging")  # the target does not run any more
    with shop.load() as load:
        process = shop.start("deploy", "rollback", "staging", "--yes")
        shop.until(process, text)
        sshd.cut()
        _, err = process.communicate(timeout=120)
        shop.deploy_settings(soak="10m")
        after_a_cut(shop, process.returncode, err)
    assert load.failed == [], load.failed[:3]


@pytest.mark.campaign
@pytest.mark.parametrize("verb", ["deploy", "rollback", "cold rollback"])
def test_at_every_fifth_of_a_second(far: tuple[Shop, Sshd], verb: str) -> None:
    shop, sshd = far
    for fifths in count():
        with shop.load() as load:
            if verb == "deploy":
                process = shop.start_to(f"cut-{next(_versions)}")
            else:
                shop.deploy_settings(soak="0s" if verb == "cold rollback" else "10m")
                shop.deployed(f"cut-{next(_versions)}")
                shop.ok("deploy", "tidy", "staging")  # after a soak it stops what was warm
                process = shop.start("deploy", "rollback", "staging", "--yes")
            shop.until(process, "(1)")  # its plan: from here on it does something
            due = time.monotonic() + fifths / 5
            while time.monotonic() < due and process.poll() is None:
                time.sleep(0.01)
            over = process.poll() is not None
            sshd.cut()
            _, err = process.communicate(timeout=120)
            after_a_cut(shop, process.returncode, err)
        assert load.failed == [], f"{verb}, after {fifths / 5} s: {load.failed[:3]}"
        if over:
            return
