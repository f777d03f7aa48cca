"""What Debian's `age` encrypts we read, and what we seal it opens."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.integration.env.conftest import CANARY, ENV, PROGRAM, Place


@pytest.fixture
def ssh(tmp_path: Path) -> Path:
    """A private SSH key; the public one is beside it."""
    path = tmp_path / "id_ed25519"
    line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bob@home", "-f", str(path)]
    subprocess.run(line, check=True, timeout=60)
    return path


@pytest.fixture
def x25519(age: str, tmp_path: Path) -> Path:
    """A private key as age-keygen writes it, comments and all."""
    path = tmp_path / "key.txt"
    subprocess.run([f"{age}-keygen", "-o", str(path)], check=True, capture_output=True, timeout=60)
    return path


def public(age: str, key: Path) -> str:
    beside = key.with_name(f"{key.name}.pub")
    if beside.exists():
        return beside.read_text().strip()
    line = [f"{age}-keygen", "-y", str(key)]
    return subprocess.run(
        line, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def name_them(place: Place, recipients: dict[str, str]) -> None:
    head = place.toml.read_text().partition("[seal.recipients]")[0]
    rows = "".join(f'{name} = "{key}"\n' for name, key in recipients.items())
    place.toml.write_text(f"{head}[seal.recipients]\n{rows}")


def test_age_opens_what_we_seal(place: Place, age: str, x25519: Path, ssh: Path) -> None:
    keys = {"alice": x25519, "bob": ssh}
    name_them(place, {name: public(age, key) for name, key in keys.items()})
    assert place.run("env", "seal", "prod", "--confirm", "prod").code == 0
    for key in keys.values():
        line = [age, "-d", "-i", str(key), str(place.sealed)]
        done = subprocess.run(line, check=True, capture_output=True, timeout=60)
        assert done.stdout.decode() == ENV
    # and so it does after we have changed what we sealed
    line = ("env", "rotate", "prod", "--key", "SESSION_SECRET", "--confirm", "prod")
    assert place.run(*line, STOCKCTL_IDENTITY_FILE=str(ssh)).code == 0
    line_ = [age, "-d", "-i", str(x25519), str(place.sealed)]
    opened = subprocess.run(line_, check=True, capture_output=True, timeout=60).stdout.decode()
    assert f"export SESSION_SECRET_PREVIOUS = '{CANARY}0'\n" in opened


@pytest.mark.parametrize("armor", [True, False])
@pytest.mark.parametrize("who", ["x25519", "ssh"])
def test_we_open_what_age_seals(
    place: Place, age: str, x25519: Path, ssh: Path, who: str, armor: bool
) -> None:
    keys = {"x25519": x25519, "ssh": ssh}
    recipients = {name: public(age, key) for name, key in keys.items()}
    name_them(place, recipients)
    place.toml.write_text(place.toml.read_text().replace(".env.prod", "prod.env.age"))
    wanted = [option for key in recipients.values() for option in ("-r", key)]
    line = [age, *["-a"] * armor, *wanted, "-o", str(place.sealed), str(place.plain)]
    subprocess.run(line, check=True, timeout=60)
    place.plain.unlink()
    identity = str(keys[who])
    ended = place.run("env", "unseal", "prod", "--confirm", "prod", STOCKCTL_IDENTITY_FILE=identity)
    assert ended.code == 0, ended.err
    assert place.plain.read_text() == ENV


def test_age_with_a_recipients_file(place: Place, age: str, x25519: Path) -> None:
    listed = place.home / "recipients"
    listed.write_text(f"# alice\n{public(age, x25519)}\n")
    place.toml.write_text(place.toml.read_text().replace(".env.prod", "prod.env.age"))
    line = [age, "-R", str(listed), "-o", str(place.sealed), str(place.plain)]
    subprocess.run(line, check=True, timeout=60)
    text = place.plain.read_text()
    place.plain.unlink()
    line_ = ("env", "unseal", "prod", "--confirm", "prod")
    assert place.run(*line_, STOCKCTL_IDENTITY_FILE=str(x25519)).code == 0
    assert place.plain.read_text() == text


@pytest.mark.parametrize("verb", ["unseal", "rotate --key SESSION_SECRET", "seal --again"])
def test_an_identity_from_a_pipe(sealed: Place, verb: str) -> None:
    """`STOCKCTL_IDENTITY_FILE=<(pass show age)`, as a shell makes it: it can be read only once."""
    ours, theirs = os.pipe()
    os.write(theirs, sealed.identity.read_bytes())
    os.close(theirs)
    sealed.identity.unlink()
    command = f'exec "$0" env {verb} prod --confirm prod'
    done = subprocess.run(
        ["sh", "-c", command, str(PROGRAM)],
        cwd=sealed.root,
        env=sealed.variables(STOCKCTL_IDENTITY_FILE=f"/dev/fd/{ours}"),
        pass_fds=[ours],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(ours)
    assert done.returncode == 0, done.stderr
    assert "stays" not in done.stderr.replace("prod.env.age stays", "")
