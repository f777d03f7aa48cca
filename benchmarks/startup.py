"""How long `stockctl` takes to say something, against importing the library it is written with.

Baseline: `python -c "import typer"`, in the same environment and the same run, taken in turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 21
STOCKCTL = str(Path(sys.executable).with_name("stockctl"))
BASELINE = [sys.executable, "-c", "import typer"]
COMMANDS = {"--version": (["--version"], 1.5), "--help": (["--help"], 2.0)}


def seconds(argv: list[str]) -> float:
    """One whole process."""
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Prints medians and ratios."""
    argvs = {"baseline": BASELINE}
    argvs |= {name: [STOCKCTL, *arguments] for name, (arguments, _) in COMMANDS.items()}
    taken: dict[str, list[float]] = {name: [] for name in argvs}
    for argv in argvs.values():
        seconds(argv)  # the first run fills the page cache
    for _ in range(ROUNDS):
        for name, argv in argvs.items():
            taken[name].append(seconds(argv))
    base = statistics.median(taken["baseline"])
    print(f'python -c "import typer"  {base * 1000:6.1f} ms  1.00')
    for name, (_, limit) in COMMANDS.items():
        median = statistics.median(taken[name])
        print(
            f"stockctl {name:<16}  {median * 1000:6.1f} ms  {median / base:.2f}  (at most {limit})"
        )


if __name__ == "__main__":
    main()
