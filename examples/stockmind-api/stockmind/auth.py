"""Passwords, tokens and sealed API keys: standard primitives, no state."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time

from cryptography.fernet import Fernet, InvalidToken

TOKEN_LIFETIME_S = 24 * 3600
# RFC 7914's parameters for interactive logins: 16 MiB and some 50 ms.
SCRYPT_COST = {"n": 2**14, "r": 8, "p": 1}


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT_COST)


def _hash(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt${_b64(salt)}${_b64(_scrypt(password, salt))}"


def _matches(password: str, stored: str | None) -> bool:
    """Does the work for an unknown user too, so that timing does not tell who exists."""
    try:
        _, salt, expected = (stored or "").split("$")
    except ValueError:
        salt, expected = _b64(bytes(16)), ""
    actual = _b64(_scrypt(password, _unb64(salt)))
    return hmac.compare_digest(actual, expected)


async def hash_password(password: str) -> str:
    """Salted scrypt, in a thread: it must not hold up other requests."""
    return await asyncio.to_thread(_hash, password)


async def password_matches(password: str, stored: str | None) -> bool:
    return await asyncio.to_thread(_matches, password, stored)


class Tokens:
    """Signed tokens (JWT with HS256): every replica with the same secret accepts them."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._header = _b64(b'{"alg":"HS256","typ":"JWT"}')

    def _signature(self, signed: str) -> str:
        return _b64(hmac.digest(self._secret, signed.encode(), "sha256"))

    def issue(self, user_id: int) -> str:
        now = int(time.time())
        claims = {"sub": str(user_id), "iat": now, "exp": now + TOKEN_LIFETIME_S}
        signed = f"{self._header}.{_b64(json.dumps(claims, separators=(',', ':')).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def user_id(self, token: str) -> int | None:
        """The user of a valid token, else None. The header is not consulted: one algorithm."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            return None
        try:
            claims = json.loads(_unb64(signed.partition(".")[2]))
            return int(claims["sub"]) if claims["exp"] > time.time() else None
        except (ValueError, KeyError, TypeError, binascii.Error):
            return None


class KeySeal:
    """Encrypts users' API keys (Fernet: AES-CBC with HMAC) under SESSION_SECRET."""

    def __init__(self, secret: str) -> None:
        derived = hmac.digest(secret.encode(), b"stockmind/api-keys/v1", "sha256")
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, key: str) -> str:
        return self._fernet.encrypt(key.encode()).decode()

    def unseal(self, sealed: str) -> str | None:
        """None when it was sealed under another secret, for example before a rotation."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            return None
