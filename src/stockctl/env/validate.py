"""All rules over one or many environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stockctl.core.errors import Where
from stockctl.core.hint import addressed
from stockctl.core.report import Finding
from stockctl.core.secret import Secret
from stockctl.env import ignores, vault
from stockctl.env.compose_file import ComposeFile, read_compose_file
from stockctl.env.dotenv import EnvFile, read_env_file
from stockctl.env.layers import Files
from stockctl.env.load import Attempt, try_load
from stockctl.env.project import Project, is_there
from stockctl.env.quote import quote
from stockctl.env.rules import RULES, Subject
from stockctl.env.rules.statements import named_anyhow

Tracked = Callable[[Sequence[Path]], set[Path]]


@dataclass(frozen=True, slots=True)
class Validation:
    """What was found, by file and line, and the secrets that were seen on the way."""

    findings: tuple[Finding, ...]
    secrets: list[Secret]


def nothing_tracked(_paths: Sequence[Path]) -> set[Path]:
    """For where there is no git to ask."""
    return set()


def validate(
    project: Project,
    names: Sequence[str],
    process: Mapping[str, str],
    tracked: Tracked = nothing_tracked,
) -> Validation:
    """What is wrong with the named environments.

    The others are read as well, since a secret must not be shared between two; what is wrong
    inside them is not reported. `tracked` says which of some files git tracks.
    """
    process = dict(process)  # os.environ decodes a value each time that it is asked for one
    order = [*(other for other in project.names() if other not in names), *names]
    files: Files = {}
    attempts = {name: try_load(project, name, process, files=files) for name in order}
    subjects = _subjects(project, attempts, process, tracked)
    findings: set[Finding] = set()
    texts: dict[str, str] = {}
    inside: dict[str, frozenset[int]] = {}
    for name in names:
        subject = subjects.get(name)
        findings |= {_addressed(each, name) for each in _of_one(attempts[name], subject)}
        texts |= attempts[name].texts
        if subject is not None:
            texts |= _texts(subject)
            inside[subject.env.label] = _inside(subject.env)
    left = _quoted(ignores.apply(findings, texts, inside), texts)
    secrets = [s for each in attempts.values() if each.loaded for s in each.loaded.secrets()]
    return Validation(tuple(sorted(left, key=Finding.sort_key)), secrets)


def _of_one(attempt: Attempt, subject: Subject | None) -> set[Finding]:
    """Of one environment. A variable that is missing is told once, not at each of its uses."""
    found = {*attempt.findings}
    if subject is None:
        return found
    told = _rules(subject)
    missing = {each.about for each in told if each.code == "E003"} | named_anyhow(subject)
    return {each for each in found if each.code != "C005" or each.about not in missing} | told


def _addressed(finding: Finding, name: str) -> Finding:
    fix = addressed(finding.fix, name)
    return finding if fix == finding.fix else replace(finding, fix=fix)


def _quoted(findings: list[Finding], texts: Mapping[str, str]) -> list[Finding]:
    """With the lines that they are about."""
    named = {each.where.file for each in findings if each.where}
    lines = {label: text.split("\n") for label, text in texts.items() if label in named}
    return [replace(each, quote=quote(each, lines)) for each in findings]


def _inside(env: EnvFile) -> frozenset[int]:
    """The lines that are the middle of a value."""
    places = ((b.where.line or 0, b.written.reveal().count("\n")) for b in env.bindings)
    return frozenset(n for line, more in places for n in range(line + 1, line + more + 1))


def _rules(subject: Subject) -> set[Finding]:
    found = {each for file in subject.compose for each in file.findings}
    for rule in RULES.values():
        if rule.check is not None and (rule.without_values or not subject.blind):
            found.update(rule.check(subject))
    return found


def _subjects(
    project: Project, attempts: Mapping[str, Attempt], process: Mapping[str, str], tracked: Tracked
) -> dict[str, Subject]:
    """Those that could be loaded, each knowing the others."""
    loaded = {name: each.loaded for name, each in attempts.items() if each.loaded is not None}
    env_files = [
        each.env_file.path
        for each in loaded.values()
        if each.env_file and not each.env_file.findings
    ]
    in_git = tracked(env_files) if env_files else set()
    compose: dict[Path, ComposeFile] = {}
    subjects: dict[str, Subject] = {}
    for name, each in loaded.items():
        env = each.env_file or EnvFile(Path(), "")
        service = each.environment.service
        for path in service.compose if service else ():
            if path not in compose and is_there(path):
                compose[path] = read_compose_file(path, project.label(path))
        subjects[name] = Subject(
            each,
            env,
            process,
            compose=tuple(compose[p] for p in (service.compose if service else ()) if p in compose),
            example=_example(env, name, process),
            mode=_mode(env),
            tracked=env.path in in_git,
            copy=_copy(env, name, project),
            file=Where(project.label(project.file(name))),
            earlier=tuple(subjects.values()),
        )
    alone = dict(subjects)
    return {
        name: replace(subject, siblings=tuple(s for n, s in alone.items() if n != name))
        for name, subject in subjects.items()
    }


def _example(env: EnvFile, name: str, process: Mapping[str, str]) -> dict[str, Secret]:
    """What the example file beside an env file sets."""
    if not env.label:
        return {}
    plain = vault.plain_names(env.path.name, name) if env.sealed else (env.path.name,)
    examples = (env.path.with_name(f"{each}.example") for each in plain)
    example = next((path for path in examples if is_there(path)), None)
    return read_env_file(example, example.name, process).values() if example else {}


def _mode(env: EnvFile) -> int | None:
    if not env.label or env.findings:
        return None
    try:
        return env.path.stat().st_mode & 0o777
    except OSError:
        return None


def _copy(env: EnvFile, name: str, project: Project) -> str | None:
    """A plaintext file beside a sealed one."""
    if not env.sealed:
        return None
    copies = (env.path.with_name(each) for each in vault.plain_names(env.path.name, name))
    return next((project.label(path) for path in copies if is_there(path)), None)


def _texts(subject: Subject) -> dict[str, str]:
    """What findings may point into beside the TOML files, by the file's label."""
    texts = {file.label: file.text for file in subject.compose}
    if subject.env.label:
        texts[subject.env.label] = subject.env.text.reveal()
    return texts
