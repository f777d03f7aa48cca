"""`env seal` and `unseal`: killed anywhere, they complete; nothing is ever lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest
from tests.disks import fill_up, small_disk
from tests.integration.env.conftest import CANARY, ENV, Place

# Runs the program with a trap: the nth call that changes a directory entry of the project never
# returns. What is on disk then is what a power cut at that point leaves.
TRAPPED = """
import os, signal, sys
left = int(sys.argv.pop(1))
def trap(event, arguments):
    global left
    if event in ("os.rename", "os.link", "os.remove") and "environments" in str(arguments[0]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(trap)
from stockctl.cli.app import main
main()
"""


def killed(place: Place, steps: int, *arguments: str) -> bool:
    """Whether it was killed before its step number `steps`; False when it came to its end."""
    done = subprocess.run(
        [sys.executable, "-c", TRAPPED, str(steps), *arguments],
        cwd=place.root,
        env=place.variables(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert CANARY.encode() not in done.stdout + done.stderr
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def seal(place: Place, *more: str, **variables: str) -> tuple[int, str]:
    ended = place.run("env", "seal", "prod", "--confirm", "prod", *more, **variables)
    return ended.code, ended.out + ended.err


def test_sealed_switched_removed(place: Place) -> None:
    before = place.toml.read_text()
    ended = place.run("env", "seal", "prod", "--confirm", "prod", "--json")
    assert ended.code == 0
    assert ended.document["data"] == {
        "file": "environments/prod.env.age",
        "env_file": "prod.env.age",
        "changed": True,
    }
    assert place.opened() == ENV
    assert not place.plain.exists()
    assert place.toml.read_text() == before.replace('".env.prod"', '"prod.env.age"')
    assert place.sealed.read_bytes().startswith(b"-----BEGIN AGE ENCRYPTED FILE-----\n")


def test_twice_is_once(sealed: Place) -> None:
    before = sealed.files()
    code, said = seal(sealed)
    assert (code, "nothing to do" in said) == (0, True)
    assert sealed.files() == before


@pytest.mark.parametrize("verb", ["seal", "unseal"])
def test_the_plan_changes_nothing_and_nothing_goes_without_the_name(
    place: Place, verb: str
) -> None:
    if verb == "unseal":
        seal(place)
    before = place.files()
    assert place.run("env", verb, "prod", "--plan").code == 0
    assert place.run("env", verb, "prod").code == 4
    assert place.run("env", verb, "prod", "--yes").code == 4
    assert place.files() == before


@pytest.mark.parametrize("name", [".env.prod", ".env", "prod.env"])
def test_killed_between_any_two_steps_it_completes(place: Place, tmp_path: Path, name: str) -> None:
    steps = 0
    plain = place.plain.rename(place.plain.with_name(name))
    place.toml.write_text(place.toml.read_text().replace(".env.prod", name))
    fresh = tmp_path / "fresh"
    shutil.copytree(place.root, fresh)
    while True:
        shutil.rmtree(place.root)
        shutil.copytree(fresh, place.root)
        if not killed(place, steps, "env", "seal", "prod", "--confirm", "prod"):
            break
        kept = plain.read_text() if plain.exists() else place.opened()
        assert kept == ENV
        assert place.run("env", "generate", "prod", "--plan").code == 0  # it can be read as it is
        assert seal(place)[0] == 0
        assert (place.opened(), plain.exists()) == (ENV, False)
        assert 'env_file = "prod.env.age"' in place.toml.read_text()
        assert not list(place.root.rglob("*tmp*"))
        steps += 1
    assert steps >= 3


def test_killed_between_any_two_steps_of_unseal_it_completes(sealed: Place, tmp_path: Path) -> None:
    steps = 0
    fresh = tmp_path / "fresh"
    shutil.copytree(sealed.root, fresh)
    while True:
        shutil.rmtree(sealed.root)
        shutil.copytree(fresh, sealed.root)
        if not killed(sealed, steps, "env", "unseal", "prod", "--confirm", "prod"):
            break
        assert sealed.opened() == ENV
        assert sealed.run("env", "unseal", "prod", "--confirm", "prod").code == 0
        assert sealed.plain.read_text() == ENV
        assert 'env_file = ".env.prod"' in sealed.toml.read_text()
        assert not list(sealed.root.rglob("*tmp*"))
        steps += 1
    assert steps >= 2


@pytest.mark.parametrize("case", ["absent", "another", "wide"])
def test_without_a_key_that_opens_it_the_plaintext_stays(place: Place, case: str) -> None:
    if case == "absent":
        place.identity.unlink()
    elif case == "wide":
        place.identity.chmod(0o644)
    else:
        place.identity.write_text(str(pyrage.x25519.Identity.generate()))
    code, said = seal(place)
    assert code == 0
    assert "environments/.env.prod stays, in the clear" in said
    assert place.plain.read_text() == ENV
    assert place.sealed.exists()


def test_plaintext_that_says_something_else_stays(sealed: Place) -> None:
    sealed.plain.write_text(ENV + "X=1\n")
    code, said = seal(sealed)
    assert (code, "says something else" in said) == (4, True)
    assert sealed.plain.read_text() == ENV + "X=1\n"


def test_the_env_file_of_others_stays(place: Place) -> None:
    other = place.toml.with_name("other.toml")
    other.write_text('env_file = "./.env.prod"\n')
    code, said = seal(place)
    assert (code, "also the env file of other" in said) == (0, True)
    assert place.plain.exists()


def test_an_inherited_env_file_is_named_in_the_environments_own_toml(place: Place) -> None:
    base = place.toml.with_name("base.toml")
    base.write_text('env_file = ".env.prod"\n' + base.read_text())
    place.toml.write_text(place.toml.read_text().replace('env_file = ".env.prod"', "# gone"))
    before = base.read_bytes()
    assert seal(place)[0] == 0
    assert base.read_bytes() == before
    assert place.toml.read_text().startswith('extends = "base"\nenv_file = "prod.env.age"\n')


def test_a_link_is_sealed_beside_itself_and_leaves_no_plaintext(
    place: Place, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "prod.env"
    place.plain.rename(elsewhere)
    place.plain.symlink_to(elsewhere)
    assert seal(place)[0] == 0
    assert place.opened() == ENV
    assert not elsewhere.exists()
    assert not place.plain.is_symlink()


def test_plaintext_by_the_name_of_a_sealed_file_is_sealed_in_place(sealed: Place) -> None:
    sealed.sealed.write_text(ENV)
    assert seal(sealed)[0] == 0
    assert sealed.opened() == ENV
    sealed.sealed.write_text(ENV)
    sealed.identity.unlink()
    assert seal(sealed)[0] == 3  # it would be lost
    assert sealed.sealed.read_text() == ENV


def test_one_more_recipient(place: Place) -> None:
    carol = pyrage.x25519.Identity.generate()
    code, said = seal(place, "--recipient", str(carol.to_public()))
    assert (code, "add the key there" in said) == (0, True)
    assert pyrage.decrypt(place.sealed.read_bytes(), [carol]).decode() == ENV
    assert place.opened() == ENV


def test_again_is_for_who_is_named_now(sealed: Place) -> None:
    carol = pyrage.x25519.Identity.generate()
    with sealed.toml.open("a") as toml:
        toml.write(f'carol = "{carol.to_public()}"\n')
    assert seal(sealed)[0] == 0
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed.sealed.read_bytes(), [carol])
    assert seal(sealed, "--again")[0] == 0
    assert pyrage.decrypt(sealed.sealed.read_bytes(), [carol]).decode() == ENV


@pytest.mark.parametrize("recipients", ["", 'bob = "AGE-SECRET-KEY-1QQQQ"', 'bob = "ssh-rsa x"'])
def test_without_good_recipients_nothing_happens(place: Place, recipients: str) -> None:
    head = place.toml.read_text().partition("[seal.recipients]")[0]
    place.toml.write_text(f"{head}[seal.recipients]\n{recipients}\n")
    before = {path: data for path, data in place.files().items() if ".stockctl" not in path}
    code, said = seal(place)
    assert code == 3
    assert "seal.recipients" in said
    assert "QQQQ" not in said
    after = {path: data for path, data in place.files().items() if ".stockctl" not in path}
    assert after == before


def test_unsealing_gives_the_same_bytes_back(sealed: Place) -> None:
    ended = sealed.run("env", "unseal", "prod", "--confirm", "prod", "--json")
    assert ended.document["data"] == {
        "file": "environments/.env.prod",
        "env_file": ".env.prod",
        "changed": True,
    }
    assert sealed.plain.read_text() == ENV
    assert sealed.plain.stat().st_mode & 0o777 == 0o600
    assert sealed.opened() == ENV
    before = sealed.files()
    again = sealed.run("env", "unseal", "prod", "--confirm", "prod")
    assert (again.code, "nothing to do" in again.out) == (0, True)
    assert sealed.files() == before


def test_unsealing_overwrites_nothing(sealed: Place) -> None:
    sealed.plain.write_text("MINE=1\n")
    ended = sealed.run("env", "unseal", "prod", "--confirm", "prod")
    assert (ended.code, "says something else" in ended.err) == (4, True)
    assert sealed.plain.read_text() == "MINE=1\n"
    assert 'env_file = "prod.env.age"' in sealed.toml.read_text()


def test_a_cut_file_gives_nothing(sealed: Place) -> None:
    sealed.sealed.write_bytes(sealed.sealed.read_bytes()[:-60])
    ended = sealed.run("env", "unseal", "prod", "--confirm", "prod")
    assert (ended.code, "is damaged" in ended.err) == (3, True)
    assert not sealed.plain.exists()


def test_a_broken_toml_comes_first_with_its_line(place: Place) -> None:
    place.toml.write_text(place.toml.read_text() + "[seal.recipients]\n")
    for line in ("seal", "unseal", "edit", "generate", "rotate --key SESSION_SECRET"):
        ended = place.run("env", *line.split()[:1], "prod", *line.split()[1:], "--json")
        assert ended.code == 3
        assert [finding["code"] for finding in ended.document["findings"]] == ["C001"]


def test_full_disk(place: Place, tmp_path: Path) -> None:
    """On a file system of one page the sealed file does not fit beside the plaintext."""
    with small_disk(tmp_path / "small", "16k") as small:
        folder = place.toml.parent
        shutil.copytree(folder, small, dirs_exist_ok=True)
        shutil.rmtree(folder)
        folder.symlink_to(small)
        fill_up(small)
        code, said = seal(place)
        assert (code, "No space left" in said) == (6, True)
        assert place.plain.read_text() == ENV
        assert 'env_file = ".env.prod"' in place.toml.read_text()
        assert not list(small.rglob("*tmp*"))
