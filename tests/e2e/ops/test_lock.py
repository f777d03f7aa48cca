"""Whose turn it is: the lock, waiting for it, and the sign on the door."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime

from stockctl.system.host import Holder
from stockctl.system.local import LocalHost
from tests.e2e.ops.conftest import IMAGE, Small

DEPLOY = ("deploy", "site", "--image", IMAGE)


def held(small: Small, doing: str) -> ExitStack:
    """Somebody else is at work."""
    stack = ExitStack()
    holder = Holder("ada@elsewhere", doing, datetime(2026, 11, 22, 3, 0, tzinfo=UTC))
    stack.enter_context(LocalHost().lock(small.directory / "lock", holder))
    return stack


def test_a_freeze_refuses_deploy_and_rollback_and_names_who(served: Small) -> None:
    lock = ("deploy", "lock", "--message", "the sale runs, ask Ada")
    assert "would be frozen" in served.ok(*lock, "--plan").out
    assert served.data("deploy", "unlock", "--plan")["planned"]["was_frozen"] is False
    said = served.ok(*lock)
    assert "the sale runs, ask Ada" in said.out
    for argv in (DEPLOY, ("deploy", "rollback")):
        refused = served.run(*argv, "--json")
        error = json.loads(refused.out)["error"]
        assert (refused.code, error["code"]) == (5, "FROZEN")
        assert "@" in error["message"] and "since 20" in error["message"]
        assert "the sale runs, ask Ada" in error["message"]
        assert error["retry_after_s"] is None  # it does not go by itself
        assert "deploy unlock site" in error["hint"]
    status = served.data("deploy", "status")
    assert status["frozen"]["message"] == "the sale runs, ask Ada"
    assert status["live"]["id"] == "r0001"
    assert "ask Ada; it would be open" in served.ok("deploy", "unlock", "--plan").out
    assert served.data("deploy", "unlock") == {"was_frozen": True}
    assert served.data("deploy", "unlock") == {"was_frozen": False}
    commands = [entry["command"] for entry in served.data("journal")["entries"]]
    assert commands[:2] == ["deploy unlock", "deploy lock: the sale runs, ask Ada"]


def test_a_freeze_that_comes_while_one_waits_holds(served: Small) -> None:
    """Looked at again under the lock, not only before the plan."""
    with held(served, "deploy r0099 (v9)"):
        refused = served.run(*DEPLOY, "--json")
        error = json.loads(refused.out)["error"]
        assert (refused.code, error["code"]) == (5, "LOCKED")
        for part in ("ada@elsewhere", "(pid ", "deploy r0099 (v9)", "since 2026-11-22T03:00:00Z"):
            assert part in error["message"]
        waiting = served.start(*DEPLOY, "--wait", "1m")
        assert waiting.stderr is not None
        assert "waiting for ada@elsewhere" in waiting.stderr.readline()
        served.ok("deploy", "lock", "--message", "enough for today")
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 5, err
    assert "enough for today" in err
    assert served.data("deploy", "unlock") == {"was_frozen": True}
    assert served.live() == "r0001"


def test_who_waits_plans_when_the_other_is_done(served: Small) -> None:
    with held(served, "deploy r0002 (v2)"):
        waiting = served.start(*DEPLOY, "--wait", "1m", "--json")
        assert waiting.stderr is not None
        assert "waiting for" in waiting.stderr.readline()
        # what the other one leaves behind: a record of r0002, which failed
        record = json.loads((served.directory / "releases/r0001/release.json").read_text())
        folder = served.directory / "releases" / "r0002"
        folder.mkdir()
        (folder / "release.json").write_text(
            json.dumps({**record, "id": "r0002", "state": "failed"})
        )
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert json.loads(out)["data"]["release"]["id"] == "r0003"


def test_a_deadline_that_passes_is_exit_5_and_a_bad_one_exit_2(served: Small) -> None:
    with held(served, "db migrate"):
        late = served.run("deploy", "rollback", "--yes", "--wait", "100ms")
        assert late.code == 5
        assert "db migrate" in late.err
    assert served.run("deploy", "rollback", "--yes", "--wait", "soon").code == 2


def test_the_lock_goes_with_the_process_that_held_it(served: Small) -> None:
    script = (
        "import sys, time; from datetime import datetime, UTC; from pathlib import Path\n"
        "from stockctl.system.host import Holder; from stockctl.system.local import LocalHost\n"
        "with LocalHost().lock(Path(sys.argv[1]), Holder('a', 'b', datetime.now(UTC))):\n"
        "    print('held', flush=True); time.sleep(600)\n"
    )
    file = served.directory / "lock"
    argv = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert LocalHost().holder(file) is not None
        process.kill()
    assert LocalHost().holder(file) is None
