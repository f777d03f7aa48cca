"""The time of another machine, whose clock is wrong; or ours is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import FakeClock
from tests.remotes import Sshd, serve_ssh

from stockctl.core.clock import SystemClock
from stockctl.core.errors import HostFailed, ToolFailed
from stockctl.deploy.doctor import _clock
from stockctl.system.host_clock import HostClock, ahead_s
from stockctl.system.local import LocalHost
from stockctl.system.ssh import SshHost

ABOUT = timedelta(seconds=10)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Three days."""
    with serve_ssh(tmp_path_factory.mktemp("behind"), clock="-3d") as server:
        yield server


def test_it_is_the_host_s_and_asked_for_once(behind: Sshd) -> None:
    with SshHost(behind.target) as host:
        own = FakeClock(datetime.now(UTC))
        clock = HostClock(host, own)
        assert abs(clock.now() - (own.at - timedelta(days=3))) < ABOUT
    own.sleep(3600)  # nobody can be asked any more
    assert abs(clock.now() - (own.at - timedelta(days=3) + timedelta(hours=1))) < ABOUT
    assert clock.monotonic() == 3600


def test_the_same_time_is_the_same(sshd: Sshd) -> None:
    with SshHost(sshd.target) as host:
        assert ahead_s(host, SystemClock()) == 0
        site: Any = SimpleNamespace(host=host)
        assert "the same time" in _clock(site)


def test_a_host_that_does_not_answer_leaves_us_our_own(sshd: Sshd) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = replace(sshd.address, port=free.getsockname()[1])
        own = FakeClock()
        with SshHost(replace(sshd.target, address=address)) as host:
            with pytest.raises(HostFailed):
                ahead_s(host, own)
            assert HostClock(host, own).now() == own.at


def test_doctor_says_which_way(behind: Sshd) -> None:
    with SshHost(behind.target) as host:
        site: Any = SimpleNamespace(host=host)
        with pytest.raises(HostFailed, match=r"is (2d 23h|3d 0h) behind this machine's"):
            _clock(site)


@pytest.mark.parametrize("said", ["", "Thu Nov 26", "9" * 30])
def test_what_is_no_time_is_told(said: str) -> None:
    class Odd(LocalHost):
        def ask(self, *_: str) -> str:
            return said

    with pytest.raises(ToolFailed, match="time"):
        ahead_s(Odd(), FakeClock())
