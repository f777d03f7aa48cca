"""Public and private keys: age's own and those of SSH."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyrage
import pytest

from stockctl.core.errors import ConfigurationError
from stockctl.env.keys import (
    bad_recipients,
    listed,
    load_identities,
    load_recipients,
    public_keys,
    same_key,
    short,
)

IDENTITY = pyrage.x25519.Identity.generate()
PUBLIC = str(IDENTITY.to_public())
KEYS = {  # they differ in each run, and the names of tests must not
    "<public, last letter changed>": PUBLIC[:-1] + ("q" if PUBLIC[-1] != "q" else "p"),
    "<public, in capitals>": PUBLIC.upper(),
    "< public>": f" {PUBLIC}",
    "<private>": str(IDENTITY),
    "<private, in small letters>": str(IDENTITY).lower(),
}


def ssh_key(folder: Path, *options: str) -> Path:
    """A private key as ssh-keygen makes it; the public one is beside it."""
    path = folder / "id"
    line = ["ssh-keygen", "-q", "-N", "", "-C", "me@home", "-f", str(path), *options]
    subprocess.run(line, check=True, timeout=60)
    return path


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys_tell_their_public_half(tmp_path: Path, kind: str) -> None:
    path = ssh_key(tmp_path, "-t", kind)
    written = path.with_suffix(".pub").read_text().strip()
    (found,) = public_keys(path.read_text(), load_identities(path))
    assert same_key(found, written)
    assert written.endswith(" me@home")
    assert bad_recipients({"me": written, "without-comment": found}) == []
    assert found[-12:] in short(written)
    assert len(short(written)) < 30


def test_an_identity_file_with_several_keys(tmp_path: Path) -> None:
    other = pyrage.x25519.Identity.generate()
    text = f"# created: today\n# public key: {PUBLIC}\n{IDENTITY}\n\n{other}\n"
    path = tmp_path / "identity.txt"
    path.write_text(text)
    assert public_keys(text, load_identities(path)) == [PUBLIC, str(other.to_public())]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("alice", "is not a public key: alice"),
        ("age1nonsense", "is not a public key"),
        ("<public, last letter changed>", "is not a public key"),
        ("<public, in capitals>", "is not a public key"),
        ("< public>", "is not a public key"),
        ("<private>", "is a private key"),
        ("<private, in small letters>", "is a private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a private key"),
        ("ssh-ed25519 AAAA", "is not a public key"),
        ("ecdsa-sha2-nistp256 AAAA", "is not a public key"),
        ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "age plugin"),
    ],
)
def test_what_is_no_public_key_is_named_and_not_shown(text: str, said: str) -> None:
    text = KEYS.get(text, text)
    ((name, why),) = bad_recipients({"good": PUBLIC, "alice": text})
    assert name == "alice"
    assert said in why
    assert str(IDENTITY)[16:] not in why.upper()
    with pytest.raises(ConfigurationError, match=r"^seal\.recipients\.alice: ") as caught:
        load_recipients([text], "seal.recipients.alice")
    assert str(IDENTITY)[16:] not in str(caught.value).upper()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no key"),
        ("# nothing\n", "holds no key"),
        ("AGE-SECRET-KEY-1NONSENSE\n", "is not an age identity"),
        ("AGE-PLUGIN-YUBIKEY-1NONSENSE\n", "age plugin"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\n", "is itself encrypted"),
        ("age-encryption.org/v1\n-> scrypt NONSENSE 18\n", "is itself encrypted"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nNONSENSE\n", "is not an SSH private key"),
    ],
)
def test_what_is_no_identity_file(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "identity.txt"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_identities(path)
    assert "NONSENSE" not in str(caught.value)


def test_an_ssh_key_with_a_passphrase_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "id"
    line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "correct horse", "-f", str(path)]
    subprocess.run(line, check=True, timeout=60)
    with pytest.raises(ConfigurationError, match="without a passphrase"):
        load_identities(path)
    assert same_key(public_keys(path.read_text(), ())[0], path.with_suffix(".pub").read_text())


def test_a_damaged_ssh_key_tells_nothing() -> None:
    assert public_keys("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", ()) == []
    assert public_keys("-----BEGIN OPENSSH PRIVATE KEY-----\n", ()) == []


def test_names_in_a_row() -> None:
    assert listed(["alice"]) == "alice"
    assert listed(["alice", "bob", "carol"]) == "alice, bob or carol"
