"""Sealed env files: age files that several people can open, each with a key of their own.

What is sealed here opens with `age -d -i KEY FILE`, and what age encrypts for a public key opens
here. Plaintext is only ever in memory.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stockctl.core.errors import ConfigurationError, Where
from stockctl.env import keys
from stockctl.env.variable import Seal

SUFFIX = ".age"
SIZE_LIMIT_BYTES = 12_000_000  # armored, of an env file as large as it may be
VARIABLE = "STOCKCTL_IDENTITY_FILE"
_BINARY = b"age-encryption.org/"
_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_ARMOR_END = b"-----END AGE ENCRYPTED FILE-----"
_LOST = "Take it from git or a backup."


@dataclass(frozen=True, slots=True)
class Identity:
    """The private keys at hand, and the public ones that belong to them."""

    label: str
    keys: keys.Identities
    public: tuple[str, ...]


def is_sealed(path: Path | str) -> bool:
    """Whether a file says by its name that it is sealed."""
    return str(path).endswith(SUFFIX)


def sealed_name(plain: str, environment: str) -> str:
    """`.env.prod`, `prod.env` and, of prod, `.env` are sealed as `prod.env.age`."""
    stem = plain.removeprefix(".env.").removesuffix(".env").strip(".")
    return f"{stem or environment}.env{SUFFIX}"


def plain_names(sealed: str, environment: str) -> tuple[str, ...]:
    """What a sealed file may be called in the clear, the usual name first."""
    stem = sealed.removesuffix(SUFFIX).removesuffix(".env").removeprefix(".env.").strip(".")
    stem = stem or environment
    names = (f".env.{stem}", f"{stem}.env", f".{stem}.env", stem)
    return (*names, ".env") if stem == environment else names


def looks_sealed(raw: bytes) -> bool:
    """Whether these are the bytes of an age file, binary or armored."""
    return raw.startswith(_BINARY) or raw.lstrip().startswith(_ARMOR)


def open_sealed(raw: bytes, label: str, settings: Seal, process: Mapping[str, str]) -> bytes:
    """The plaintext. Raises ConfigurationError, with `label` as its place, saying what is wrong
    with the file or whose key would be needed."""
    where = Where(label)
    why, hint = _why_no_age_file(raw)
    if why:
        raise ConfigurationError(why, where=where, hint=hint)
    identity = _identity_for(where, settings, process)
    try:
        plaintext: bytes = keys.age().decrypt(_tidy(raw), list(identity.keys))
    except keys.age().DecryptError as error:
        if "no matching key" not in str(error).lower():
            raise ConfigurationError(f"is damaged: {error}", where=where, hint=_LOST) from None
        raise ConfigurationError(
            f"is sealed for other keys than {_told(identity, settings)}; {_needed(settings)}",
            where=where,
            hint=f"${VARIABLE} names another private key; someone who can open it seals it for all"
            " in [seal.recipients]: stockctl env seal ENV --again",
        ) from None
    return plaintext


def seal(plaintext: bytes, recipients: Mapping[str, str]) -> bytes:
    """An armored age file for all of them: text, so that git and mail take it as it is.

    Raises ConfigurationError naming the recipient whose key is none.
    """
    if not recipients:
        raise ConfigurationError(
            "[seal.recipients] names nobody: a sealed file could not be opened again",
            hint='Add who may open it: [seal.recipients] NAME = "age1…" (age-keygen -y prints it).',
        )
    public = [keys.load_recipient(text, f"seal.recipients.{n}") for n, text in recipients.items()]
    sealed: bytes = keys.age().encrypt(plaintext, public, armored=True)
    return sealed


def find_identity(process: Mapping[str, str]) -> Identity | str:
    """The private keys, or what to say where there are none.

    Raises ConfigurationError for a file that is there and cannot be used: a key that others can
    read is no secret any more, and is refused as ssh and libpq do.
    """
    path, why = identity_path(process)
    label = f"the identity file {path}"
    try:
        mode = path.stat().st_mode
        text = path.read_text() if stat.S_ISREG(mode) else _read_once(path)
    except FileNotFoundError:
        return f"there is no private key here: no {path} ({why})"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"cannot read {label} ({why}): {reason}") from None
    if stat.S_ISREG(mode) and mode & 0o077:
        raise ConfigurationError(
            f"{label} has mode {mode & 0o777:04o}: others can read or change it",
            hint=f"chmod 600 {path}",
        )
    found = keys.parse_identities(text, label)
    public = keys.public_keys(text, found) or _public_file(path)
    return Identity(str(path), found, tuple(public))


@cache
def _read_once(path: Path) -> str:
    """A pipe, as the shell's `<(…)` is one, is empty when it is read again."""
    return path.read_text()


def identity_path(process: Mapping[str, str]) -> tuple[Path, str]:
    """Where the private key is looked for, and why there."""
    named = process.get(VARIABLE)
    if named:
        return Path(named).expanduser(), f"named by ${VARIABLE}"
    home = process.get("XDG_CONFIG_HOME", "")
    # a relative one is to be ignored: XDG base directory specification
    folder = Path(home) if home.startswith("/") else Path.home() / ".config"
    return folder / "stockctl" / "identity.txt", f"${VARIABLE} is not set"


def _identity_for(where: Where, settings: Seal, process: Mapping[str, str]) -> Identity:
    try:
        identity = find_identity(process)
    except ConfigurationError as error:
        hint = error.hint or f"Name your private key in ${VARIABLE}."
        why = f"cannot be opened: {error.message}"
        raise ConfigurationError(why, where=where, hint=hint) from None
    if isinstance(identity, str):
        raise ConfigurationError(
            f"is sealed, and {identity}; {_needed(settings)}",
            where=where,
            hint=f"Name your private key in ${VARIABLE}. Have none? age-keygen makes one; someone"
            " who can open the file adds it to [seal.recipients]: stockctl env seal ENV --again",
        )
    return identity


def _needed(settings: Seal) -> str:
    if not settings.recipients:
        return "[seal.recipients] does not say whose key it needs"
    return f"it needs the key of {keys.listed(settings.recipients)} ([seal.recipients])"


def _told(identity: Identity, settings: Seal) -> str:
    """The keys that were tried, with the names of those that are to have access."""
    told = []
    for public in identity.public:
        names = [n for n, key in settings.recipients.items() if keys.same_key(key, public)]
        told.append(keys.short(public) + (f" (that of {names[0]})" if names else ""))
    return f"{', '.join(told) or 'that'} in {identity.label}"


def _why_no_age_file(raw: bytes) -> tuple[str, str]:
    """What is wrong and what to do; empty for one that may be opened with a private key."""
    if not raw.strip():
        return "is empty: not a sealed file", _LOST
    if not looks_sealed(raw):
        why = "is named like a sealed file but is none"
        text = _is_text(raw)
        return (f"{why}: it holds plaintext", "stockctl env seal ENV") if text else (why, _LOST)
    kinds = _stanzas(raw)
    if kinds is None:
        return "is damaged: its header cannot be read", _LOST
    if "scrypt" in kinds:
        hint = "age -d it, and encrypt it for the keys of [seal.recipients]: age -a -r age1…"
        return "is encrypted with a passphrase, not for keys", hint
    return "", ""


def _is_text(raw: bytes) -> bool:
    try:
        return "\0" not in raw.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _stanzas(raw: bytes) -> list[str] | None:
    """For which kinds of keys it is encrypted; None where that cannot be read."""
    try:
        binary = _unarmored(raw) if not raw.startswith(_BINARY) else raw
    except binascii.Error:
        return None
    header, mac, _ = binary.partition(b"\n---")
    lines = header.split(b"\n")
    if not mac or not lines[0].startswith(_BINARY):
        return None
    return [line.split()[1].decode("ascii", "replace") for line in lines if line[:3] == b"-> "]


def _unarmored(raw: bytes) -> bytes:
    body = raw.strip().removeprefix(_ARMOR).removesuffix(_ARMOR_END)
    return base64.b64decode(b"".join(body.split()), validate=True)


def _tidy(raw: bytes) -> bytes:
    """Armor as age writes it, also where git or an editor has changed the ends of its lines."""
    return raw if raw.startswith(_BINARY) else raw.strip().replace(b"\r\n", b"\n") + b"\n"


def _public_file(private: Path) -> list[str]:
    """The public half of an SSH key in an older format stands beside it, if anywhere."""
    try:
        text = Path(f"{os.fspath(private)}.pub").read_text().strip()
    except (OSError, ValueError):
        return []
    return [] if keys.why_no_recipient(text) else [text]
