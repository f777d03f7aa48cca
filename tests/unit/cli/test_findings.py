"""Findings as people, a CI runner and a program read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.cli.app import run
from stockctl.cli.findings import LONGEST_QUOTE, github, lines, said, sarif, stops, total, uri
from stockctl.cli.output import Output
from stockctl.core.errors import ConfigurationError, Where
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.rules import RULES

REPOSITORY = Path(__file__).parents[3]
CANARY = "c4n4ryV4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"
PROD = "environments/.env.prod"
HERE, BELOW = Where(PROD, 3, 1), Where(PROD, 5, 1)


def finding(
    code: str = "E014",
    severity: Severity = Severity.ERROR,
    message: str = "SESSION_SECRET looks like a placeholder",
    where: Where | None = HERE,
    fix: str = "",
    quote: str = "",
) -> Finding:
    return Finding(code, severity, message, where, fix, quote)


def warning(message: str = "shadowed", where: Where | None = BELOW) -> Finding:
    return finding("W104", Severity.WARNING, message, where)


def note(message: str = "out of order") -> Finding:
    return finding("I201", Severity.INFO, message)


def text(*findings: Finding, width: int = LONGEST_QUOTE) -> list[str]:
    shown = lines(findings, Output().clean, width)
    return ["".join(part for part, _ in line) for line in shown]


# ------------------------------------------------------------------------ text


def test_one_line_says_where_what_and_what_to_do() -> None:
    assert text(finding(fix="stockctl env generate prod")) == [
        "environments/.env.prod:3:1 E014 error SESSION_SECRET looks like a placeholder"
        " → stockctl env generate prod"
    ]
    assert text(finding(where=Where(PROD))) == [
        "environments/.env.prod E014 error SESSION_SECRET looks like a placeholder"
    ]
    assert text(finding(where=None)) == ["E014 error SESSION_SECRET looks like a placeholder"]
    assert text() == []


def test_the_line_is_quoted_once_below_all_that_are_about_it() -> None:
    quote = "SESSION_SECRET=***"
    shown = text(finding(quote=quote), finding("E010", quote=quote), warning())
    assert [line[:26] for line in shown] == [
        PROD + ":3:1",
        PROD + ":3:1",
        *shown[2:3],
        PROD + ":5:1",
    ]
    assert shown[2] == "    3 | SESSION_SECRET=***"


def test_files_stand_apart() -> None:
    other = Where("environments/prod.toml", 1, 1)
    shown = text(finding(), warning(), finding(where=other), finding(where=None))
    assert [bool(line) for line in shown] == [True, True, False, True, False, True]


@pytest.mark.parametrize(
    ("column", "quote", "caret"),
    [
        (1, "PORT=***", None),  # says no more than the line itself
        (None, "PORT=***", None),
        (8, "port = yes", "          |        ^"),
        (3, "  PORT=***", None),
        (9, "\tport = yes", "          |            ^"),  # a tab is shown as four columns
        (40, "PORT=***", None),  # the value there is masked
        (9, "größe = yes", None),  # columns on the screen are not known
    ],
)
def test_a_caret_stands_below_the_column(column: int | None, quote: str, caret: str | None) -> None:
    shown = text(finding(where=Where("a.toml", 3, column), quote=quote))
    assert shown[1] == f"    3 | {quote}".replace("\t", "    ")
    assert shown[2:] == ([caret[4:]] if caret else [])


def test_a_long_line_is_cut_where_the_terminal_ends() -> None:
    shown = text(finding(quote="x" * 5_000_000), width=40)
    assert len(shown[1]) == 40
    assert shown[1].endswith("x…")
    assert len(text(finding(quote="x" * 5_000_000))[1]) == LONGEST_QUOTE


def test_a_message_stays_on_its_line() -> None:
    shown = text(finding(message="one\r\ntwo\x1b[31m", fix="a\nb", quote="KEY=***\nmore"))
    assert shown == [f"{PROD}:3:1 E014 error one two → a b", "    3 | KEY=***"]


def test_the_numbers_of_a_place_are_no_credential() -> None:
    shown = text(finding(where=Where("environments/.env.token", 12345, 1)))
    assert shown[0].startswith("environments/.env.token:12345:1 E014")


def test_the_key_in_front_of_a_message_makes_no_credential_of_it() -> None:
    message = "API_TOKEN: expected a port"
    assert text(finding(message=message))[0].endswith(message)
    assert github([finding(message=message)], RULES, Output().clean).endswith(f"::{message}\n")
    output = Output()
    output.redactor.learn([Secret(CANARY)])
    assert said(f"API_TOKEN: {CANARY} is", output.clean) == "API_TOKEN: *** is"
    assert said("one password: hunter2hunter2", output.clean) == "one password: ***"


def test_notes_are_dim_and_errors_are_red() -> None:
    def styles(each: Finding) -> set[str]:
        return {style for line in lines([each], str) for part, style in line if part}

    assert styles(note()) == {"dim"}
    assert {"bold", "red"} <= styles(finding())
    assert {"bold", "yellow"} <= styles(warning())


@pytest.mark.parametrize(
    ("findings", "strict", "said"),
    [
        ([], False, "prod: sound"),
        ([], True, "prod: sound"),
        ([warning(), warning()], False, "prod: sound, 2 warnings"),
        ([warning()], True, "prod: 1 warning (--strict: warnings count as errors)"),
        ([note()], True, "prod: sound, 1 note"),
        ([finding(), note(), note(), note()], False, "prod: 1 error, 3 notes"),
        ([finding(), finding(), warning()], True, "prod: 2 errors, 1 warning"),
    ],
)
def test_the_last_line_is_the_sum(findings: list[Finding], strict: bool, said: str) -> None:
    assert total(["prod"], findings, strict=strict) == said
    assert ("sound" in said) is not any(stops(each, strict=strict) for each in findings)
    assert total(["prod", "staging"], findings, strict=strict).startswith("prod, staging: ")


# ---------------------------------------------------------------- CI runners


def runs(line: str) -> bool:
    """Whether GitHub's runner takes the line for a command: actions/runner, ActionCommand.cs."""
    trimmed = line.lstrip()
    return (trimmed.startswith("::") and "::" in trimmed[2:]) or bool(re.search(r"##\[.*\]", line))


@pytest.mark.parametrize(
    "data",
    [
        "::error::x",
        " \t::set-output name=a::b",
        "a\n::add-mask::a\nb",
        "a\r::stop-commands::a",
        "\x1b[1m::debug::x",
        "in the middle ##[error]x",
        "##vso[task.setvariable]x",
    ],
)
def test_no_line_of_ours_is_a_command_to_a_runner(
    data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output()
    one = finding(message=data, where=Where(data, 1, 1), fix=data, quote=data)
    output.findings([one, finding(message=data, where=None)], beside=False)
    output.findings([one])
    output.error(ConfigurationError(data, details=data, hint=data))
    output.document({"a": data, data: 1})
    shown = capsys.readouterr()
    for line in (shown.out + shown.err).splitlines():
        assert not runs(line)
        assert "##vso[" not in line
    assert json.loads(shown.out.splitlines()[-1]) == {"a": data, data: 1}


def annotation(line: str) -> tuple[str, dict[str, str], str]:
    """Command, properties and message, as the runner takes them apart."""
    head, message = line.removeprefix("::").split("::", 1)
    command, _, listed = head.partition(" ")
    pairs = dict(pair.split("=", 1) for pair in listed.split(",") if pair)
    for escaped, plain in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        pairs = {key: value.replace(escaped, plain) for key, value in pairs.items()}
        message = message if plain in ":," else message.replace(escaped, plain)
    return command, pairs, message


def test_an_annotation_has_its_place_its_title_and_its_fix() -> None:
    found = [finding(fix="stockctl env generate prod"), warning(), note()]
    shown = github(found, RULES, str).splitlines()
    assert shown[0] == (
        f"::error file=environments/.env.prod,line=3,col=1,title=E014 {RULES['E014'].name}"
        "::SESSION_SECRET looks like a placeholder → stockctl env generate prod"
    )
    assert [annotation(line)[0] for line in shown] == ["error", "warning", "notice"]


def test_an_annotation_without_a_place_or_of_an_unknown_rule() -> None:
    assert github([finding("X999", where=None)], RULES, str).startswith("::error title=X999::")
    shown = github([finding(where=Where(PROD))], RULES, str)
    assert annotation(shown)[1].keys() == {"file", "title"}


def test_files_are_named_from_the_checkout() -> None:
    shown = github([finding(), finding(where=Where("/etc/x.env", 1))], RULES, str, "apps/api")
    files = [annotation(line)[1]["file"] for line in shown.splitlines()]
    assert files == ["apps/api/environments/.env.prod", "/etc/x.env"]


@given(st.text(), st.text(min_size=1), st.text())
def test_nothing_escapes_from_an_annotation(message: str, file: str, fix: str) -> None:
    output = Output()
    shown = github(
        [finding(message=message, where=Where(file, 1, 2), fix=fix)], RULES, output.clean
    )
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    command, properties, said = annotation(shown[:-1])
    assert command == "error"
    assert properties.keys() >= {"line", "col", "title"}
    assert properties.keys() <= {"file", "line", "col", "title"}
    assert properties["title"].startswith("E014 ")
    assert not said.startswith("::")


# ----------------------------------------------------------------------- sarif


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (PROD, PROD),
        ("a b/ü%.env", "a%20b/%C3%BC%25.env"),
        ("c:/x", "c%3A/x"),
        ("/srv/x y", "file:///srv/x%20y"),
        ("bad\udcff", "bad%FF"),
    ],
)
def test_a_file_is_a_uri(file: str, expected: str) -> None:
    assert uri(file) == expected


def results(*findings: Finding) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sarif(findings, RULES, str, "1")["runs"][0]["results"]
    return found


def test_a_fingerprint_stays_when_the_line_moves() -> None:
    (here,), (below,) = results(finding()), results(finding(where=Where(PROD, 9, 1)))
    assert here["partialFingerprints"] == below["partialFingerprints"]
    others = [finding(), finding("E010"), finding(message="x"), finding(where=None), finding()]
    seen = {each["partialFingerprints"]["stockctl/v1"] for each in results(*others)}
    assert len(seen) == len(others)  # also of two that say the same


def test_a_region_only_where_a_line_is_known() -> None:
    places = [
        each.get("locations") for each in results(finding(where=Where(PROD)), finding(where=None))
    ]
    assert places == [[{"physicalLocation": {"artifactLocation": {"uri": PROD}}}], None]
    (here,) = results(finding(quote="KEY=***"))
    region = here["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 1, "snippet": {"text": "KEY=***"}}


# ----------------------------------------------------------------- the command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`prod` with a key that is set twice, `staging` with a warning, `local` without a file."""
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "base.toml").write_text(
        '[variables.SESSION_SECRET]\ntype = "secret"\nrequired = true\n[variables.PORT]\n'
    )
    for name, secret, more in (("prod", CANARY, "PORT=2\n"), ("staging", CANARY[::-1], "prot=1\n")):
        (folder / f"{name}.toml").write_text(f'extends = "base"\nenv_file = ".env.{name}"\n')
        file = folder / f".env.{name}"
        file.write_text(f"PORT=1\n{more}SESSION_SECRET={secret}\n")
        file.chmod(0o600)
    (folder / "local.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    for variable in (
        "STOCKCTL_ENV",
        "STOCKCTL_ROOT",
        "NO_COLOR",
        "FORCE_COLOR",
        "GITHUB_WORKSPACE",
    ):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(project: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    def run_line(line: str) -> tuple[int, str, str]:
        assert project.is_dir()
        code = run(["env", "validate", *line.split()])
        shown = capsys.readouterr()
        assert CANARY not in shown.out + shown.err
        assert CANARY[::-1] not in shown.out + shown.err
        return code, shown.out, shown.err

    yield run_line


def test_the_findings_are_data(call: Call) -> None:
    code, out, err = call("prod")
    assert (code, err) == (3, "")
    assert re.search(rf"^{PROD}:2:1 E002 error PORT .*\n    2 \| PORT=", out, re.M)
    assert re.search(r"\n\nprod: [0-9]+ errors?(, [0-9]+ (warning|note)s?)*\n\Z", out)


def test_warnings_are_shown_and_stop_nothing_unless_strict(call: Call) -> None:
    code, out, err = call("staging")
    assert (code, err) == (0, "")
    assert "environments/.env.staging:2:1 W101 warning" in out
    assert re.search(r"^staging: sound, [0-9]+ warning", out, re.M)
    code, out, err = call("staging --strict")
    assert (code, err) == (3, "")
    assert "staging: sound" not in out


def test_quiet_shows_only_what_stops(call: Call) -> None:
    code, out, _ = call("staging -q")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("staging: sound, ")
    code, out, _ = call("staging prod -q")
    assert code == 3
    assert " warning " not in out
    assert "W101" in call("staging -q --strict")[1]


def test_sound_is_one_line(call: Call) -> None:
    assert call("local") == (0, "local: sound\n", "")


def test_a_name_given_twice_is_one(call: Call) -> None:
    assert call("local local") == (0, "local: sound\n", "")


@pytest.mark.parametrize("line", ["prod --json", "prod --format json"])
def test_json_has_the_envelope_and_the_error(call: Call, line: str) -> None:
    code, out, err = call(line)
    document = json.loads(out)
    assert (code, err, document["ok"]) == (3, "", False)
    assert document["error"]["code"] == "CONFIGURATION"
    assert document["error"]["message"].startswith("prod: ")
    assert "E002" in {each["code"] for each in document["findings"]}


def test_annotations_alone_are_on_stdout(call: Call, project: Path) -> None:
    code, out, err = call("prod --format github")
    assert code == 3
    assert all(
        re.match(r"::(error|warning|notice) file=environments/", line) for line in out.splitlines()
    )
    assert re.fullmatch(r"error: prod: .*\n", err)
    assert call("local --format github") == (0, "", "")


def test_annotations_of_a_project_below_the_checkout(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.parent))
    assert f"file={project.name}/environments/.env.prod," in call("prod --format github")[1]
    monkeypatch.setenv("GITHUB_WORKSPACE", "/somewhere/else")
    assert "file=environments/.env.prod," in call("prod --format github")[1]


def test_sarif_is_one_document_also_with_errors(call: Call) -> None:
    code, out, err = call("prod --format sarif")
    assert code == 3
    assert "E002" in {each["ruleId"] for each in json.loads(out)["runs"][0]["results"]}
    assert re.fullmatch(r"error: prod: .*\n", err)
    code, out, err = call("local --format sarif")
    assert (code, err, json.loads(out)["runs"][0]["results"]) == (0, "", [])


@pytest.mark.parametrize("form", ["github", "sarif", "text"])
@pytest.mark.parametrize(
    ("line", "code"), [("gone", 2), ("", 2), ("local --all", 2), ("--root /nonexistent local", 2)]
)
def test_what_is_no_finding_is_an_error_on_stderr(
    call: Call, form: str, line: str, code: int
) -> None:
    ended, out, err = call(f"{line} --format {form}")
    assert (ended, out) == (code, "")
    assert err.startswith("error: ")


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_json_and_another_format_exclude_each_other(call: Call, form: str) -> None:
    code, out, _ = call(f"prod --json --format {form}")
    assert (code, json.loads(out)["error"]["code"]) == (2, "USAGE")


@pytest.mark.parametrize("form", ["text", "github", "sarif", "json"])
def test_no_format_shows_a_secret(call: Call, project: Path, form: str) -> None:
    """`call` looks for it; here it stands in every place that is quoted."""
    folder = project / "environments"
    (folder / "prod.toml").write_text(f'env_file = ".env.prod"\n[service]\nimage = "{CANARY}"\n')
    (folder / ".env.prod").write_text(f"A={CANARY}\nA={CANARY}\nB='{CANARY}\n{CANARY}\n")
    code, out, _ = call(f"--all --format {form}")
    assert code == 3
    assert out


@pytest.mark.parametrize("form", ["text", "github", "sarif", "json"])
@pytest.mark.parametrize("unbuffered", ["", "1"])  # Python's own buffer is where it is kept
def test_a_full_disk_is_no_bug(
    project: Path, form: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    argv = [sys.executable, "-m", "stockctl", "env", "validate", "prod", "--format", form]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == (3 if form == "json" else 6)
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
        done = subprocess.run(argv, stdout=full, stderr=full, timeout=60, check=False)
    assert done.returncode in (3, 6)


def test_what_is_plain_needs_no_rich(project: Path) -> None:
    program = (
        "import sys\nfrom stockctl.cli.app import run\n"
        "code = run(sys.argv[1:])\nassert 'rich' not in sys.modules\nsys.exit(code)"
    )
    for form in ("text", "github", "sarif", "json"):
        argv = [sys.executable, "-c", program, "env", "validate", "--all", "--format", form]
        done = subprocess.run(argv, cwd=project, capture_output=True, timeout=60, check=False)
        assert (done.returncode, b"Assertion" in done.stderr) == (3, False)


def test_the_repository_s_own_environments_can_be_told_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(REPOSITORY / "environments", tmp_path / "environments")
    monkeypatch.chdir(tmp_path)
    for form in ("text", "github", "sarif", "json"):
        assert run(["env", "validate", "--all", "--format", form]) in (0, 3)
        assert "bug" not in capsys.readouterr().err
