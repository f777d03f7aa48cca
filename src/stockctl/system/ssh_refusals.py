"""Why another machine was not trusted, or did not let us in, and what a person does about it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.core.errors import HostFailed
from stockctl.system.ssh_address import Address

if TYPE_CHECKING:
    from paramiko import PKey, SSHClient


def unknown(address: Address, file: Path, shown: PKey) -> HostFailed:
    return HostFailed(
        f"{address.host} is not in {file}; it shows {_shown(shown)}",
        details="Compare with what `ssh-keygen -lf` prints for /etc/ssh/ssh_host_*_key.pub there.",
        hint=f"If it is the same: {_scan(address)} >> {file}",
    )


def changed(address: Address, file: Path, shown: PKey) -> HostFailed:
    return HostFailed(
        f"the host key of {address.host} is not the one in {file}; it shows {_shown(shown)}",
        details="Either the machine was set up anew, or somebody stands between you and it."
        " Nothing was sent.",
        hint=f"Ask who set it up. Then: ssh-keygen -f {file} -R '{address.known_as}',"
        f" and {_scan(address)} >> {file}",
    )


def not_let_in(address: Address, key: Path | None, error: Exception) -> HostFailed:
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


def unexpected_key(client: SSHClient, address: Address) -> PKey | None:
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
