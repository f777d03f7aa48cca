"""Every command of docs/runbook.md, in its order, on a service that was deployed twice."""

from __future__ import annotations

import shlex

from tests.e2e.conftest import REPO, StagingProject


def runbook() -> list[list[str]]:
    lines = (REPO / "docs" / "runbook.md").read_text(encoding="utf-8").splitlines()
    return [shlex.split(line)[2:] for line in lines if line.startswith("$ stockctl ")]


def test_every_command_of_the_runbook_works(project: StagingProject) -> None:
    commands = runbook()
    assert len(commands) > 20
    for tag in ("v1", "v2"):
        assert project.deploy(tag).code == 0
    for command in commands:
        done = project.run(*command)
        assert done.code == 0, f"stockctl {shlex.join(command)}\n{done.out}\n{done.err}"
    assert project.version() == "v1"  # the runbook rolled back
