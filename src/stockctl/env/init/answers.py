"""What a person says to `env init`, and what is asked where nobody has said it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stockctl.core.errors import UsageError
from stockctl.core.secret import Secret
from stockctl.env.masking import is_secret


@dataclass(frozen=True, slots=True)
class Answers:
    """What flags and a person say; None leaves it to what is found."""

    web: str | None = None
    port: int | None = None
    database: str | None = None
    no_database: bool = False
    health: str | None = None
    image: str | None = None
    build: str | None = None  # relative to `environments/`, as `migrations` is
    migrations: str | None = None
    url: str | None = None
    values: Mapping[str, Secret] = field(default_factory=dict)

    def settings(self) -> list[str]:
        """The flags that were given and are about what `base.toml` says."""
        names = ("web", "port", "health", "url", "image", "build", "database")
        given = [f"--{name}" for name in names if getattr(self, name) is not None]
        return given + ["--no-database"] * self.no_database

    def with_answer(self, question: Question, said: str) -> Answers:
        """The same, one question fewer. Raises ValueError for what is no answer to it."""
        if question.candidates and said not in question.candidates:
            raise ValueError(f"one of {', '.join(question.candidates)}")
        if not said and not question.may_be_empty:
            raise ValueError("something")
        match question.answer:
            case "web":
                return replace(self, web=said)
            case "port":
                if not said.isdigit() or not 0 < int(said) < 65536:
                    raise ValueError("a port, 1 to 65535")
                return replace(self, port=int(said))
            case "database":
                return replace(self, database=said)
            case "url":
                return replace(self, url=said)
        return replace(self, values={**self.values, question.answer: Secret(said)})


def given_values(written: Iterable[str]) -> dict[str, Secret]:
    """`KEY=VALUE` of `--set`. Raises UsageError, also for a secret: every user of the machine
    can read a command line."""
    values = {}
    for each in written:
        key, equals, value = each.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise UsageError(f"--set {key}: expected KEY=VALUE")
        if value and is_secret(key, Secret(value), None):
            raise UsageError(
                f"--set {key}: a secret has no place on a command line",
                hint=f"Set {key} in the process environment, or fill in the env file afterwards.",
            )
        values[key] = Secret(value)
    return values


@dataclass(frozen=True, slots=True)
class Question:
    """What is not to be found out. `answer` is the field of Answers, or a variable's name."""

    answer: str
    text: str
    flag: str
    candidates: tuple[str, ...] = ()
    default: str = ""
    secret: bool = False
    may_be_empty: bool = False


class Unanswered(Exception):
    """Somebody has to say something before this goes on."""

    def __init__(self, *questions: Question) -> None:
        super().__init__(questions)
        self.questions = questions
