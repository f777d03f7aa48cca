"""The Docker engine's SDK: imported when it is needed, its errors in our own words."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from stockctl.core.errors import EngineUnavailable, ToolFailed

_HINT = "Is it running, and may you use it? stockctl doctor ENV"


def load_sdk() -> None:
    """Imports the SDK, but not paramiko, which takes another 200 ms, unless $DOCKER_HOST wants
    ssh: the SDK goes on without it (docker/transport/__init__.py). To be called on the main
    thread before others may import paramiko."""
    if "docker" in sys.modules:
        return
    spared = "paramiko" not in sys.modules and not os.environ.get("DOCKER_HOST", "").startswith(
        "ssh"
    )
    if spared:
        sys.modules["paramiko"] = None  # type: ignore[assignment]
    try:
        import docker  # noqa: F401
    finally:
        if spared:
            del sys.modules["paramiko"]


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """What the SDK says becomes a ToolFailed that a person can use, or EngineUnavailable."""
    load_sdk()
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        said = error.explanation or str(error)
        raise ToolFailed(f"the Docker engine cannot {doing}: {said}") from error
    except (DockerException, RequestException) as error:
        _let_go(error)
        raise EngineUnavailable(
            "the Docker engine does not answer", details=str(error), hint=_HINT
        ) from error


def _let_go(error: BaseException) -> None:
    """A socket that the SDK could not connect is in a variable of its frames
    (docker/transport/unixconn.py), and they are in a cycle with the error: it would be open until
    Python looks for cycles, which it seldom does here."""
    each: BaseException | None = error
    while each is not None:
        traceback.clear_frames(each.__traceback__)
        each = each.__context__
