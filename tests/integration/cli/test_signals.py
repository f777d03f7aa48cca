"""Ended at any moment: a signal is never lost, and what the way out needs can still be imported."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.children import untraced

SLOW = """\
print("importing", flush=True)
import sys
sys.stdin.readline()
whole = True
"""
ONE = """\
import sys
sys.path.insert(0, sys.argv[1])
from stockctl.cli.signals import Ending, stay_awake
from stockctl.core.errors import Terminated
stay_awake()
ending = Ending()
ending.install()
try:
    import slow
    import time
    time.sleep(30)
except (KeyboardInterrupt, Terminated) as end:
    print(type(end).__name__, slow.whole, ending.terminated)
"""
# A thousand signals in the middle of four hundred imports, and then an import in another thread.
MANY = """\
import signal, sys, threading
sys.path.insert(0, sys.argv[1])
from stockctl.cli.signals import Ending, stay_awake
stay_awake()
Ending().install()
print("ready", flush=True)
last, ended, quiet = 0, False, False
while not (ended and quiet):
    try:
        while last < 400:
            last += 1
            __import__(f"m{last}")
        while not ended:
            sys.stdin.readline()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        quiet = True
    except KeyboardInterrupt:
        ended = True
other = threading.Thread(target=lambda: __import__("after"), daemon=True)
other.start()
other.join(20)
print("hangs" if other.is_alive() else "imports", flush=True)
"""

# The signal reaches another thread, as if it had come just before the main thread began to wait.
UNSEEN = """\
import queue, signal, sys, threading
from stockctl.cli.signals import Ending, stay_awake
from stockctl.core.errors import Terminated
stay_awake()
Ending().install()
def interrupt():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.Signals(int(sys.argv[2])))
threading.Thread(target=interrupt, daemon=True).start()
try:
    print("ready", flush=True)
    queue.SimpleQueue().get()
except (KeyboardInterrupt, Terminated) as end:
    print(type(end).__name__)
"""

# It comes while Python takes an object away, where nothing that is raised gets out.
LOST = """\
import os, sys, time, weakref
from stockctl.cli.signals import Ending, stay_awake
from stockctl.core.errors import Terminated
stay_awake()
Ending().install()
class Thing:
    pass
def gone(_reference=None):
    os.kill(os.getpid(), int(sys.argv[2]))
    for _ in range(1000):
        pass
class Ends:
    def __del__(self):
        gone()
try:
    thing = Thing() if sys.argv[3] == "callback" else Ends()
    watched = weakref.ref(thing, gone) if sys.argv[3] == "callback" else None
    del thing
    time.sleep(30)
    print("went on")
except (KeyboardInterrupt, Terminated) as end:
    print(type(end).__name__)
"""


def start(script: str, folder: Path, *more: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", script, str(folder), *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=untraced())


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "KeyboardInterrupt True False"),
        (signal.SIGTERM, "Terminated True True"),
        (signal.SIGHUP, "Terminated True True"),
    ],
)
def test_an_import_comes_to_its_end_first(
    tmp_path: Path, number: signal.Signals, said: str
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    with start(ONE, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        out, _ = process.communicate("go on\n", timeout=20)
    assert out == f"{said}\n"


def test_signals_during_imports_leave_no_lock_behind(tmp_path: Path) -> None:
    for number in range(401):
        (tmp_path / f"m{number}.py").write_text("value = 1\n" * 20)
    (tmp_path / "after.py").write_text("value = 1\n")
    with start(MANY, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        enough = threading.Event()

        def interrupt() -> None:
            while not enough.wait(0.0005) and process.poll() is None:
                process.send_signal(signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        said = process.stdout.readline()
        enough.set()
        thread.join()
        process.communicate(timeout=30)
    assert said == "imports\n"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "KeyboardInterrupt"),
        (signal.SIGTERM, "Terminated"),
        (signal.SIGHUP, "Terminated"),
    ],
)
def test_one_that_came_just_before_a_wait_without_end_ends_it(
    tmp_path: Path, number: signal.Signals, said: str
) -> None:
    with start(UNSEEN, tmp_path, str(int(number))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            out, _ = process.communicate("now\n", timeout=20)
        finally:
            process.kill()
    assert out == f"{said}\n"


@pytest.mark.parametrize("place", ["callback", "destructor"])
@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Terminated")]
)
def test_one_that_is_raised_where_nothing_gets_out_is_raised_again(
    tmp_path: Path, number: signal.Signals, said: str, place: str
) -> None:
    with start(LOST, tmp_path, str(int(number)), place) as process:
        try:
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert out == f"{said}\n"
