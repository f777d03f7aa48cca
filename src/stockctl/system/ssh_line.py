"""A connection to another machine: its key pinned, no password, failures in our own words."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.core.errors import HostFailed

if TYPE_CHECKING:
    from paramiko import Channel, PKey, SFTPClient, SSHClient

PORT = 22
CONNECT_S = 20.0
KEEPALIVE_S = 15  # so that a line that died without a word is noticed within SILENT_S
SILENT_S = 60
WINDOW = 8 << 20  # bytes under way on one channel; paramiko's 2 MB throttle a line with latency
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
    machine on the way, whose key is in the same `known_hosts`."""

    address: Address
    known_hosts: Path
    identity_file: Path | None = None
    jump: Address | None = None


class Line:
    """An open connection, with the one over the jump host that carries it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._clients: list[SSHClient] = []
        try:
            carrier = None
            if target.jump is not None:
                carrier = self._through(_connect(target, target.jump, None, self._clients))
            self._client = _connect(target, target.address, carrier, self._clients)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def channel(self, timeout_s: float = CONNECT_S) -> Channel:
        """A new session. Raises HostFailed."""
        from paramiko import SSHException

        transport = self._client.get_transport()
        try:
            if transport is None:
                raise SSHException("it was closed")
            channel = transport.open_session(window_size=WINDOW, timeout=timeout_s)
        except (SSHException, OSError, EOFError) as error:
            raise HostFailed(f"{self.target.address}: no session: {error}") from error
        channel.settimeout(SILENT_S)
        return channel

    def sftp(self) -> SFTPClient:
        """A session for files. Raises HostFailed."""
        from paramiko import SFTPClient, SSHException

        channel = self.channel()
        try:
            channel.invoke_subsystem("sftp")
            return SFTPClient(channel)
        except (SSHException, OSError, EOFError) as error:
            channel.close()
            raise HostFailed(
                f"{self.target.address} has no SFTP: {error}",
                hint="Its sshd_config needs a line `Subsystem sftp internal-sftp`.",
            ) from error

    def close(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def to(self, host: str, port: int) -> Channel:
        """A connection to a port that is reached from there. Raises HostFailed."""
        from paramiko import SSHException

        transport = self._client.get_transport()
        try:
            if transport is None:
                raise SSHException("it was closed")
            return transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=CONNECT_S
            )
        except (SSHException, OSError, EOFError) as error:
            raise HostFailed(
                f"{self.target.address} cannot reach {host}:{port}: {error}"
            ) from error

    def _through(self, jump: SSHClient) -> Channel:
        from paramiko import SSHException

        transport, to = jump.get_transport(), self.target.address
        assert transport is not None
        try:
            return transport.open_channel(
                "direct-tcpip", (to.host, to.port), ("127.0.0.1", 0), timeout=CONNECT_S
            )
        except (SSHException, OSError, EOFError) as error:
            raise HostFailed(
                f"{self.target.jump} cannot reach {to.host}:{to.port}: {error}",
                hint="The jump host must resolve that name and allow forwarding.",
            ) from error


def _connect(
    target: Target, address: Address, carrier: Channel | None, clients: list[SSHClient]
) -> SSHClient:
    import paramiko

    client = paramiko.SSHClient()
    clients.append(client)  # also one that fails half-way has a thread to end
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    _load_known_hosts(client, target.known_hosts)
    key = target.identity_file
    try:
        client.connect(
            address.host,
            address.port,
            address.user,
            key_filename=None if key is None else str(key),
            allow_agent=key is None,
            look_for_keys=False,
            timeout=CONNECT_S,
            banner_timeout=CONNECT_S,
            auth_timeout=CONNECT_S,
            sock=carrier if carrier is not None else _dial(address),
            transport_factory=_transport(),
        )
    except paramiko.BadHostKeyException as error:
        raise _changed(address, target.known_hosts, error.key) from None
    except paramiko.AuthenticationException as error:
        raise _not_let_in(address, key, error) from error
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        shown = _unexpected_key(client, address)
        if shown is not None:
            raise _unknown(address, target.known_hosts, shown) from None
        raise HostFailed(f"cannot connect to {address}: {error or 'it hung up'}") from error
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEPALIVE_S)
    return client


def _dial(address: Address) -> socket.socket:
    try:
        dialled = socket.create_connection((address.host, address.port), CONNECT_S)
    except OSError as error:
        raise HostFailed(
            f"cannot reach {address.host}:{address.port}: {error.strerror or error}",
            hint=f"Try: ssh -p {address.port} {address}",
        ) from error
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a question is a few bytes
    # The kernel ends a connection whose bytes nobody acknowledges any more (tcp(7)).
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_S * 1000)
    return dialled


def _load_known_hosts(client: SSHClient, file: Path) -> None:
    from paramiko.hostkeys import InvalidHostKey

    try:
        client.load_host_keys(str(file))
    except FileNotFoundError:
        return  # nobody is known, which the policy says with what to do
    except (OSError, InvalidHostKey, UnicodeDecodeError) as error:
        raise HostFailed(f"cannot read the known hosts in {file}: {error}") from error


def _unknown(address: Address, file: Path, shown: PKey) -> HostFailed:
    return HostFailed(
        f"{address.host} is not in {file}; it shows {_shown(shown)}",
        details="Compare with what `ssh-keygen -lf` prints for /etc/ssh/ssh_host_*_key.pub there.",
        hint=f"If it is the same: {_scan(address)} >> {file}",
    )


def _changed(address: Address, file: Path, shown: PKey) -> HostFailed:
    return HostFailed(
        f"the host key of {address.host} is not the one in {file}; it shows {_shown(shown)}",
        details="Either the machine was set up anew, or somebody stands between you and it."
        " Nothing was sent.",
        hint=f"Ask who set it up. Then: ssh-keygen -f {file} -R '{address.known_as}',"
        f" and {_scan(address)} >> {file}",
    )


def _not_let_in(address: Address, key: Path | None, error: Exception) -> HostFailed:
    from paramiko import PasswordRequiredException

    if isinstance(error, PasswordRequiredException):
        return HostFailed(
            f"the key {key} has a passphrase, and nobody is asked for it here",
            hint=f"Leave identity_file out and load it into the agent: ssh-add {key}",
        )
    with_what = f"the key {key}" if key else "the keys of the ssh-agent"
    return HostFailed(
        f"{address} does not let us in with {with_what}",
        hint="Its public key must be in that user's ~/.ssh/authorized_keys on that machine.",
    )


def _unexpected_key(client: SSHClient, address: Address) -> PKey | None:
    """What a machine showed whose key nobody has noted."""
    from paramiko import SSHException

    transport = client.get_transport()
    if transport is None or client.get_host_keys().lookup(address.known_as) is not None:
        return None
    try:
        return transport.get_remote_server_key()
    except SSHException:
        return None


def _shown(key: PKey) -> str:
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def _scan(address: Address) -> str:
    return f"ssh-keyscan -p {address.port} {address.host}"


def _transport() -> Any:
    """A Transport that keeps the name of the signal which ended a program. paramiko drops it, and
    then 137 for "killed" and 137 for "exited with 137" would be one (RFC 4254, 6.10)."""
    from paramiko import Transport
    from paramiko.common import MSG_CHANNEL_REQUEST

    table = Transport._channel_handler_table  # type: ignore[attr-defined]
    ordinary = table[MSG_CHANNEL_REQUEST]

    def request(channel: Any, message: Any) -> None:
        begins = message.packet.tell()
        if message.get_text() == "exit-signal":
            message.get_boolean()
            channel.exit_signal = message.get_text()
        message.packet.seek(begins)
        ordinary(channel, message)

    class SignalledTransport(Transport):
        _channel_handler_table = {**table, MSG_CHANNEL_REQUEST: request}

    return SignalledTransport


@contextmanager
def answering(machine: str, doing: str) -> Iterator[None]:
    """What the line says becomes a HostFailed that a person can use."""
    from paramiko import SSHException

    try:
        yield
    except TimeoutError as error:
        raise HostFailed(f"{machine}: cannot {doing}: it does not answer") from error
    except (SSHException, OSError, EOFError) as error:
        raise HostFailed(f"{machine}: cannot {doing}: {error or 'the line was cut'}") from error
