"""How long `stockctl env validate` takes, and how much of what is wrong it finds.

Baseline: `python -c "import typer, pydantic"`, in the same environment and the same run, taken in
turns. The corpus is tests/corpus. Give another number of rounds as the first argument.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
STOCKCTL = str(Path(sys.executable).with_name("stockctl"))
BASELINE = [sys.executable, "-c", "import typer, pydantic"]
ROUNDS = 21
AT_MOST = 2.0
ENVIRONMENTS = ("dev", "prod", "staging")
VARIABLES = 200
KEYS = 100_000
# type, and a value that is right everywhere; None: a secret of its own for each environment
KINDS = {
    "string": "some text",
    "secret": None,
    "int": "4",
    "port": "8080",
    "bool": "false",
    "duration": "30s",
    "url": "https://shop.example.com/path",
    "email": "ops@example.com",
    "origins": "https://shop.example.com,https://admin.example.com",
    "postgres_url": None,
}
COMPOSE = "services:\n  app:\n    image: shop\n    environment:\n"
SERVICE = """
[service]
name = "shop"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 3000
image = "shop"
url = "https://shop.example.com"
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One whole process."""

    seconds: float
    peak_mb: float
    status: int


def run(argv: list[str]) -> Run:
    """With compiled files, as an installed program has them, whatever this shell is set to."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "stockctl-bench-pycache")
    quiet = subprocess.DEVNULL
    started = time.perf_counter()
    process = subprocess.Popen(argv, stdout=quiet, stderr=quiet, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(time.perf_counter() - started, usage.ru_maxrss / 1000, process.returncode)


def value_of(kind: str, number: int) -> str:
    if kind == "postgres_url":
        return f"postgresql://shop:{secrets.token_hex(16)}@db:5432/shop_{number}"
    return KINDS[kind] or secrets.token_hex(32)


def write_project(root: Path) -> None:
    """Three sound environments of 200 declared variables, all of which the compose file uses."""
    folder = root / "environments"
    folder.mkdir()
    kinds = [list(KINDS)[n % len(KINDS)] for n in range(VARIABLES)]
    tables = (
        f'[variables.V{n:03}]\ntype = "{kind}"\nrequired = true\n' for n, kind in enumerate(kinds)
    )
    (folder / "base.toml").write_text(SERVICE + "".join(tables))
    uses = (f"      V{n:03}: ${{V{n:03}}}\n" for n in range(VARIABLES))
    (folder / "compose.yaml").write_text(COMPOSE + "".join(uses))
    for name in ENVIRONMENTS:
        (folder / f"{name}.toml").write_text(f'extends = "base"\nenv_file = ".env.{name}"\n')
        lines = (f"V{n:03}='{value_of(kind, n)}'\n" for n, kind in enumerate(kinds))
        write_env_file(folder / f".env.{name}", "".join(lines))


def write_env_file(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def small(root: Path, rounds: int) -> None:
    """(a) 3 environments of 200 variables."""
    write_project(root)
    subprocess.run(["git", "init", "-q", str(root)], check=False)
    argvs = {
        "baseline": BASELINE,
        "validate": [STOCKCTL, "--root", str(root), "env", "validate", "--all", "--strict"],
    }
    for name, argv in argvs.items():  # the first run fills the page cache
        if run(argv).status:
            raise SystemExit(f"{name} failed: {' '.join(argv)}")
    taken: dict[str, list[float]] = {name: [] for name in argvs}
    for _ in range(rounds):
        for name, argv in argvs.items():
            taken[name].append(run(argv).seconds)
    base, median = (statistics.median(taken[name]) for name in argvs)
    print(f'python -c "import typer, pydantic"           {base * 1000:6.1f} ms  1.00')
    print(
        f"env validate --all, {len(ENVIRONMENTS)} x {VARIABLES} variables     "
        f"{median * 1000:6.1f} ms  {median / base:.2f}  (at most {AT_MOST})"
    )


def large(root: Path) -> None:
    """(b) 100,000 keys in one file."""
    folder = root / "environments"
    folder.mkdir()
    (folder / "prod.toml").write_text('env_file = ".env.prod"\n')
    lines = (f"KEY_{n}={secrets.token_hex(16)}\n" for n in range(KEYS))
    write_env_file(folder / ".env.prod", "".join(lines))
    done = run([STOCKCTL, "--root", str(root), "env", "validate", "prod"])
    size = (folder / ".env.prod").stat().st_size / 1e6
    print(
        f"env validate, {KEYS:,} keys, {size:.1f} MB       "
        f"{done.seconds:6.2f} s   {done.peak_mb:.0f} MB at the most, exit {done.status}"
    )


def corpus(root: Path) -> None:
    """(c) found of what is expected, and false alarms: errors and warnings on good ones."""
    sys.path.insert(0, str(ROOT))
    from tests.corpus.case import cases, differences

    from stockctl.env.validate import validate

    for kind in ("bad", "good"):
        expected = missed = surplus = right = 0
        every = [case for case in cases(kind) if os.geteuid() or not case.all("not-as-root")]
        for number, case in enumerate(every):
            made = case.make(root / kind / str(number))
            found = validate(made.project, made.names, made.process, made.tracked).findings
            missing, more = differences(case, found)
            expected += sum(not each.optional for each in case.expected)
            missed, surplus = missed + len(missing), surplus + len(more)
            right += not missing and not more
        print(
            f"corpus, {kind:<4} {right:>4} of {len(every)} exactly; found {expected - missed} of"
            f" {expected} expected; {surplus} false alarms"
        )


def main() -> None:
    """Prints the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        for name in ("small", "large", "corpus"):
            (Path(folder) / name).mkdir()
        small(Path(folder) / "small", rounds)
        large(Path(folder) / "large")
        corpus(Path(folder) / "corpus")


if __name__ == "__main__":
    main()
