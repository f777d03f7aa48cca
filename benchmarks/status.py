"""How long `stockctl status` takes, whole process, against the engine of this machine.

    benchmarks/status.py ROOT ENV

of a project with a live release. Baseline: `stockctl --version`, the same program doing nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 15
LIMIT_S = 1.0
STOCKCTL = str(Path(sys.executable).with_name("stockctl"))


def seconds(argv: list[str]) -> float:
    """One whole process."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(arguments: list[str]) -> int:
    """Prints medians; exit 1 beyond the limit. Without a project there is nothing to measure."""
    if len(arguments) != 2:
        print("stockctl status: name a deployed project, benchmarks/status.py ROOT ENV")
        return 0
    root, name = arguments
    argvs = {
        "--version": [STOCKCTL, "--version"],
        "status": [STOCKCTL, "--root", root, "status", name],
    }
    medians = {}
    for what, argv in argvs.items():
        seconds(argv)  # the first run fills the page cache
        medians[what] = statistics.median(seconds(argv) for _ in range(ROUNDS))
        print(f"stockctl {what:<10} {medians[what] * 1000:6.0f} ms")
    print(f"at most {LIMIT_S:g} s")
    return 0 if medians["status"] <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
