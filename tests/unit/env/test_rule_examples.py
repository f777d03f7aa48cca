"""Each rule's own examples, as docs/rules.md shows them: the bad one is found, the good one not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from stockctl.env import vault
from stockctl.env.project import Project
from stockctl.env.rules import RULES, Rule
from stockctl.env.validate import validate


class Stage:
    """An example written to disk, with what text alone cannot say."""

    def __init__(self, root: Path, files: Any) -> None:
        self.folder = root / "environments"
        self.folder.mkdir()
        self.process: dict[str, str] = {}
        self.tracked: set[Path] = set()
        for name, text in files.items():
            self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        if name.startswith("mode of "):
            (self.folder / name.removeprefix("mode of ")).chmod(int(text, 8))
        elif name == "tracked by git":
            self.tracked = {self.folder / text}
        elif name == "process has":
            key, _, value = text.partition("=")
            self.process[key] = value
        elif text.startswith("(sealed) "):
            identity = x25519.Identity.generate()
            key = self.folder.parent / "identity.txt"
            key.touch(0o600)
            key.write_text(str(identity))
            self.process[vault.VARIABLE] = str(key)
            sealed = vault.seal(
                text.removeprefix("(sealed) ").encode(), {"me": str(identity.to_public())}
            )
            path.write_bytes(sealed)
        else:
            path.write_bytes(text.encode())
            path.chmod(0o600)

    def codes(self) -> set[str]:
        project = Project(self.folder.parent)
        names = sorted(project.names(), reverse=True)  # prod first: the later one is told
        found = validate(project, names, self.process, lambda _files: self.tracked)
        return {finding.code for finding in found.findings}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_bad_example_is_found(rule: Rule, tmp_path: Path) -> None:
    assert rule.code in Stage(tmp_path, rule.bad).codes()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_good_example_is_clean(rule: Rule, tmp_path: Path) -> None:
    assert Stage(tmp_path, rule.good).codes() == set()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_it_says_what_and_why(rule: Rule) -> None:
    assert rule.what.endswith((".", ")")), rule.what
    assert rule.why
    assert rule.severity.value[0].upper() == {"C": "E"}.get(rule.code[0], rule.code[0])
