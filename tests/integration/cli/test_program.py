"""The installed program as a script sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.cli.conftest import CANARY, Run, environment

HEAVY = ("boto3", "paramiko", "docker", "psycopg", "yoyo", "requests", "dotenv")


@pytest.mark.parametrize("line", ["--help", "--version", "env --help", "db --help"])
def test_help_and_version_load_nothing_heavy(project: Path, line: str) -> None:
    heavy = HEAVY if line.endswith(("env --help", "db --help")) else (*HEAVY, "pydantic")
    script = (
        "import sys\n"
        "from stockctl.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *line.split()],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_pipe_gets_no_escape_codes(stockctl: Run) -> None:
    for variables in ({}, {"TERM": "xterm-256color"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}):
        ended = stockctl("env", "validate", "--all", **variables)
        assert ended.code == 0
        assert "\x1b" not in ended.out + ended.err


def test_json_is_one_document_also_for_usage_errors(stockctl: Run) -> None:
    for line in ("env list", "env show gone", "nonsense", "env show --nonsense"):
        ended = stockctl(*line.split(), "--json")
        assert ended.document["stockctl"] == 1
        assert ended.out.count("\n") == 1


def test_data_on_stdout_steps_on_stderr(stockctl: Run, project: Path) -> None:
    ended = stockctl("db", "migrate", "local", "--json")
    assert ended.code == 0
    assert ended.document["data"]["head"] == "0012_index_comments"
    assert "✓ apply 0001_initial_schema" in ended.err
    state = project / ".stockctl" / "local"
    assert (state / ".gitignore").read_text() == "*\n"
    entries = stockctl("journal", "local", "--json").document["data"]["entries"]
    assert [(e["command"], e["outcome"]) for e in entries] == [("db migrate", "finished")]


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--yes",),
        ("--confirm", "prod"),
        ("--confirm", "prod", "--yes"),
        ("--no-input",),
        ("--json",),
    ],
)
def test_a_protected_environment_wants_its_own_name(
    stockctl: Run, project: Path, more: tuple[str, ...]
) -> None:
    toml = project / "environments" / "local.toml"
    toml.write_text("protected = true\n" + toml.read_text())
    if more:
        ended = stockctl("db", "migrate", "local", *more)
        assert ended.code == 4
        assert "CONFIRMATION_MISSING" in ended.out or "--confirm local" in ended.err
    else:
        assert stockctl("db", "migrate", "local").code == 4
        assert stockctl("journal", "local", "--json").document["data"]["entries"] == []
        assert stockctl("db", "migrate", "local", "--plan").code == 0
        assert stockctl("db", "migrate", "local", "--confirm", "local").code == 0


def test_a_secret_of_the_process_is_masked_too(stockctl: Run, project: Path) -> None:
    with (project / "environments" / "local.toml").open("a") as file:
        file.write('[[smoke]]\nname = "a"\npath = "/"\nheaders = { X-Own = "${API_KEY}" }\n')
    ended = stockctl("env", "show", "local", API_KEY=CANARY)
    assert ended.code == 0
    assert CANARY not in ended.out + ended.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("smoke staging --url 127.0.0.1:5000", "a URL that begins with http:// or https://"),
        ("backup restore local --backup ./gone.dump.zst --yes", "there is no file"),
        ("backup verify local --backup 20261126T080912Z-d1d5", "stockctl backup create local"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(stockctl: Run, line: str, words: str) -> None:
    done = stockctl(*line.split())
    assert (done.code, words in done.err) == (2, True), done.err


def test_status_before_the_first_deploy_says_to_deploy(stockctl: Run, project: Path) -> None:
    """And not to back up a database that there is not yet, or that there never will be."""
    first = stockctl("status", "staging", "--json").document["data"]
    assert (first["backups"]["level"], first["backups"]["count"]) == ("notice", 0)
    commands = [each["command"] for each in first["advice"]]
    assert "stockctl deploy staging" in commands
    assert "stockctl backup create staging" not in commands
    (project / "environments" / "bare.toml").write_text("")
    assert stockctl("status", "bare", "--json").document["data"]["backups"] is None


@pytest.mark.parametrize("group", ["env", "db", "backup", "deploy", "monitor"])
def test_the_list_of_verbs_cuts_no_sentence(stockctl: Run, group: str) -> None:
    _, _, verbs = stockctl(group, "--help").out.partition("Commands:")
    assert verbs
    assert "..." not in verbs
    assert all(len(line) <= 80 for line in verbs.splitlines())


def test_status_without_its_env_file_says_what_that_costs(stockctl: Run, project: Path) -> None:
    (project / "environments" / ".env.staging").unlink()
    done = stockctl("status", "staging", "--json")
    (health,) = (each["why"] for each in done.document["data"]["advice"] if "health" in each["why"])
    assert (done.code, health) == (
        0,
        "health: http://127.0.0.1:${PORT}/health: the port is no number",
    )
