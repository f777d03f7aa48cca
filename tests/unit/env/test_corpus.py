"""Every environment of tests/corpus: what is wrong with it is said, and nothing else."""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.corpus.case import Case, Made, cases, differences

from stockctl.core.report import Finding
from stockctl.env.project import Project
from stockctl.env.rules import RULES
from stockctl.env.validate import validate

NOBODY = 65534  # the user id that Debian gives to nobody
BAD, GOOD = cases("bad"), cases("good")
SHORTEST = 12  # a shorter value may be a word that a message needs
_VALUE = re.compile(r"^\s*(?:export )?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", re.MULTILINE)


def findings_of(made: Made) -> tuple[Finding, ...]:
    return tuple(validate(made.project, made.names, made.process, made.tracked).findings)


def secrets_of(case: Case) -> set[str]:
    """The values of the secrets, as they stand in the case's env files."""
    texts = [text for name, text in case.files.items() if name.endswith(".toml")]
    declared: set[str] = {"SESSION_SECRET", "JWT_SECRET", "POSTGRES_PASSWORD", "DATABASE_URL"}
    for text in texts:
        try:
            variables = tomllib.loads(text).get("variables", {})
        except tomllib.TOMLDecodeError:
            continue
        declared |= {
            name
            for name, rules in variables.items()
            if isinstance(rules, dict)
            and (rules.get("type") in ("secret", "postgres_url") or rules.get("secret"))
        }
    return {
        value.strip("'\"")
        for name, text in case.files.items()
        if ".env" in name
        for key, value in _VALUE.findall(text)
        if key in declared and len(value) >= SHORTEST
    }


def findings_as_nobody(case: Case) -> Sequence[Finding]:
    """Root may read everything. Not below `tmp_path`, whose base is closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        made = case.make(Path(folder))
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            return findings_of(made)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("case", [*BAD, *GOOD], ids=lambda case: case.name)
def test_it_is_said_and_nothing_else_is(case: Case, tmp_path: Path) -> None:
    if case.all("not-as-root") and os.geteuid() == 0:
        findings = findings_as_nobody(case)
    else:
        findings = findings_of(case.make(tmp_path))
    missing, surplus = differences(case, findings)
    assert (missing, surplus) == ([], [])
    told = "\n".join(f"{f.message}\n{f.fix}\n{f.quote}" for f in findings)
    assert not [secret for secret in secrets_of(case) if secret in told]


def test_there_are_enough_cases_and_good_ones_are_good() -> None:
    assert len(BAD) >= 120
    assert len(GOOD) >= 60
    for case in GOOD:
        assert not case.codes(), case.name
    for case in BAD:
        assert case.codes(), case.name


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_has_a_case(code: str) -> None:
    assert any(code in case.codes() for case in BAD)


def test_every_case_is_its_own() -> None:
    """No two are the same under different names."""
    whole = [(case.directives, tuple(case.files.items())) for case in [*BAD, *GOOD]]
    assert len(set(whole)) == len(whole)


def one_env_file(root: Path, raw: bytes, declared: str = "") -> Made:
    folder = root / "environments"
    folder.mkdir()
    (folder / "prod.toml").write_text(f'env_file = ".env.prod"\n{declared}')
    (folder / ".env.prod").write_bytes(raw)
    (folder / ".env.prod").chmod(0o600)
    return Made(Project(root), ["prod"], {}, lambda _: set())


def test_a_line_of_ten_megabytes_is_no_env_file(tmp_path: Path) -> None:
    (finding,) = findings_of(one_env_file(tmp_path, b"A=" + b"x" * 10_000_000 + b"\n"))
    assert (finding.code, str(finding.where)) == ("E000", "environments/.env.prod")


def test_a_line_of_one_megabyte_is_fine(tmp_path: Path) -> None:
    assert findings_of(one_env_file(tmp_path, b"A=" + b"some text " * 99_999 + b"end\n")) == ()


def test_a_hundred_thousand_keys_are_read_and_the_wrong_one_is_found(tmp_path: Path) -> None:
    lines = [b"KEY_%d=value-%d" % (n, n) for n in range(100_000)]
    lines[77_777] = b"KEY_5=again"
    (finding,) = findings_of(one_env_file(tmp_path, b"\n".join(lines) + b"\n"))
    assert (finding.code, str(finding.where)) == ("E002", "environments/.env.prod:77778:1")
