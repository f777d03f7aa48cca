"""A secret in an env file, wherever it stands and however broken the file is, is in no output."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stockctl.cli.app import run
from stockctl.core.report import Finding, Severity
from stockctl.env.rules import RULES, Rule, Subject

CANARY = "c4n4ryV4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"
TOML = """
env_file = ".env.prod"
[variables.SESSION_SECRET]
type = "secret"
required = true
[variables.PORT]
type = "port"
[variables.DATABASE_URL]
type = "postgres_url"
[variables.NODE_ENV]
allowed = ["production"]
pattern = "[a-z]+"
[database]
url = "${DATABASE_URL}"
"""
LINES = (
    f"SESSION_SECRET={CANARY}",
    f'SESSION_SECRET="{CANARY}"',
    f"SESSION_SECRET='{CANARY}",
    f'SESSION_SECRET="{CANARY}" trailing',
    f"SESSION_SECRET = {CANARY}  # {CANARY}",
    f"export JWT_SECRET={CANARY}",
    f"PORT={CANARY}",
    f"NODE_ENV={CANARY}",
    f"DATABASE_URL=postgresql://app:{CANARY}@db.example.com/shop",
    f"DATABASE_URL=mysql://app:{CANARY}@db.example.com/shop",
    f"password {CANARY}",
    CANARY,
    f"'{CANARY}'",
    f"lower_{'x' * 3}={CANARY}${{GONE}}",
    f"A=$x{CANARY}",
    f'A="one\n{CANARY}\nB=2"',
    f"# {CANARY}",
    f"# stockctl: ignore E014 {CANARY}",
    f'JSON={{"password": "{CANARY}"}}',
    "PORT=5000",
    'OPEN="',
    "\ufeff",
    "\r",
)
COMMANDS = (
    "env validate prod",
    "env validate --all --strict",
    "env validate prod --format github",
    "env validate prod --format sarif",
    "env validate prod --format json",
    "env show prod",
    "env list",
    "db status prod",
    "db migrate prod --confirm prod",
    "backup create prod",
    "deploy prod --plan",
    "journal prod",
    "doctor prod",
    "env generate prod --plan",
    "env rotate prod --key SESSION_SECRET --plan",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("canary")
    folder = root / "environments"
    folder.mkdir()
    (folder / "prod.toml").write_text(TOML)
    (folder / "staging.toml").write_text(TOML.replace(".env.prod", ".env.staging"))
    before = Path.cwd()
    os.chdir(root)
    yield root
    os.chdir(before)


def shown(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    run(line.split())
    captured = capsys.readouterr()
    return captured.out + captured.err


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(st.sampled_from(LINES), min_size=1, max_size=8),
    command=st.sampled_from(COMMANDS),
    more=st.sampled_from(["", " -v", " --json", " -v --no-color"]),
)
def test_it_is_in_no_output(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    lines: list[str],
    command: str,
    more: str,
) -> None:
    for name in ("prod", "staging"):
        file = project / "environments" / f".env.{name}"
        file.write_text("\n".join(lines), encoding="utf-8")
        file.chmod(0o600)
    text = shown(command + more, capsys)
    assert text
    assert CANARY not in text
    assert "a bug in stockctl" not in text


def crash(subject: Subject) -> Iterator[Finding]:
    yield Finding("E999", Severity.ERROR, "never seen")
    raise RuntimeError(f"the value is {subject.values['SESSION_SECRET'].reveal()!r}")


@pytest.mark.parametrize("more", ["", " -v", " --json", " -v --json"])
def test_nor_when_stockctl_itself_breaks(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    (project / "environments" / ".env.prod").write_text(f'SESSION_SECRET="{CANARY}"\n')
    broken = Rule("E999", Severity.ERROR, "broken", "It breaks.", "", {}, {}, crash)
    monkeypatch.setitem(RULES, "E999", broken)
    text = shown(f"env validate prod{more}", capsys)
    assert "a bug in stockctl" in text
    assert "the value is" in text
    assert CANARY not in text
