"""One command line in, one exit code and one document out."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from stockctl import __version__
from stockctl.cli.app import GROUPS, run
from stockctl.env.rules.names import VERBS_OF_DEPLOY

REPOSITORY = Path(__file__).parents[3]
CANARY = "c4n4ryV4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"


def verbs() -> list[str]:
    """Every verb there is; the environment stands for itself below deploy."""
    found = []
    for group in GROUPS:
        app = import_module(f"stockctl.cli.{group}").app
        app.load()
        names = [command.name for command in app.registered_commands]
        found += [group] if names == [group] else [f"{group} {name}" for name in names]
    return [verb.replace("deploy ENV", "deploy staging") for verb in found]


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's environments, filled in, as the folder we are in."""
    shutil.copytree(
        REPOSITORY / "environments",
        tmp_path / "environments",
        ignore=lambda _folder, names: [
            name for name in names if name.startswith(".env") and not name.endswith(".example")
        ],
    )
    shutil.copytree(REPOSITORY / "migrations", tmp_path / "migrations")
    (tmp_path / "examples" / "stockmind-api").mkdir(parents=True)
    for index, name in enumerate(("staging", "prod")):
        text = (tmp_path / "environments" / f".env.{name}.example").read_text()
        for i, key in enumerate(("SESSION_SECRET", "JWT_SECRET", "POSTGRES_PASSWORD")):
            text = text.replace(f"{key}=\n", f"{key}={CANARY}{index}{i}\n")
        text = text.replace("# APIFY_API_KEY=\n", f"APIFY_API_KEY={CANARY}{index}3\n")
        file = tmp_path / "environments" / f".env.{name}"
        file.write_text(text)
        file.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    for variable in ("STOCKCTL_ENV", "STOCKCTL_ROOT", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(project: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def run_line(*arguments: str) -> tuple[int, str, str]:
        assert project.is_dir()
        code = run(list(arguments))
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run_line


def document(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)
    assert list(found) == [
        *("stockctl", "command", "environment", "ok"),
        *("started_at", "duration_s", "data", "findings", "error"),
    ]
    return found


# ------------------------------------------------------------------ exit codes


@pytest.mark.parametrize(
    ("line", "code", "name"),
    [
        ("env list", 0, None),
        ("env show staging", 0, None),
        ("env validate staging prod", 0, None),
        ("env validate --all", 0, None),
        ("", 2, "USAGE"),
        ("env", 2, "USAGE"),
        ("nonsense", 2, "USAGE"),
        ("env nonsense", 2, "USAGE"),
        ("env list --nonsense", 2, "USAGE"),
        ("env show staging more", 2, "USAGE"),
        ("env validate staging --all", 2, "USAGE"),
        ("env validate --format xml", 2, "USAGE"),
        ("db new x --phase sideways", 2, "USAGE"),
        ("env show", 2, "UNKNOWN_ENVIRONMENT"),
        ("env show gone", 2, "UNKNOWN_ENVIRONMENT"),
        ("env show base", 2, "UNKNOWN_ENVIRONMENT"),
        ("deploy gone", 2, "UNKNOWN_ENVIRONMENT"),
        ("env show ../prod", 2, "UNKNOWN_ENVIRONMENT"),
        ("--root gone env list", 2, "NO_PROJECT"),
        ("smoke local", 3, "CONFIGURATION"),
        ("smoke local --url http://127.0.0.1:1", 3, "CONFIGURATION"),
        ("smoke staging --url http://127.0.0.1:1", 9, None),
    ],
)
def test_the_exit_code_is_the_contract_s_in_text_and_in_json(
    call: Call, line: str, code: int, name: str | None
) -> None:
    arguments = line.split()
    text_code, _, err = call(*arguments)
    assert text_code == code
    assert "Traceback" not in err
    json_code, out, _ = call("--json", *arguments)
    assert json_code == code
    found = document(out)
    assert found["stockctl"] == 1
    assert found["ok"] is (code == 0)
    if name:
        assert (found["error"]["code"], found["error"]["exit_code"]) == (name, code)
        assert found["error"]["docs"] == f"docs/errors.md#{name.lower()}"
    else:
        assert found["error"] is None


def test_an_error_is_on_stderr_and_data_is_on_stdout(call: Call) -> None:
    code, out, err = call("env", "show", "gone")
    assert (code, out) == (2, "")
    assert err.startswith("error: no environment gone\n→ ")
    code, out, err = call("env", "list")
    assert "staging" in out
    assert err == ""


def test_wrong_configuration_is_told_with_every_finding(call: Call, project: Path) -> None:
    (project / "environments" / "prod.toml").write_text("protect = 1\n[host]\nfolder = 2\n")
    code, out, err = call("env", "validate", "prod")
    assert (code, err) == (3, "")
    assert "environments/prod.toml:1:1 C002 error protect: unknown key" in out
    code, out, err = call("env", "show", "prod")
    assert (code, out) == (3, "")
    assert "environments/prod.toml:1:1 C002 error protect: unknown key" in err
    code, out, _ = call("env", "validate", "prod", "--json")
    found = document(out)["findings"]
    assert [f["where"]["line"] for f in found] == [1, 3]
    assert set(found[0]) == {"code", "severity", "where", "message", "fix"}
    code, out, _ = call("env", "validate", "prod", "--format", "json")
    assert (code, document(out)["error"]["code"]) == (3, "CONFIGURATION")


def test_a_journal_that_cannot_be_read_is_a_host_failure(call: Call, project: Path) -> None:
    (project / ".stockctl" / "prod" / "journal.jsonl").mkdir(parents=True)
    code, out, _ = call("journal", "prod", "--json")
    assert (code, document(out)["error"]["code"]) == (6, "HOST")


@pytest.mark.parametrize(
    "line",
    [
        "--json env list",
        "env --json list",
        "env list --json",
        "-q --json env -v list --no-color",
    ],
)
def test_global_options_stand_anywhere(call: Call, line: str) -> None:
    code, out, _ = call(*line.split())
    assert code == 0
    names = [each["name"] for each in document(out)["data"]["environments"]]
    assert names == ["local", "prod", "staging"]


# --------------------------------------------------------- project, environment


def test_a_project_is_found_from_a_folder_inside(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "migrations")
    assert call("env", "list")[0] == 0


def test_root_is_given_by_option_or_variable(
    call: Call,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert call("env", "list")[0] == 2
    assert call("env", "list", "--root", str(project))[0] == 0
    assert call("--root", str(project), "env", "list")[0] == 0
    monkeypatch.setenv("STOCKCTL_ROOT", str(project))
    assert call("env", "list")[0] == 0


def test_the_environment_is_given_by_name_or_variable(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKCTL_ENV", "staging")
    assert document(call("env", "show", "--json")[1])["environment"] == "staging"
    assert document(call("env", "show", "prod", "--json")[1])["environment"] == "prod"
    assert call("env", "show", "")[0] == 2


# ---------------------------------------------------------------------- secrets


@pytest.mark.parametrize("more", [(), ("-v",), ("--json",), ("-v", "--json")])
@pytest.mark.parametrize(
    "line",
    [
        "env list",
        "env show staging",
        "env show prod",
        "env validate --all",
        "doctor staging",
        "doctor prod",
        "deploy staging --plan",
        "deploy prod --plan",
        "deploy status staging",
        "db status staging",
        "journal staging",
        "smoke staging --url http://127.0.0.1:1",
    ],
)
def test_no_output_holds_a_secret(
    call: Call, line: str, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    _, out, err = call(*line.split(), *more)
    assert CANARY not in out + err
    assert "Traceback" not in err
    assert "a bug in" not in out + err


def test_a_broken_environment_shows_no_secret_either(call: Call, project: Path) -> None:
    toml = project / "environments" / "prod.toml"
    toml.write_text(toml.read_text() + '[database]\nlock_timeout = "${JWT_SECRET}"\n')
    for line in ("env validate prod -v", "env show prod -v", "env validate --all --json"):
        code, out, err = call(*line.split())
        assert code == 3
        assert CANARY not in out + err


def test_show_masks_values_and_tells_where_they_are_written(call: Call) -> None:
    code, out, _ = call("env", "show", "staging", "--json")
    assert code == 0
    data = document(out)["data"]
    assert data["environment"]["values"]["JWT_SECRET"] == "***"
    assert data["environment"]["values"]["LOG_LEVEL"] == "debug"
    assert data["environment"]["database"]["url"] == "***"
    assert data["sources"]["LOG_LEVEL"] == "environments/.env.staging:4:1"
    assert data["sources"]["service.port"].startswith("environments/base.toml:")


# ------------------------------------------------------------------------- help


def test_the_version_is_told(call: Call) -> None:
    assert call("--version") == (0, f"stockctl {__version__}\n", "")


def test_help_names_every_group(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    for group in GROUPS:
        assert re.search(rf"^  {group} ", out, re.MULTILINE)


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_s_help_has_an_example_and_its_exit_codes(call: Call, verb: str) -> None:
    code, out, _ = call(*verb.split(), "--help")
    assert code == 0
    assert "Example:\n" in out
    assert "  stockctl " in out.partition("Example:")[2]
    assert "Exit codes:\n" in out
    assert "130 interrupted, 143 terminated" in out
    assert "--json" in out


@pytest.mark.parametrize("line", ["--help", "env --help", "db -h", "deploy --help", "-h"])
def test_help_needs_no_project_where_it_can_do_without(
    call: Call,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    code, out, _ = call(*line.split())
    assert code == 0
    assert "Usage: stockctl" in out


def test_the_help_of_deploy_lists_the_environments(call: Call) -> None:
    out = call("deploy", "--help")[1]
    assert "staging" in out
    assert "rollback" in out


def test_a_folder_that_cannot_be_made_fails_its_check(call: Call, project: Path) -> None:
    (project / ".stockctl").write_text("a file in the way")
    code, out, _ = call("deploy", "maintenance", "prod", "--on", "--yes", "--json")
    error = document(out)["error"]
    assert (code, error["code"]) == (6, "HOST")
    assert "host.directory" in error["hint"]
    code, out, _ = call("doctor", "local", "--json")
    checks = {each["name"]: each for each in document(out)["data"]["checks"]}
    assert (code, checks["folder"]["ok"], checks["disk"]["ok"]) == (6, False, True)
    assert "host.directory" in checks["folder"]["fix"]


# ------------------------------------------------------------ deploy ENV | VERB

DEPLOY_VERBS = [verb.split()[1] for verb in verbs() if verb.startswith("deploy ")]
DEPLOY_VERBS.remove("staging")


@pytest.mark.parametrize("verb", DEPLOY_VERBS)
def test_an_environment_called_like_a_verb_of_deploy_is_refused_not_hidden(
    call: Call, project: Path, verb: str
) -> None:
    assert verb in VERBS_OF_DEPLOY  # so that `env validate` and `env init` know it as well
    file = project / "environments" / f"{verb}.toml"
    file.touch()
    code, out, _ = call("--json", "deploy", verb, "staging")
    error = document(out)["error"]
    assert (code, error["code"]) == (3, "CONFIGURATION")
    assert f"environments/{verb}.toml" in json.dumps(error)
    assert "another name" in error["hint"]
    file.unlink()
    assert "another name" not in call("deploy", verb, "--help")[1]
