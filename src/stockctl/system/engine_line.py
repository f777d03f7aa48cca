"""The SDK's client for an engine on another machine: requests share connections.

The SDK keeps one for each URL that it ever asked (docker/transport/unixconn.py). Over SSH each is
a session and a process there, of which sshd allows ten (MaxSessions in sshd_config(5)), and to
open one takes three times as long as to ask.
"""

from __future__ import annotations

from typing import Any

from docker import APIClient, DockerClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.transport import UnixHTTPAdapter

KEPT = 2  # connections; when more ask at once, theirs are closed again


class _Sharing(UnixHTTPAdapter):
    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # noqa: ARG002
        return super().get_connection("any", proxies)


class _Api(APIClient):
    def __init__(self, at: str, timeout_s: int) -> None:
        self._sharing = _Sharing(
            at.replace("unix://", "http+unix://"), timeout_s, max_pool_size=KEPT
        )
        super().__init__(base_url=at, timeout=timeout_s)

    def mount(self, prefix: Any, adapter: Any) -> None:
        """What the SDK mounts for its socket gives way to ours, before it asks for the version."""
        super().mount(prefix, self._sharing if prefix == "http+docker://" else adapter)


def connect(at: str, timeout_s: int) -> DockerClient:
    """`at`: `unix:///path`. Asks for the engine's version."""
    client = DockerClient(base_url=at, version=DEFAULT_DOCKER_API_VERSION)  # asks nothing
    client.api = _Api(at, timeout_s)
    return client
