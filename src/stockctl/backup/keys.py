"""age keys: public ones to write backups for, private ones to read them with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stockctl.core.errors import ConfigurationError

Identities = tuple[Any, ...]  # pyrage has no common type for its private keys


def age() -> Any:
    """pyrage, imported late; it has no types."""
    import pyrage

    return pyrage


def load_recipients(texts: Sequence[str]) -> list[Any]:
    """`age1…` and `ssh-…` public keys. Raises ConfigurationError."""
    return [_recipient(text) for text in texts]


def load_identities(path: Path) -> Identities:
    """The private keys in an age identity file, or one SSH key. Raises ConfigurationError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"cannot read backup.identity_file {path}: {reason}") from None
    try:
        keys = _identities(text)
    except age().IdentityError:
        raise ConfigurationError(  # without the parser's words: they might quote the key
            f"backup.identity_file {path} is not an age identity or an SSH private key"
        ) from None
    if not keys:
        raise ConfigurationError(f"backup.identity_file {path} holds no key")
    return keys


def _identities(text: str) -> Identities:
    if text.startswith("-----BEGIN"):
        return (age().ssh.Identity.from_buffer(text.encode()),)
    lines = (line.strip() for line in text.splitlines())
    return tuple(
        age().x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
    )


def _recipient(text: str) -> Any:
    kind = age().ssh if text.startswith("ssh-") else age().x25519
    try:
        return kind.Recipient.from_str(text)
    except age().RecipientError as error:
        raise ConfigurationError(
            f"backup.recipients: not a public key: {text[:12]}… ({error})",
            hint='Expected "age1…" (age-keygen prints it) or "ssh-ed25519 …".',
        ) from None
