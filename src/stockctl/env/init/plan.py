"""`env init` as a plan: which files with which text. Nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stockctl.core.errors import Refused, UsageError
from stockctl.core.secret import Secret
from stockctl.env.init.answers import Answers, Question, Unanswered
from stockctl.env.init.setup import (
    Setup,
    choose_database,
    set_up,
    wanted,
)
from stockctl.env.init.sharing import not_shareable
from stockctl.env.init.survey import Survey
from stockctl.env.init.text import (
    NewFile,
    added_file,
    base_file,
    env_files,
    environment_file,
    hides,
)
from stockctl.env.init.values import Declared, Known, Line, Wanted, lines
from stockctl.env.project import BASE
from stockctl.env.rules.names import VERBS_OF_DEPLOY

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")  # as stockctl.env.project lists them


@dataclass(frozen=True, slots=True)
class BaseNeeds:
    """The variables without which an environment that extends `base.toml` is not sound, and those
    that it declares as secrets of its own."""

    named: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What is there already. `others`: the values of each environment; `base`: what
    an existing base.toml asks for, None where there is none; `read`: each service's own env files.
    Paths are relative to `environments/`; `prefix` is the folder of the compose project."""

    compose: tuple[str, ...]
    prefix: str
    dotenv: Mapping[str, Secret]
    read: Mapping[str, Mapping[str, Secret]]
    process: Mapping[str, str]
    others: Mapping[str, Mapping[str, Secret]]
    base: BaseNeeds | None = None


@dataclass(frozen=True, slots=True)
class InitPlan:
    """The files in the order in which they are written; an environment's TOML file is its last."""

    files: tuple[NewFile, ...]
    notes: tuple[str, ...]
    secrets: tuple[Secret, ...]


def plan(
    survey: Survey,
    names: Sequence[str],
    answers: Answers,
    around: Around,
    make: Callable[[], Secret],
) -> InitPlan:
    """`make` gives a new secret at each call. Raises Unanswered, UsageError and Refused."""
    for name in names:
        check_name(name)
    setup, needs = _set_up(survey, answers, around)
    if len({*names, *around.others}) > 1:
        _refuse_shared(survey, needs)
    drafts = _drafts(survey, names, answers, around, needs, make)
    files = _shared_files(setup, drafts)
    for name in names:
        files += env_files(name, drafts[name])
    files += [environment_file(name) for name in names]
    secrets = [each.value for found in drafts.values() for each in found if hides(each)]
    notes = [*(setup.notes if setup else ()), *_about_values(drafts, around)]
    notes += [_project_note(setup.name, names)] if setup else []
    return InitPlan(tuple(files), tuple(notes), tuple(filter(None, secrets)))


def _set_up(survey: Survey, answers: Answers, around: Around) -> tuple[Setup | None, Wanted]:
    """What `base.toml` will say, unless there is one, and what it wants of the env files."""
    read, dotenv = around.read, around.dotenv
    if around.base is None:
        setup = set_up(survey, around.compose, around.prefix, answers, read, dotenv)
        return setup, setup.wanted
    database = choose_database(survey, answers, read, dotenv, [])
    return None, wanted(survey, database, around.base.named, around.base.secrets)


def check_name(name: str) -> None:
    """Raises UsageError for what cannot be an environment's name."""
    if not _NAME.fullmatch(name) or name == BASE:
        raise UsageError(
            f"{name!r} cannot be the name of an environment",
            hint="Lower-case letters, digits and dashes, and not base: prod, eu-staging.",
        )
    if name in VERBS_OF_DEPLOY:
        raise UsageError(f"{name} is a verb of `stockctl deploy`", hint="Choose another name.")


def _refuse_shared(survey: Survey, needs: Wanted) -> None:
    found = not_shareable(survey, needs)
    if found:
        raise Refused(
            "two environments on one machine cannot both come of these compose files",
            details="\n".join(found),
            hint="Change that, or make one environment only. Nothing was written.",
        )


def _drafts(
    survey: Survey,
    names: Sequence[str],
    answers: Answers,
    around: Around,
    needs: Wanted,
    make: Callable[[], Secret],
) -> dict[str, list[Line]]:
    """The env file of each environment. Raises Unanswered for what nobody has said."""
    given = {**answers.values}
    taken = {
        int(values[name].reveal())
        for values in around.others.values()
        for name in needs.ports
        if name in values and values[name].reveal().isdigit()
    }
    drafts: dict[str, list[Line]] = {}
    questions: dict[str, Question] = {}
    for name in names:
        own = {key.removeprefix(f"{name}:"): value for key, value in given.items()}
        known = Known(own, around.dotenv, around.process, make, only=len(names) == 1)
        alone = not any(around.others.values()) and name == names[0]
        drafts[name], missing = lines(survey, needs, known, name, taken, alone=alone)
        for each in missing:
            question = _question(each, name if each.secret and len(names) > 1 else "")
            questions.setdefault(question.answer, question)
    if questions:
        raise Unanswered(*questions.values())
    return drafts


def _question(declared: Declared, environment: str) -> Question:
    """Secrets are asked for each environment: no two may have the same."""
    where = f" in {environment}" if environment else ""
    read = f" ({declared.description.rstrip('.').lower()})" if declared.description else ""
    flag = f"--set {declared.name}=VALUE"
    if declared.secret:
        flag = f"{declared.name} in the process environment"
        flag += ", and one environment at a time" if environment else ""
    answer = f"{environment}:{declared.name}" if environment else declared.name
    text = f"What is the value of {declared.name}{where}?{read}"
    empty = not declared.required
    return Question(answer, text, flag, secret=declared.secret, may_be_empty=empty)


def _shared_files(setup: Setup | None, drafts: Mapping[str, Sequence[Line]]) -> list[NewFile]:
    if setup is None:
        return []
    first = next(iter(drafts.values()), [])
    everywhere = {line.declared.name: line.declared for line in reversed(first)}
    base = base_file(setup, [everywhere[line.declared.name] for line in first])
    added = setup.database is not None and setup.database.added is not None
    return [added_file(setup.database), base] if added and setup.database else [base]


def _about_values(drafts: Mapping[str, Sequence[Line]], around: Around) -> list[str]:
    said = []
    for name, found in drafts.items():
        made = [line.declared.name for line in found if line.fresh]
        if made:
            said.append(f"{name}: new secrets for {', '.join(made)}")
    used = {line.declared.name for found in drafts.values() for line in found}
    left = [name for name in around.dotenv if name not in used]
    if left:
        said.append(f"in .env, but used by no compose file, and so left out: {', '.join(left)}")
    first = next(iter(drafts.values()), [])
    weak = [each.declared.name for each in first if each.fresh]
    weak = [name for name in weak if around.dotenv.get(name)]
    if weak and not around.others:
        said.append(f"too weak in .env to be taken over: {', '.join(weak)}")
    return said


def _project_note(project: str, names: Sequence[str]) -> str:
    shown = " and ".join(f"{project}-{name}" for name in names)
    return (
        f"the compose project is {shown}: its volumes are new, those of `docker compose up` in"
        " this folder stay where they are"
    )
