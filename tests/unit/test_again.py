"""`tests/again.py` on small suites of its own: what may be repeated, and what it hides not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AGAIN = Path(__file__).parents[1] / "again.py"
UNSTABLE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("name", {names})
def test_it(name):
    seen = Path(name)
    was_there = seen.exists()
    seen.touch()
    assert was_there or name == "good"
"""


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv], cwd=folder, check=False, capture_output=True, text=True
    )


def first_run(folder: Path, body: str) -> int:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(body)
    return run(folder, "-m", "pytest", "-q", "-p", "no:cov").returncode


def again(folder: Path, code: int, most: int = 2) -> subprocess.CompletedProcess[str]:
    return run(folder, str(AGAIN), str(code), str(most))


def test_what_passes_alone_is_named_as_unstable(tmp_path: Path) -> None:
    code = first_run(tmp_path, UNSTABLE.format(names=["good", "a", "b"]))
    assert code == 1
    ended = again(tmp_path, code)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout
    unstable = [line for line in ended.stdout.splitlines() if line.startswith("unstable: ")]
    assert [line.split()[1] for line in unstable] == [
        "test_it.py::test_it[a]",
        "test_it.py::test_it[b]",
    ]


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    code = first_run(tmp_path, "def test_it():\n    assert False\n")
    ended = again(tmp_path, code)
    assert ended.returncode == 1
    assert "unstable" not in ended.stdout


def test_more_than_that_are_not_repeated(tmp_path: Path) -> None:
    code = first_run(tmp_path, UNSTABLE.format(names=["a", "b", "c"]))
    ended = again(tmp_path, code)
    assert (ended.returncode, ended.stdout) == (1, "")


@pytest.mark.parametrize("code", [2, 3, 5])
def test_a_run_that_did_not_end_is_not_repeated(tmp_path: Path, code: int) -> None:
    assert first_run(tmp_path, UNSTABLE.format(names=["a"])) == 1
    ended = again(tmp_path, code)
    assert (ended.returncode, ended.stdout) == (code, "")


def test_without_a_failed_test_the_code_stays(tmp_path: Path) -> None:
    assert first_run(tmp_path, "def test_it():\n    pass\n") == 0
    assert again(tmp_path, 1).returncode == 1


def test_coverage_of_the_first_run_counts(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("def f(x):\n    if x:\n        return 1\n    return 2\n")
    (tmp_path / ".coveragerc").write_text("[report]\nfail_under = 90\n")
    body = UNSTABLE.format(names=["a"]) + "\nimport half\n\ndef test_half():\n    half.f(1)\n"
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (tmp_path / "test_it.py").write_text(body)
    argv = ["-m", "coverage", "run", "--include=half.py", "-m", "pytest", "-p", "no:cov"]
    assert run(tmp_path, *argv).returncode == 1
    ended = again(tmp_path, 1)
    assert "unstable" in ended.stdout
    assert ended.returncode == 2
