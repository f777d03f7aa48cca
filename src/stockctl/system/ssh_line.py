"""A connection to another machine: its key pinned, no password, failures in our own words."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.core.errors import HostFailed
from stockctl.system.ssh_address import Address, Target
from stockctl.system.ssh_refusals import changed, not_let_in, unexpected_key, unknown

if TYPE_CHECKING:
    from paramiko import Channel, SFTPClient, SSHClient

CONNECT_S = 20.0
KEEPALIVE_S = 15  # so that a line that died without a word is noticed
WINDOW = 8 << 20  # bytes under way on one channel; paramiko's 2 MB throttle a line with latency


def load_paramiko() -> None:
    """Imports it, but not `invoke`, half of the time that it takes: paramiko goes on without it,
    and needs it for `Match exec` in an ssh_config only (paramiko/config.py). To be called on the
    main thread before others may import either."""
    if "paramiko" in sys.modules:
        return
    spared = "invoke" not in sys.modules
    if spared:
        sys.modules["invoke"] = None  # type: ignore[assignment]
    try:
        import paramiko  # noqa: F401
    finally:
        if spared:
            del sys.modules["invoke"]


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
        channel.settimeout(self.target.silent_s)
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
    load_paramiko()
    import paramiko

    # what it tells on standard error, from a thread of its own, is raised here as well
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
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
            sock=carrier if carrier is not None else _dial(address, target.silent_s),
            transport_factory=_transport(),
        )
    except paramiko.BadHostKeyException as error:
        raise changed(address, target.known_hosts, error.key) from None
    except paramiko.AuthenticationException as error:
        raise not_let_in(address, key, error) from error
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        shown = unexpected_key(client, address)
        if shown is not None:
            raise unknown(address, target.known_hosts, shown) from None
        raise HostFailed(f"cannot connect to {address}: {error or 'it hung up'}") from error
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEPALIVE_S)
    return client


def _dial(address: Address, silent_s: float) -> socket.socket:
    try:
        dialled = socket.create_connection((address.host, address.port), CONNECT_S)
    except OSError as error:
        raise HostFailed(
            f"cannot reach {address.host}:{address.port}: {error.strerror or error}",
            hint=f"Try: ssh -p {address.port} {address}",
        ) from error
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a question is a few bytes
    # The kernel ends a connection whose bytes nobody acknowledges any more (tcp(7)).
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(silent_s * 1000))
    return dialled


def _load_known_hosts(client: SSHClient, file: Path) -> None:
    from paramiko.hostkeys import InvalidHostKey

    try:
        client.load_host_keys(str(file))
    except FileNotFoundError:
        return  # nobody is known, which the policy says with what to do
    except (OSError, InvalidHostKey, UnicodeDecodeError) as error:
        raise HostFailed(f"cannot read the known hosts in {file}: {error}") from error


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


def end_input(channel: Channel) -> None:
    """Says that no more input comes. paramiko's own `shutdown_write` lets its thread answer a
    program's end in between, and sshd hangs up on whoever speaks of a channel that is closed."""
    with channel.lock:
        message = channel._send_eof()  # type: ignore[attr-defined]
        if message is not None and channel.transport is not None:
            channel.transport._send_user_message(message)  # type: ignore[attr-defined]


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
