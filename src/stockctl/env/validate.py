"""All rules over one or many environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.load import Loaded, try_load
from stockctl.env.project import Project
from stockctl.env.rules import RULES, shared_databases, shared_directories, shared_secrets

# `stockctl deploy NAME` and `stockctl deploy VERB` share one place on the command line.
VERBS_OF_DEPLOY = frozenset(
    [
        *("rollback", "status", "history", "logs", "exec", "preflight", "rehearse", "watch"),
        *("contract", "lock", "unlock", "maintenance"),
    ]
)


def validate(
    project: Project, names: Sequence[str], process: Mapping[str, str]
) -> tuple[Finding, ...]:
    """What is wrong with the named environments, sorted by file and line.

    The others are read as well, since a secret must not be shared between two; what is wrong
    inside them is not reported.
    """
    findings: set[Finding] = set()
    everything: list[Loaded] = []
    # the named ones last: of two that share something the later one is told
    for name in [*(other for other in project.names() if other not in names), *names]:
        attempt = try_load(project, name, process)
        if attempt.loaded is not None:
            everything.append(attempt.loaded)
        if name in names:
            findings |= {*attempt.findings, *_name(project, name)}
            if attempt.loaded is not None:
                findings |= set(_rules(attempt.loaded))
    across = (shared_secrets, shared_databases, shared_directories)
    for environment, finding in (each for rule in across for each in rule(everything)):
        if environment in names:
            findings.add(finding)
    return tuple(sorted(findings, key=Finding.sort_key))


def _rules(loaded: Loaded) -> list[Finding]:
    env = loaded.env_file
    return [finding for rule in RULES for finding in rule(loaded, env)] if env else []


def _name(project: Project, name: str) -> list[Finding]:
    if name not in VERBS_OF_DEPLOY:
        return []
    where = Where(project.label(project.file(name)))
    message = f"{name} is also a verb of stockctl deploy: rename the environment"
    return [Finding("C008", Severity.ERROR, message, where)]
