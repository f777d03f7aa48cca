"""Sealed files in memory: what opens, and what is said about what does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.core.errors import ConfigurationError
from stockctl.env.variable import Seal
from stockctl.env.vault import (
    find_identity,
    identity_path,
    is_sealed,
    looks_sealed,
    open_sealed,
    plain_names,
    seal,
    sealed_name,
)

ALICE, BOB, EVE = (pyrage.x25519.Identity.generate() for _ in range(3))
PUBLIC = {"alice": str(ALICE.to_public()), "bob": str(BOB.to_public())}
SETTINGS = Seal(recipients=PUBLIC)
PLAIN = b"A=1\nSECRET=c4n4ry0123456789\n"
LABEL = "environments/prod.env.age"


@pytest.fixture
def identity(tmp_path: Path) -> Mapping[str, str]:
    """Alice's private key, by the variable that names it."""
    return key_file(tmp_path, ALICE)


def key_file(folder: Path, key: object) -> Mapping[str, str]:
    path = folder / "identity.txt"
    path.write_text(f"# a comment\n{key}\n")
    path.chmod(0o600)
    return {"STOCKCTL_IDENTITY_FILE": str(path)}


def refused(raw: bytes, process: Mapping[str, str]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        open_sealed(raw, LABEL, SETTINGS, process)
    assert str(caught.value).startswith(f"{LABEL}: ")
    assert "AGE-SECRET-KEY" not in str(caught.value)
    assert caught.value.hint
    return caught.value


@given(plain=st.binary(max_size=200_000))
def test_what_is_sealed_opens(tmp_path_factory: pytest.TempPathFactory, plain: bytes) -> None:
    sealed = seal(plain, PUBLIC)
    assert looks_sealed(sealed)
    for number, key in enumerate((ALICE, BOB)):
        process = key_file(tmp_path_factory.getbasetemp(), key)
        assert open_sealed(sealed, LABEL, SETTINGS, process) == plain, number


def test_armor_that_git_or_an_editor_touched(identity: Mapping[str, str]) -> None:
    sealed = seal(PLAIN, PUBLIC)
    for raw in (
        sealed.replace(b"\n", b"\r\n"),
        b"\n" + sealed,
        sealed.rstrip(),
        sealed + b"\n\n",
    ):
        assert open_sealed(raw, LABEL, SETTINGS, identity) == PLAIN


def test_the_binary_format_opens_as_well(identity: Mapping[str, str]) -> None:
    assert looks_sealed(BINARY)
    assert open_sealed(BINARY, LABEL, SETTINGS, identity) == PLAIN


BINARY = pyrage.encrypt(PLAIN, [ALICE.to_public()])
NOT_SEALED = {  # named: sealed bytes differ in each run
    "nothing": (b"", "is empty"),
    "blank": (b"\n  \n", "is empty"),
    "plaintext": (PLAIN, "holds plaintext"),
    "binary": (b"\x00\xff\xfe", "is named like a sealed file but is none"),
    "cut header": (seal(PLAIN, PUBLIC)[:70], "is damaged"),
    "cut armor": (seal(PLAIN, PUBLIC)[:-50], "is damaged"),
    "cut": (BINARY[:-1], "is damaged"),
    "changed": (BINARY[:-1] + bytes([BINARY[-1] ^ 1]), "is damaged"),
    "cut binary header": (BINARY[:40], "is damaged"),
    "passphrase": (pyrage.passphrase.encrypt(PLAIN, "correct horse"), "with a passphrase"),
}


@pytest.mark.parametrize("case", NOT_SEALED)
def test_what_is_no_sealed_file(case: str, identity: Mapping[str, str]) -> None:
    raw, said = NOT_SEALED[case]
    error = refused(raw, identity)
    assert said in str(error)
    assert "c4n4ry" not in f"{error} {error.hint}"


def test_every_cut_is_told_and_gives_nothing(identity: Mapping[str, str]) -> None:
    sealed = seal(PLAIN, PUBLIC)
    for length in range(0, len(sealed) - 2, 7):
        refused(sealed[:length], identity)


def test_every_flipped_byte_of_the_binary_form_is_seen(identity: Mapping[str, str]) -> None:
    for place in range(0, len(BINARY), 5):
        changed = bytes([BINARY[place] ^ 1])
        refused(BINARY[:place] + changed + BINARY[place + 1 :], identity)


def test_no_identity_says_where_it_was_looked_for_and_whose_is_needed(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    error = refused(seal(PLAIN, PUBLIC), {"STOCKCTL_IDENTITY_FILE": str(absent)})
    assert f"no {absent} (named by $STOCKCTL_IDENTITY_FILE)" in str(error)
    assert "it needs the key of alice or bob ([seal.recipients])" in str(error)
    error = refused(seal(PLAIN, PUBLIC), {"XDG_CONFIG_HOME": str(tmp_path)})
    assert f"no {tmp_path}/stockctl/identity.txt ($STOCKCTL_IDENTITY_FILE is not" in str(error)


def test_the_wrong_identity_says_which_was_tried_and_whose_is_needed(tmp_path: Path) -> None:
    error = refused(seal(PLAIN, PUBLIC), key_file(tmp_path, EVE))
    assert f"other keys than {EVE.to_public()} in {tmp_path}" in str(error)
    assert "it needs the key of alice or bob" in str(error)


def test_who_was_added_after_the_sealing_is_told_so(tmp_path: Path) -> None:
    sealed = seal(PLAIN, {"alice": PUBLIC["alice"]})
    error = refused(sealed, key_file(tmp_path, BOB))
    assert f"{PUBLIC['bob']} (that of bob)" in str(error)
    assert "seal ENV --again" in error.hint


def test_without_recipients_nobody_can_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not say whose key it needs"):
        open_sealed(seal(PLAIN, PUBLIC), LABEL, Seal(), key_file(tmp_path, EVE))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_an_identity_that_others_can_read_is_refused(
    identity: Mapping[str, str], mode: int
) -> None:
    path = Path(identity["STOCKCTL_IDENTITY_FILE"])
    path.chmod(mode)
    error = refused(seal(PLAIN, PUBLIC), identity)
    assert f"has mode {mode:04o}" in str(error)
    assert error.hint == f"chmod 600 {path}"
    path.chmod(0o400)
    assert open_sealed(seal(PLAIN, PUBLIC), LABEL, SETTINGS, identity) == PLAIN


def test_identities_that_cannot_be_used(tmp_path: Path) -> None:
    error = refused(seal(PLAIN, PUBLIC), {"STOCKCTL_IDENTITY_FILE": str(tmp_path)})
    assert "Is a directory" in str(error)
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)
    error = refused(seal(PLAIN, PUBLIC), {"STOCKCTL_IDENTITY_FILE": str(path)})
    assert "cannot be opened" in str(error)


def test_where_the_identity_is_looked_for() -> None:
    home = Path.home()
    assert identity_path({"STOCKCTL_IDENTITY_FILE": "~/k"})[0] == home / "k"
    usual = home / ".config" / "stockctl" / "identity.txt"
    for process in ({}, {"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "relative"}):
        assert identity_path(process)[0] == usual
    named = {"XDG_CONFIG_HOME": "/etc/me", "STOCKCTL_IDENTITY_FILE": ""}
    assert identity_path(named)[0] == Path("/etc/me/stockctl/identity.txt")


def test_an_identity_knows_its_public_keys(tmp_path: Path) -> None:
    found = find_identity(key_file(tmp_path, ALICE))
    assert not isinstance(found, str)
    assert found.public == (PUBLIC["alice"],)
    assert str(ALICE) not in repr(found)


def test_sealing_for_nobody_or_for_nonsense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names nobody"):
        seal(PLAIN, {})
    with pytest.raises(ConfigurationError, match=r"seal\.recipients\.carol: is not a public key"):
        seal(PLAIN, {**PUBLIC, "carol": "age1carol"})


@pytest.mark.parametrize("plain", [".env.prod", "prod.env", ".env", "prod", ".prod.env"])
def test_names_in_the_clear_and_sealed(plain: str) -> None:
    assert sealed_name(plain, "prod") == "prod.env.age"
    assert plain in plain_names("prod.env.age", "prod")
    assert plain_names("prod.env.age", "prod")[0] == ".env.prod"


def test_names_of_other_environments_are_theirs() -> None:
    assert sealed_name("shared.env", "prod") == "shared.env.age"
    assert plain_names("shared.env.age", "prod") == (
        ".env.shared",
        "shared.env",
        ".shared.env",
        "shared",
    )
    assert plain_names("..age", "prod")[0] == ".env.prod"


def test_sealed_by_name() -> None:
    assert is_sealed("environments/prod.env.age")
    assert not is_sealed(Path("environments/.env.prod"))
