"""Where another machine is, and whose keys it must show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PORT = 22
_ADDRESS = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:]+\])(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """`user@host:port`, as it is written."""

    host: str
    user: str | None = None
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError."""
        found = _ADDRESS.fullmatch(text)
        port = int(found["port"] or PORT) if found else 0
        if not found or not 0 < port < 65536:
            raise ValueError(f'expected "user@host" or "user@host:port", got {text!r}')
        return cls(found["host"].strip("[]"), found["user"], port)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def known_as(self) -> str:
        """How a known_hosts file names it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        return self.host if self.port == PORT else f"[{self.host}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go. `identity_file` None: the keys that the running ssh-agent holds. `jump` is a
    machine on the way, whose key is in the same `known_hosts`. `silent_s`: a line from which
    nothing was heard for as long is dead."""

    address: Address
    known_hosts: Path
    identity_file: Path | None = None
    jump: Address | None = None
    silent_s: float = 60.0
