"""What a run of the tests starts is gone when the run was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.remotes import REPO, within

RUN = """
import os, sys
from pathlib import Path
from tests import servers
from tests.remotes import serve_ssh
folder = Path(os.environ[servers.FOLDER])
keeper = servers.keeper(folder)
with servers.scratch("mortal") as own, servers.a_server(16, own), serve_ssh(Path(sys.argv[1])):
    servers.running(16, folder)
    print(own, flush=True)
    os.kill(os.getpid(), 9)
"""


def named(*folders: str) -> list[str]:
    """The command lines of processes in which they are."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(each in text for each in folders):
            found.append(text)
    return found


def test_a_run_that_is_killed_leaves_no_server(tmp_path: Path) -> None:
    folder = tempfile.mkdtemp(prefix="stockctl-tests-")
    variables = {**os.environ, "STOCKCTL_TEST_SERVER": folder, "PYTHONPATH": str(REPO)}
    ended = subprocess.run(
        [sys.executable, "-c", RUN, tmp_path / "sshd"],
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    own = ended.stdout.strip()
    assert within(30, lambda: not Path(folder).exists() and not Path(own).exists())
    assert within(5, lambda: not named(folder, own, f"{tmp_path}/sshd"))
