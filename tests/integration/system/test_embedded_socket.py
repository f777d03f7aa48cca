"""Whoever reaches the socket of an embedded server is its superuser."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

from stockctl.system.embedded import serve


def test_a_socket_outside_the_data_folder_is_private_and_does_not_stay() -> None:
    with tempfile.TemporaryDirectory(prefix="stockctl-tests-") as folder:
        data = Path(folder) / ("too-long-for-a-socket-" * 5) / "postgres"
        with serve(data) as database:
            socket_folder = Path(database.dsn.host)
            assert socket_folder != data
            assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
        assert not socket_folder.exists()
