"""age keys: public ones to seal and to back up for, private ones to open with.

https://age-encryption.org/v1 says what they look like. SSH keys of the kinds that age takes
(ed25519 and RSA) serve as well.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stockctl.core.errors import ConfigurationError

Identities = tuple[Any, ...]  # pyrage has no common type for its private keys

_SHAPE = re.compile(r"age1[02-9ac-hj-np-z]{58}|ssh-(?:ed25519|rsa) +[A-Za-z0-9+/]+={0,2}(?: .*)?")
_PRIVATE = re.compile(r"AGE-SECRET-KEY|PRIVATE KEY", re.IGNORECASE)
_EXPECTED = 'Expected "age1…" (age-keygen prints it) or "ssh-ed25519 …".'
_OPENSSH = b"openssh-key-v1\0"


def age() -> Any:
    """pyrage, imported late; it has no types."""
    import pyrage

    return pyrage


def load_recipients(texts: Sequence[str], key: str = "backup.recipients") -> list[Any]:
    """`age1…` and `ssh-…` public keys; `key` is where they stand. Raises ConfigurationError."""
    return [load_recipient(text, key) for text in texts]


def load_recipient(text: str, key: str) -> Any:
    """One of them."""
    why = why_no_recipient(text)
    if why:
        raise ConfigurationError(f"{key}: {why}", hint=_EXPECTED)
    return _recipient(text)


def bad_recipients(recipients: Mapping[str, str]) -> list[tuple[str, str]]:
    """The names whose key is none, each with the reason. pyrage is needed only where there are
    keys that look like some."""
    reasons = ((name, why_no_recipient(text)) for name, text in recipients.items())
    return [(name, why) for name, why in reasons if why]


def why_no_recipient(text: str) -> str:
    """What is wrong with a public key, without quoting what may be a private one; or ''."""
    if _PRIVATE.search(text):
        return "is a private key; the public one belongs here (age-keygen -y FILE prints it)"
    if text.startswith("age1") and "1" in text[4:]:
        return "is a key of an age plugin, which stockctl does not speak"
    if not _SHAPE.fullmatch(text):
        return f"is not a public key: {text[:12]}…" if text else "is empty, not a public key"
    try:
        _recipient(text)
    except age().RecipientError as error:
        return f"is not a public key: {text[:12]}… ({error})"
    return ""


def load_identities(path: Path, key: str = "backup.identity_file") -> Identities:
    """The private keys in an age identity file, or one SSH key. Raises ConfigurationError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"cannot read {key} {path}: {reason}") from None
    return parse_identities(text, f"{key} {path}")


def parse_identities(text: str, label: str) -> Identities:
    """The private keys in the text of an identity file, which messages call `label`."""
    try:
        keys = _identities(text)
    except age().IdentityError:
        # without the parser's words: they might quote the key
        raise ConfigurationError(f"{label} {_why_no_identity(text)}") from None
    if not keys:
        raise ConfigurationError(f"{label} holds no key")
    return keys


def public_halves(path: Path) -> list[str]:
    """Of the keys in a file that `load_identities` took; empty where they cannot be had."""
    text = path.read_text()
    return public_keys(text, _identities(text))


def public_keys(text: str, keys: Identities) -> list[str]:
    """The public halves, as far as they can be had without a passphrase or another file."""
    if text.startswith("-----BEGIN"):
        return [found] if (found := _openssh_public_key(text)) else []
    return [str(key.to_public()) for key in keys]


def same_key(one: str, other: str) -> bool:
    """Whether two public keys are one; the comment of an SSH key does not count."""
    return one.split()[:2] == other.split()[:2]


def short(public_key: str) -> str:
    """How messages call a public key: whole, or the end of a long one."""
    kind, _, rest = public_key.partition(" ")
    return f"{kind} …{rest.split()[0][-12:]}" if rest.strip() else kind


def listed(names: Iterable[str]) -> str:
    """`alice`, `alice or bob`, `alice, bob or carol`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def _identities(text: str) -> Identities:
    if text.startswith("-----BEGIN"):
        return (age().ssh.Identity.from_buffer(text.encode()),)
    lines = (line.strip() for line in text.splitlines())
    return tuple(
        age().x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
    )


def _why_no_identity(text: str) -> str:
    if text.startswith(("-----BEGIN AGE ENCRYPTED", "age-encryption.org/")):
        return "is itself encrypted; stockctl needs it in the clear, mode 0600"
    if text.startswith("-----BEGIN"):
        return "is not an SSH private key that age takes: ed25519 or RSA, without a passphrase"
    if "AGE-PLUGIN-" in text:
        return "is for an age plugin, which stockctl does not speak"
    return "is not an age identity or an SSH private key"


def _recipient(text: str) -> Any:
    kind = age().ssh if text.startswith("ssh-") else age().x25519
    return kind.Recipient.from_str(text)


def _openssh_public_key(text: str) -> str:
    """An OpenSSH private key file begins with the public key (PROTOCOL.key of OpenSSH)."""
    body = "".join(line for line in text.splitlines() if not line.startswith("-"))
    try:
        rest = base64.b64decode(body).removeprefix(_OPENSSH)
        for _ in range(3):  # cipher, key derivation, its options
            _, rest = _field(rest)
        blob, _ = _field(rest[4:])
        kind, _ = _field(blob)
        return f"{kind.decode('ascii')} {base64.b64encode(blob).decode()}"
    except (ValueError, IndexError):
        return ""


def _field(data: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < end:
        raise ValueError("cut short")
    return data[4:end], data[end:]
