"""What a rule is, what it looks at, and the list of all of them.

A rule is one function with one code. It gets a Subject and yields what it finds; its docstring
says what is wrong (first line) and why that matters (the rest), its examples show it, and
`docs/rules.md` is written from the three.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.compose_file import ComposeFile
from stockctl.env.dotenv import Binding, EnvFile
from stockctl.env.load import Loaded
from stockctl.env.model import Environment
from stockctl.env.variable import Variable

# Names that nobody declared and that can only be secrets of one's own.
_NO_PASSWORD = ("null", "none", "nil")  # what Laravel writes for "there is none"
_NAMED = re.compile(
    r"(?:^|_)(?:SECRET|PASSWORD|PASSWD|PASS|PASSPHRASE|PW|(?:SECRET|PRIVATE|SIGNING|ENCRYPTION)_KEY"
    r"|SECRET_KEY_BASE)(?:_[A-Z]+)?$"
)
_NOT_A_VALUE = re.compile(r"_(?:FILE|PATH|URL|NAME|ARN|LENGTH|TTL|AGE|EXPIRY|ENABLED)$")


@dataclass(frozen=True)
class Subject:
    """One environment as the rules see it; nothing here is read from disk by a rule."""

    loaded: Loaded
    env: EnvFile
    process: Mapping[str, str]
    compose: tuple[ComposeFile, ...] = ()
    example: Mapping[str, Secret] = field(default_factory=dict)
    mode: int | None = None  # of the env file; None where there is none
    tracked: bool = False  # the env file, by git
    copy: str | None = None  # the plaintext file beside a sealed one
    file: Where | None = None  # the environment's own TOML file
    names: tuple[str, ...] = ()  # every environment of the project
    siblings: tuple[Subject, ...] = ()  # the other environments that could be loaded
    earlier: tuple[Subject, ...] = ()  # those of them that are told nothing: of two the later is

    @property
    def environment(self) -> Environment:
        return self.loaded.environment

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def blind(self) -> bool:
        """Whether its env file could not be read, so that nothing is known of its values."""
        named = self.environment.env_file is not None
        return bool(self.env.findings) or (named and not self.env.label)

    @property
    def production(self) -> bool:
        return self.environment.kind == "production"

    @cached_property
    def values(self) -> dict[str, Secret]:
        """Of the env file."""
        return self.env.values()

    @cached_property
    def bound(self) -> dict[str, Binding]:
        """The statement that counts for each key."""
        return {binding.key: binding for binding in self.env.bindings}

    def declared(self) -> Iterator[tuple[Binding, Variable]]:
        """The bindings with a value whose variable is declared, in the file's order."""
        variables = self.environment.variables
        for binding in self.bound.values():
            if binding.value and binding.key in variables:
                yield binding, variables[binding.key]

    @cached_property
    def secrets(self) -> tuple[tuple[Binding, Variable | None], ...]:
        """The bindings that hold a secret: declared ones and, but for development and tests,
        undeclared ones by their names."""
        return tuple(self._secrets())

    def _secrets(self) -> Iterator[tuple[Binding, Variable | None]]:
        variables = self.environment.variables
        lenient = self.environment.kind in ("development", "test")
        for binding in self.bound.values():
            variable = variables.get(binding.key)
            if not binding.value:
                continue
            if variable is not None:
                if variable.type == "secret" or variable.secret:
                    yield binding, variable
            elif lenient or binding.value.reveal().lower() in _NO_PASSWORD:
                continue
            elif is_secret_name(binding.key):
                yield binding, None

    def toml(self, *path: str | int) -> Where | None:
        """Where a key of the TOML files stands."""
        return self.loaded.layers.where(path)


Function = Callable[[Subject], Iterator[Finding]]
Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A code, what it stands for, and the function that finds it.

    `check` is None for what is found while files are read, before there is a Subject.
    `bad` and `good` are small projects: file name (below `environments/`) to text.
    """

    code: str
    severity: Severity
    name: str
    what: str
    why: str
    bad: Files
    good: Files
    check: Function | None = None
    ignorable: bool = True
    without_values: bool = False


RULES: dict[str, Rule] = {}


def is_secret_name(name: str) -> bool:
    """Whether only a secret of one's own can be called like this."""
    return bool(_NAMED.search(name)) and not _NOT_A_VALUE.search(name)


def rule(
    code: str, severity: Severity, *, bad: Files, good: Files, without_values: bool = False
) -> Callable[[Function], Function]:
    """Registers a function as the rule `code`; its name, with dashes, is the rule's.

    `without_values`: it says something sensible also where the env file could not be read.
    """

    def register(function: Function) -> Function:
        what, _, why = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
        name = function.__name__.replace("_", "-")
        what = " ".join(what.split())
        _add(
            Rule(
                code, severity, name, what, why, bad, good, function, without_values=without_values
            )
        )
        return function

    return register


def known(
    code: str,
    name: str,
    what: str,
    why: str,
    *,
    bad: Files,
    good: Files,
    severity: Severity = Severity.ERROR,
) -> None:
    """Registers a code of the reading itself. It cannot be ignored: nothing was read."""
    _add(Rule(code, severity, name, what, why, bad, good, None, ignorable=False))


def found(code: str, where: Where | None, message: str, fix: str = "", about: str = "") -> Finding:
    """A finding with its rule's severity."""
    return Finding(code, RULES[code].severity, message, where, fix, about=about)


def _add(new: Rule) -> None:
    if new.code in RULES:
        raise ValueError(f"two rules have the code {new.code}")
    RULES[new.code] = new


def prod(env: str, toml: str = "", **more: str) -> dict[str, str]:
    """An example: `.env.prod` and what `prod.toml` declares beside it; more files by name."""
    return {"prod.toml": f'env_file = ".env.prod"\n{toml}', ".env.prod": env, **more}
