"""The generated pages are what the code says now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from stockctl.cli.verb import EXITS
from stockctl.core.errors import tree
from stockctl.env.rules import RULES

REPO = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", REPO / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_page_is_stale(generate: ModuleType) -> None:
    assert generate.stale() == "", "run: make docs"


def test_a_page_that_says_something_else_is_shown_as_a_diff(
    generate: ModuleType, tmp_path: Path
) -> None:
    for name, page in generate.PAGES.items():
        (tmp_path / name).write_text(page(), encoding="utf-8")
    assert generate.stale(tmp_path) == ""
    (tmp_path / "errors.md").write_text("something else\n", encoding="utf-8")
    assert "-something else\n" in generate.stale(tmp_path)


def test_pages_do_not_depend_on_the_terminal_or_the_machine(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = {name: page() for name, page in generate.PAGES.items()}
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("STOCKCTL_ENV", "elsewhere")
    monkeypatch.chdir(tmp_path)
    for name, page in generate.PAGES.items():
        assert page() == before[name]
        assert str(REPO) not in before[name]


def test_every_error_code_has_its_anchor(generate: ModuleType) -> None:
    page = generate.errors()
    for kind in tree():
        assert f"\n## {kind.code}\n" in page


def test_every_exit_code_is_in_the_table(generate: ModuleType) -> None:
    assert {str(code) for code in EXITS} <= generate.EXIT_CODES.keys()
    assert {str(kind.exit_code) for kind in tree()} <= generate.EXIT_CODES.keys()


def test_every_finding_of_the_code_is_explained() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (REPO / "src").rglob("*.py"))
    used = {code for text in sources for code in re.findall(r'"([CEMWI]\d{3})"', text)}
    page = (REPO / "docs" / "findings.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| (M\d{3}) \|", page, re.MULTILINE)
    assert sorted([*explained, *RULES]) == sorted(used)
