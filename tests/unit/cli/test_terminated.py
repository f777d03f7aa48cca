"""A signal whose exception was lost on its way is not lost."""

from __future__ import annotations

import signal

import pytest

from stockctl.cli.backup_schedule import _Until
from stockctl.cli.session import Session
from stockctl.core.errors import Terminated


def test_who_stays_asks_again() -> None:
    session = Session()
    clock = _Until(session)
    clock.sleep(0.0)
    with pytest.raises(Terminated):
        session.ending(signal.SIGTERM, None)
    with pytest.raises(Terminated):
        clock.sleep(3600.0)
