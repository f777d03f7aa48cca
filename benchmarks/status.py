"""How long `stockctl status` takes, whole process, against the engine of this machine.

Of a project made for it: the example service with a live release, its database, a backup. Or of
one that is there: `benchmarks/status.py ROOT ENV`. Baseline: `stockctl --version`, the same program
doing nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.conftest import make, take_away

ROUNDS = 15
LIMIT_S = 1.0
STOCKCTL = str(Path(sys.executable).with_name("stockctl"))


def seconds(argv: list[str]) -> float:
    """One whole process."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(root: str, name: str) -> bool:
    """Prints medians; whether the limit was kept."""
    argvs = {
        "--version": [STOCKCTL, "--version"],
        "status": [STOCKCTL, "--root", root, "status", name],
    }
    medians = {}
    for what, argv in argvs.items():
        seconds(argv)  # the first run fills the page cache
        took = [seconds(argv) for _ in range(ROUNDS)]
        medians[what] = statistics.median(took)
        slowest = f"slowest {max(took) * 1000:.0f}"
        print(f"stockctl {what:<10} {medians[what] * 1000:6.0f} ms, {slowest}")
    print(f"at most {LIMIT_S:g} s")
    return medians["status"] <= LIMIT_S


def on_a_project() -> bool:
    """The same on one that is made for it, and taken away."""
    with tempfile.TemporaryDirectory() as folder:
        project = make(Path(folder), "rolling")
        project.toml('\n[proxy]\nimage = "stockctl-testbed/haproxy:2.6"\n')
        try:
            project.ok("deploy", "staging", "--tag", "v1")
            project.ok("backup", "create", "staging")
            print(project.ok("status", "staging").out)
            return measure(str(project.root), "staging")
        finally:
            take_away(project)


def main(arguments: list[str]) -> int:
    """Exit 1 beyond the limit."""
    kept = measure(*arguments) if arguments else on_a_project()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
