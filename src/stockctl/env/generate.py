"""Strong values for declared secrets: the missing ones of an env file, or a new one for an old."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from secrets import choice
from urllib.parse import quote

from stockctl.core.errors import ConfigurationError, UsageError
from stockctl.core.secret import Secret
from stockctl.env.dotenv import EnvFile
from stockctl.env.edits import append, copy_value, set_value
from stockctl.env.model import Environment
from stockctl.env.rules.strength import is_common, is_placeholder, is_walk
from stockctl.env.variable import Variable

Choose = Callable[[Sequence[str]], str]

LENGTH = 48  # letters and digits: 285 bits
SHORTEST = 32  # where `min_length` says nothing
PREVIOUS = "_PREVIOUS"
_ALPHABETS = (string.ascii_letters + string.digits, "0123456789abcdef", "0123456789ABCDEF")
_LENGTHS = (LENGTH, 64, 32, 40, 128)
_TRIES = 20
_FEWEST_DISTINCT = 10
_NO_COINCIDENCE = 6  # characters
_DATABASE_PASSWORD = re.compile(r"(POSTGRES|PG|DB|DATABASE|SQL).*PASS|PGPASS", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which secrets get a value, which of these are in place of a placeholder, and what is left
    for a person, with the reason."""

    secrets: tuple[str, ...]
    placeholders: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """`previous` is the key that has the old value now; `holds_old` still have it inside theirs."""

    text: Secret
    previous: str | None
    why_not_kept: str
    holds_old: tuple[str, ...]
    database: bool


def plan_generate(
    environment: Environment, env: EnvFile, example: Mapping[str, Secret], *, new: bool = False
) -> Plan:
    """What `generate` would do. A value that is in the example file is everybody's: no secret.

    `new`: there is no env file yet, and each secret of the example is in its place only.
    """
    values = env.values()
    secrets: list[str] = []
    placeholders: list[str] = []
    missing: list[tuple[str, str]] = []
    for name, variable in environment.variables.items():
        value = values.get(name)
        if variable.deprecated or not _belongs(environment, variable):
            continue
        if variable.type != "secret" or (_is_previous(name, environment) and not variable.required):
            if variable.required and not value:
                missing.append((name, _what_it_is(variable)))
            continue
        if not (variable.required if value is None else _is_weak(value, example.get(name))):
            continue
        if why := why_not_generated(variable):
            missing.append((name, why))
        else:
            secrets.append(name)
            placeholders += [name] if value and not new else []
    return Plan(tuple(secrets), tuple(placeholders), tuple(missing))


def apply_plan(text: str, plan: Plan, environment: Environment) -> str:
    """The file's text with a new value for each secret of the plan, the rest as it is."""
    for name in plan.secrets:
        text = set_value(text, name, strong_value(environment.variables[name]))
    return text


def first_text(environment: Environment) -> str:
    """An env file for an environment that has no example: what is declared, still empty."""
    text = ""
    for name, variable in environment.variables.items():
        if variable.deprecated or not _belongs(environment, variable):
            continue
        if variable.description:
            text = append(text, f"# {' '.join(variable.description.split())}")
        only = variable.allowed[0] if len(variable.allowed) == 1 and variable.required else ""
        plain = only if re.fullmatch(r"[A-Za-z0-9._-]*", only) else ""
        text = append(text, f"{'' if variable.required else '# '}{name}={plain}")
    return text


def strong_value(variable: Variable, choose: Choose = choice) -> str:
    """Letters and digits, at least as long as asked for, that match its `pattern`.

    Raises ConfigurationError where no such value is found; ask `why_not_generated` first.
    """
    shortest = variable.min_length or SHORTEST
    for alphabet in _ALPHABETS:
        for length in dict.fromkeys(max(length, shortest) for length in _LENGTHS):
            for _ in range(_TRIES):
                value = "".join(choose(alphabet) for _ in range(length))
                if variable.pattern and not re.fullmatch(variable.pattern, value):
                    continue
                if _is_strong(value):
                    return value
            if not variable.pattern:
                break
    raise ConfigurationError("no generated value matches its pattern")


def why_not_generated(variable: Variable) -> str:
    """Why a person must choose the value; '' where it can be generated."""
    if variable.allowed:
        return "a secret with `allowed` values: choose one"
    try:
        strong_value(variable)
    except ConfigurationError:
        return "a secret whose `pattern` no generated value matches: set it by hand"
    return ""


def require_rotatable(environment: Environment, key: str) -> None:
    """Raises UsageError unless `key` is a declared secret that can be generated."""
    declared = environment.variables
    secrets = [
        n for n, v in declared.items() if v.type == "secret" and not _is_previous(n, environment)
    ]
    near = get_close_matches(key.upper(), secrets, n=1)
    guess = f"Did you mean {near[0]}? " if near else ""
    hint = f"{guess}Declared secrets: {', '.join(secrets) or 'none'}."
    variable = declared.get(key)
    if variable is None:
        raise UsageError(f"there is no [variables.{key}]", hint=hint)
    if variable.type != "secret":
        why = f'{key} is declared as {variable.type}, not as type = "secret"'
        raise UsageError(f"{why}: its value comes from elsewhere", hint=hint)
    if _is_previous(key, environment):
        base = key.removesuffix(PREVIOUS)
        raise UsageError(f"{key} is the old value of {base}", hint=f"Rotate {base}.")
    if why := why_not_generated(variable):
        raise UsageError(f"{key} is {why}")


def rotate(
    environment: Environment, env: EnvFile, key: str, parse: Callable[[str], EnvFile]
) -> Rotated:
    """`key` with a new value, the old one kept where that is declared.

    `parse` reads a text as the env file, to see that what was kept means the same at its place.
    """
    text, old = env.text.reveal(), env.values().get(key)
    previous: str | None = f"{key}{PREVIOUS}"
    why = ""
    if previous not in environment.variables:
        previous, why = None, f"[variables.{key}{PREVIOUS}] is not declared"
    elif not old:
        previous, why = None, f"{key} had no value"
    elif is_placeholder(old.reveal()):
        previous, why = None, f"the old value of {key} was a placeholder, which nothing must accept"
    if previous:
        text = copy_value(text, key, previous)
    text = set_value(text, key, strong_value(environment.variables[key]))
    after = parse(text)
    if previous and after.values().get(previous) != old:
        raise ConfigurationError(
            f"the old value of {key} would mean something else as {previous}",
            where=env.where(key),
            hint=f"Write it without ${{…}}: stockctl env edit {environment.name}",
        )
    holders = _holders(after, old, {key, previous}) if old else ()
    used = old and any(_in_url(value, old) for name, value in env.values().items() if name != key)
    database = bool(used or _DATABASE_PASSWORD.search(key))
    return Rotated(Secret(text), previous, why, holders, database)


def _holders(env: EnvFile, old: Secret, but: set[str | None]) -> tuple[str, ...]:
    """The keys whose value has the old one inside: as the password of a URL, or, where it is long
    enough to be no coincidence, anywhere."""
    return tuple(
        key
        for key, value in env.values().items()
        if key not in but
        and (
            _in_url(value, old)
            or (len(old) >= _NO_COINCIDENCE and any(f in value.reveal() for f in _forms(old)))
        )
    )


def _in_url(value: Secret, password: Secret) -> bool:
    text = value.reveal()
    return "://" in text and any(f":{form}@" in text for form in _forms(password))


def _forms(secret: Secret) -> tuple[str, str]:
    """As it is, and as it stands in a URL."""
    return secret.reveal(), quote(secret.reveal(), safe="")


def _is_strong(value: str) -> bool:
    """By the rules of `env validate`, which chance may break: `todo`, `12345678` in the middle."""
    bad = is_placeholder(value) or is_walk(value) or is_common(value)
    return len(set(value)) >= _FEWEST_DISTINCT and not bad


def _is_weak(value: Secret, example: Secret | None) -> bool:
    return not value or is_placeholder(value.reveal()) or (bool(example) and value == example)


def _is_previous(name: str, environment: Environment) -> bool:
    return name.endswith(PREVIOUS) and name.removesuffix(PREVIOUS) in environment.variables


def _belongs(environment: Environment, variable: Variable) -> bool:
    """Whether this environment may set it."""
    return not variable.only_in or bool({environment.name, environment.kind} & {*variable.only_in})


def _what_it_is(variable: Variable) -> str:
    return variable.description or variable.type
