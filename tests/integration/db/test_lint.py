"""`db lint` as a program, with the real squawk and files that nobody would write on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stockctl.core.command import Command, Completed
from stockctl.core.errors import ConfigurationError, ToolFailed, ToolMissing, UsageError
from stockctl.core.report import Finding
from stockctl.db.lint.run import lint
from stockctl.system import squawk
from stockctl.system.local import LocalHost

PROGRAM = Path(sys.executable).parent / "stockctl"
REPOSITORY = Path(__file__).parents[3]
Write = Callable[..., None]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "environments").mkdir()
    for name in ("local", "prod"):
        toml = '[database]\nurl = "${DATABASE_URL}"\nmigrations = "../db [1]"\n'
        (tmp_path / "environments" / f"{name}.toml").write_text(toml)
    (tmp_path / "db [1]").mkdir()
    return tmp_path


@pytest.fixture
def write(project: Path) -> Write:
    def pair(name: str, up: str | bytes, down: str | bytes = "SELECT 1;\n") -> None:
        for suffix, text in ((".sql", up), (".rollback.sql", down)):
            data = text if isinstance(text, bytes) else text.encode()
            (project / "db [1]" / f"{name}{suffix}").write_bytes(data)

    return pair


def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), "--root", str(project), "db", "lint", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def found(project: Path, **options: Any) -> list[Finding]:
    folder = project / "db [1]"
    return list(lint(folder, LocalHost(), lambda path: path.name, **options).findings)


def codes(project: Path) -> list[tuple[str, str, int | None]]:
    return [(f.code, f.where.file, f.where.line) for f in found(project) if f.where]


# ----------------------------------------------------------------- the program


def test_the_migrations_of_this_repository_are_clean() -> None:
    ended = run(REPOSITORY, "--strict")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "migrations: sound\n", "")


def test_all_findings_come_at_once_by_file_and_line(project: Path, write: Write) -> None:
    write(
        "0001_a",
        "CREATE TABLE t (a timestamp);\nDROP TABLE u;\n",
        "DROP TABLE t; CREATE TABLE u ();\n",
    )
    write("0002_b", "SELEC 1 + 1;\n")
    write("0003_c", "COMMIT;\n")
    ended = run(project, "prod")
    assert ended.returncode == 3
    assert ended.stderr == ""
    lines = [line for line in ended.stdout.splitlines() if line[:4] == "db ["]
    assert [line.split(" ")[1:3] for line in lines[:4]] == [
        ["[1]/0001_a.sql:1:19", "L103"],
        ["[1]/0001_a.sql:2:1", "L001"],
        ["[1]/0002_b.sql:1:1", "L101"],
        ["[1]/0003_c.sql:1", "M014"],
    ]
    assert ended.stdout.endswith("\ndb [1]: 3 errors, 1 warning\n")


def test_warnings_stop_only_with_strict(project: Path, write: Write) -> None:
    write("0001_a", "CREATE TABLE t (a char(2));\n", "DROP TABLE t;\n")
    assert run(project).returncode == 0
    assert run(project, "--strict").returncode == 3


def test_as_json(project: Path, write: Write) -> None:
    write("0001_a", "DROP TABLE u;\n", "CREATE TABLE u ();\n")
    for option in (("--json",), ("--format", "json")):
        ended = run(project, *option)
        document = json.loads(ended.stdout)
        assert (ended.returncode, document["ok"]) == (3, False)
        (finding,) = document["findings"]
        assert finding["code"] == "L001"
        assert finding["where"] == {"file": "db [1]/0001_a.sql", "line": 1, "column": 1}
    (project / "db [1]" / "0001_a.sql").write_text("-- phase: contract\n\nDROP TABLE u;\n")
    document = json.loads(run(project, "--json").stdout)
    assert document["data"] == {"folder": "db [1]", "migrations": 1}


def test_as_annotations_and_as_sarif(project: Path, write: Write) -> None:
    write("0001_a", "DROP TABLE u;\n", "CREATE TABLE u ();\n")
    annotation = run(project, "--format", "github").stdout
    assert annotation.startswith(
        "::error file=db [1]/0001_a.sql,line=1,col=1,title=L001 contract-in-expand::drops table u"
    )
    log = json.loads(run(project, "--format", "sarif").stdout)
    (result,) = log["runs"][0]["results"]
    rule = log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], rule["name"]) == ("L001", "contract-in-expand")
    assert rule["help"]["text"].endswith("See docs/lint.md.")


def test_the_environment_may_be_left_out_only_where_it_is_clear(project: Path) -> None:
    assert run(project).returncode == 0
    toml = (project / "environments" / "prod.toml").read_text()
    (project / "environments" / "prod.toml").write_text(toml.replace("db [1]", "elsewhere"))
    assert run(project).returncode == 2
    assert run(project, "local").returncode == 0
    assert run(project, "prod").returncode == 3
    assert run(project, "nobody").returncode == 2


@pytest.mark.parametrize(
    "toml", ["database = 5\n", "[database]\nmigrations = 5\n", "database = [\n"]
)
def test_an_environment_that_names_no_folder(project: Path, toml: str) -> None:
    for name in ("local", "prod"):
        (project / "environments" / f"{name}.toml").write_text(toml)
    assert run(project).returncode == 3


# ---------------------------------------------------------------------- --since


def test_what_was_applied_long_ago_may_be_left_alone(project: Path, write: Write) -> None:
    write(
        "0001_a", "CREATE TABLE t (a varchar(9));\nDROP TABLE u;\nSELEC 1 + 1;\n", "DROP TABLE t;"
    )
    write("0002_b", "ALTER TABLE t ALTER a TYPE text;\n")
    assert found(project, since="0002") == []
    assert found(project, since="0002_b") == []
    with pytest.raises(UsageError):
        found(project, since="0003")


def test_a_wrong_file_is_told_all_the_same(project: Path, write: Write) -> None:
    write("0001_a", "COMMIT;\n")
    write("0002_b", "SELECT 1;\n")
    assert [each.code for each in found(project, since="0002")] == ["M014"]


# ---------------------------------------------------------------------- squawk


def test_columns_of_squawk_are_characters_from_one(project: Path, write: Write) -> None:
    write("0001_a", "\nCREATE TABLE tété (é timestamp, ü text);\n", "DROP TABLE tété;\n")
    (each,) = found(project)
    assert (each.code, each.where and (each.where.line, each.where.column)) == ("L103", (2, 22))
    assert "prefer-timestamp-tz" in each.message


def test_a_configuration_of_squawk_does_not_count(project: Path, write: Write) -> None:
    (project / "db [1]" / ".squawk.toml").write_text('excluded_rules = ["ban-char-field"]\n')
    write("0001_a", "CREATE TABLE t (a char(2));\n", "DROP TABLE t;\n")
    assert [each.code for each in found(project)] == ["L104"]


def test_a_file_that_kills_squawk_takes_nothing_from_the_others(
    project: Path, write: Write
) -> None:
    write("0001_a", "CREATE TABLE t (a char(2));\n", "DROP TABLE t;\n")
    write("0002_b", f"SELECT {'(' * 20_000}1{')' * 20_000};\n")
    write("0003_c", "SELEC 1 + 1;\n")
    assert [each[:2] for each in codes(project)] == [
        ("L104", "0001_a.sql"),
        ("L198", "0002_b.sql"),
        ("L101", "0003_c.sql"),
    ]


class Answering(LocalHost):
    """squawk as it may be one day, or is not there."""

    def __init__(self, code: int, stdout: str = "", *, missing: bool = False) -> None:
        self.answer = code, stdout
        self.missing = missing

    def run(self, command: Command, **_options: object) -> Completed:  # type: ignore[override]
        if self.missing:
            raise ToolMissing("squawk is not on this machine")
        return Completed(command, self.answer[0], self.answer[1], "what?", 0.0)


def test_without_squawk_it_says_where_to_get_it(project: Path, write: Write) -> None:
    write("0001_a", "SELECT 1;\n")
    with pytest.raises(ToolMissing) as caught:
        lint(project / "db [1]", Answering(0, missing=True))
    assert "squawk-cli" in caught.value.hint
    assert caught.value.exit_code == 6


def test_a_squawk_that_is_called_wrongly_is_an_error(project: Path, write: Write) -> None:
    write("0001_a", "SELECT 1;\n")
    with pytest.raises(ToolFailed):
        lint(project / "db [1]", Answering(2))


def test_a_rule_that_is_not_known_is_shown_as_it_is(project: Path, write: Write) -> None:
    write("0001_a", "SELECT 1;\n")
    remark = {"file": "0001_a.sql", "line": 0, "column": 0, "rule_name": "new-one"}
    told = json.dumps([{**remark, "message": "Do not.", "help": "Do this."}])
    (each,) = lint(project / "db [1]", Answering(1, told)).findings
    assert (each.code, each.message, each.fix) == ("L199", "Do not. (new-one)", "Do this.")


def test_it_is_found_beside_the_interpreter_first(tmp_path: Path) -> None:
    assert squawk.program(str(tmp_path / "python")) == "squawk"
    (tmp_path / "squawk").touch()
    assert squawk.program(str(tmp_path / "python")) == str(tmp_path / "squawk")


# --------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    "up",
    [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DROP TABLE users; $$;\n",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $a$ $$; TRUNCATE users; $$ $a$;\n",
        "SELECT 1 /* DROP TABLE users; /* TRUNCATE users; */ VACUUM FULL; */;\n",
        'CREATE TABLE t ("begin" text, "declare" text, "concurrently" text);\n',
        "CREATE TABLE t (begin text, commit text, cascade text);\n",
        "SELECT 'DROP TABLE users; -- ', E'\\'; TRUNCATE users; --';\n",
        'CREATE TABLE "a""; DROP TABLE users; --" (a int);\n',
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM users; SELECT 1; END;\n",
        "\n\n;;;SELECT 1;;\n",
        "SELECT 1\r\n;\r\n",
    ],
)
def test_what_only_looks_like_a_statement_is_none(project: Path, write: Write, up: str) -> None:
    down = "DROP FUNCTION IF EXISTS f;" if "FUNCTION" in up else "SELECT 1;"
    write("0001_a", up, down)
    assert [each for each in codes(project) if each[0] != "L040"] == []


def test_files_that_are_no_text_are_findings_and_hide_nothing(project: Path, write: Write) -> None:
    write("0001_bom", b"\xef\xbb\xbfTRUNCATE users;\n")
    write("0002_nul", b"TRUNCATE users;\0\n")
    write("0003_latin", b"SELECT '\xe9';\n")
    write("0004_good", "TRUNCATE users;\n")
    write("0005_empty", b"")
    told = {(code, file) for code, file, _ in codes(project)}
    assert told >= {
        ("M008", "0001_bom.sql"),
        ("L031", "0001_bom.sql"),
        ("M007", "0002_nul.sql"),
        ("L031", "0002_nul.sql"),
        ("M007", "0003_latin.sql"),
        ("L031", "0004_good.sql"),
        ("M012", "0005_empty.sql"),
    }


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    project: Path, write: Write
) -> None:
    write("0001_a", 'DROP TABLE "\x1b[31m\n::error::";\n', 'CREATE TABLE "x" (a int);\n')
    for options in ((), ("--format", "github")):
        ended = run(project, *options)
        assert "\x1b" not in ended.stdout
        assert "\n::error::" not in ended.stdout


def test_no_folder_and_an_empty_one(project: Path) -> None:
    assert found(project) == []
    with pytest.raises(ConfigurationError):
        lint(project / "nowhere", LocalHost())


# ------------------------------------------------------------------------ speed


def test_two_thousand_files_and_ten_megabytes(project: Path, write: Write) -> None:
    """About a second each on a free machine; here with room for one that is not."""
    for number in range(1, 1001):
        table = f"CREATE TABLE t{number} (id bigint, name text);\n"
        write(f"{number:04d}_t", table, f"DROP TABLE t{number};\n")
    started = time.process_time()
    assert found(project) == []
    assert time.process_time() - started < 3
    row = f"(1, '{'a' * 1000}')"
    write("1001_big", f"INSERT INTO t1 VALUES {','.join([row] * 10_000)};\nTRUNCATE t1;\n")
    assert codes(project) == [("L031", "1001_big.sql", 2)]
