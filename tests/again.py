"""What failed in a run of pytest, once more and alone: `again.py CODE MOST`.

CODE is pytest's exit code, MOST how many failures may be repeated. Only a run that came to its end
with failed tests is repeated. What passes now is named as unstable; coverage must hold as before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
TESTS_FAILED = 1  # pytest: "tests were collected and run but some of them failed"


def main(code: int, most: int) -> int:
    """Returns the exit code of the whole: 0 only if each failed test passes alone.

    Raises:
        OSError: pytest cannot be started.
    """
    if code != TESTS_FAILED or not LAST_FAILED.exists():
        return code
    failed = sorted(json.loads(LAST_FAILED.read_text()))
    if not 0 < len(failed) <= most:
        return code
    say(f"== once more, alone: {len(failed)} of at most {most}")
    uncovered = not_covered()
    again = [sys.executable, "-m", "pytest", *failed]
    ended = subprocess.run(again, check=False, env={**os.environ, "PYTEST_ADDOPTS": ""})
    if ended.returncode:
        return ended.returncode
    for name in failed:
        say(f"unstable: {name} failed among the others and passed alone")
    return uncovered


def not_covered() -> int:
    """The exit code of `coverage report` about the first run: of the second nothing is measured."""
    if not Path(".coverage").exists():
        return 0
    report = [sys.executable, "-m", "coverage", "report"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # pytest showed them
    return subprocess.run(report, check=False, **quiet).returncode


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
