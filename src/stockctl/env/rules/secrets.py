"""Secrets: long enough, hard to guess, used once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.dotenv import Binding
from stockctl.env.place import Place, is_default_password, place_of
from stockctl.env.rules.base import Subject, found, prod, rule
from stockctl.env.rules.strength import (
    is_common,
    is_placeholder,
    is_plain_placeholder,
    is_thin,
    is_walk,
)
from stockctl.env.variable import Variable

SECRET_LENGTH = 32  # characters; 32 hex digits are 128 bits
FEWEST_DISTINCT = 10
FEWEST_ANYWHERE = 5
_TEST_KEY = re.compile(r"[a-z]{2}_test_")  # Stripe and others: no money moves
_PASSWORD = re.compile(r"PASSW(?:OR)?D|_PWD")
_DECLARED = '[variables.SESSION_SECRET]\ntype = "secret"\n'
GOOD = "SESSION_SECRET=V4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E\n"


def own_secrets(subject: Subject) -> Iterator[Binding]:
    """Those that only this environment may know: not the key of somebody else's service."""
    for binding, variable in subject.secrets:
        if variable is None or variable.type == "secret":
            yield binding


def rotate(subject: Subject, binding: Binding) -> str:
    """What mends a secret that is there."""
    variable = subject.environment.variables.get(binding.key)
    if variable is None or variable.type != "secret":
        return "Set another one."
    return f"stockctl env rotate {subject.name} --key {binding.key}"


def _made(subject: Subject, binding: Binding) -> str:
    """What mends a secret that may be a placeholder, which nothing uses yet."""
    if is_placeholder(binding.value.reveal()):
        return f"stockctl env generate {subject.name}"
    return rotate(subject, binding)


def shortest(variable: Variable | None) -> int:
    """How many characters a secret must have."""
    if variable is None:
        return 0
    return variable.min_length or (SECRET_LENGTH if variable.type == "secret" else 0)


@rule(
    "E010",
    Severity.ERROR,
    bad=prod("SESSION_SECRET=V4s0nJq8Lk2P\n", _DECLARED),
    good=prod(GOOD, _DECLARED),
)
def secret_too_short(subject: Subject) -> Iterator[Finding]:
    """A value is shorter than `min_length`; a secret without one needs 32 characters.

    32 hexadecimal digits are 128 bits: what is shorter can be tried out.
    """
    for binding, variable in subject.declared():
        if len(binding.value) < shortest(variable):
            there, needed = len(binding.value), shortest(variable)
            message = f"{binding.key} has {there} characters, at least {needed} are needed"
            fix = _made(subject, binding) if variable.type == "secret" else ""
            yield found("E010", binding.where, message, fix)


@rule(
    "E011",
    Severity.ERROR,
    bad=prod("SMTP_PASSWORD=P@ssw0rd2024!\n"),
    good=prod("SMTP_PASSWORD=V4s0nJq8Lk2PzXw7\n"),
)
def common_password(subject: Subject) -> Iterator[Finding]:
    """A secret is a common password, also with digits around it, in leet, or repeated.

    Lists of these are what is tried first.
    """
    for binding, _ in subject.secrets:
        if is_common(binding.value.reveal()):
            message = f"{binding.key} is a common password"
            yield found("E011", binding.where, message, rotate(subject, binding))


@rule(
    "E012",
    Severity.ERROR,
    bad=prod("SESSION_SECRET=abababababababababababababababab\n", _DECLARED),
    good=prod(GOOD, _DECLARED),
)
def few_distinct_characters(subject: Subject) -> Iterator[Finding]:
    """A secret is made of fewer than 10 different characters.

    A generated one of 32 characters has more than 10, even of hexadecimal digits.
    """
    for binding, variable in subject.secrets:
        strict = variable is not None and variable.type == "secret"
        fewest = FEWEST_DISTINCT if strict else FEWEST_ANYWHERE
        long_enough = len(binding.value) >= max(shortest(variable), 8)
        if long_enough and len(set(binding.value.reveal())) < fewest:
            message = f"{binding.key} is made of fewer than {fewest} different characters"
            yield found("E012", binding.where, message, rotate(subject, binding))


@rule(
    "E013",
    Severity.ERROR,
    bad=prod("SESSION_SECRET=qwertyuiopasdfghjklzxcvbnm123456\n", _DECLARED),
    good=prod(GOOD, _DECLARED),
)
def sequence_or_keyboard_walk(subject: Subject) -> Iterator[Finding]:
    """A secret is a sequence of letters or digits, or a walk over the keyboard.

    It is long and looks varied, and it is in the lists.
    """
    for binding, _ in subject.secrets:
        if is_walk(binding.value.reveal()):
            message = f"{binding.key} is a sequence or a walk over the keyboard"
            yield found("E013", binding.where, message, rotate(subject, binding))


@rule(
    "E014",
    Severity.ERROR,
    bad=prod("SESSION_SECRET=change-me-before-you-go-live-please\n", _DECLARED),
    good=prod(GOOD, _DECLARED),
)
def placeholder(subject: Subject) -> Iterator[Finding]:
    """A value looks like a placeholder, an example or a test value.

    It was meant to be replaced, or it is the test key of a service, in production. For what is not
    a secret only the plain cases count, `<your-key>` or `changeme`.
    """
    secret = {binding.key for binding, _ in subject.secrets}
    for binding in subject.bound.values():
        value = binding.value.reveal()
        place = place_of(value)
        if place is not None:
            looks = _is_template(place)
        elif binding.key in secret:
            looks = is_placeholder(value) and not is_common(value)
            looks = looks or (subject.production and bool(_TEST_KEY.match(value)))
        else:
            looks = is_plain_placeholder(value)
        if value and looks:
            variable = subject.environment.variables.get(binding.key)
            made = variable is not None and variable.type == "secret"
            fix = f"stockctl env generate {subject.name}" if made else "Set the real one."
            yield found("E014", binding.where, f"{binding.key} looks like a placeholder", fix)


def _is_template(place: Place) -> bool:
    """Whether the password of a URL was meant to be replaced."""
    password = place.password.reveal()
    default = is_default_password(password, {place.user, place.database})
    return bool(password) and is_placeholder(password) and not default


@rule(
    "E015",
    Severity.ERROR,
    bad=prod(
        f"{GOOD}JWT_SECRET={GOOD[15:]}", f'{_DECLARED}[variables.JWT_SECRET]\ntype = "secret"\n'
    ),
    good=prod(GOOD, _DECLARED),
)
def same_secret_twice(subject: Subject) -> Iterator[Finding]:
    """Two secrets of one environment have the same value.

    Who gets one of them has both.
    """
    seen: dict[Secret, str] = {}
    for binding in own_secrets(subject):
        other = seen.setdefault(binding.value, binding.key)
        if other != binding.key and not _one_password(subject, binding, other):
            message = f"{binding.key} has the same value as {other}"
            yield found("E015", binding.where, message, rotate(subject, binding))


def _one_password(subject: Subject, binding: Binding, other: str) -> bool:
    """One password under several names, as database and client want it: said so by a reference, or
    by nobody who declared them as secrets of their own."""
    passwords = _PASSWORD.search(binding.key) and _PASSWORD.search(other)
    declared = {binding.key, other} <= subject.environment.variables.keys()
    return bool(passwords) and (not declared or "${" in binding.written.reveal())


@rule(
    "E016",
    Severity.ERROR,
    bad={
        **prod(GOOD, _DECLARED),
        "staging.toml": f'env_file = ".env.staging"\n{_DECLARED}',
        ".env.staging": GOOD,
    },
    good=prod(GOOD, _DECLARED),
)
def shared_secret(subject: Subject) -> Iterator[Finding]:
    """A secret is the same as one of another environment.

    Whoever may look into staging has the key to production.
    """
    others = {
        binding.value: (other.name, binding.key)
        for other in reversed(subject.earlier)
        for binding in own_secrets(other)
    }
    for binding in own_secrets(subject):
        if binding.value in others:
            environment, key = others[binding.value]
            message = f"{binding.key} is the same as {key} of {environment}"
            yield found("E016", binding.where, message, rotate(subject, binding))


@rule(
    "E019",
    Severity.ERROR,
    bad=prod(GOOD, _DECLARED, **{".env.prod.example": GOOD}),
    good=prod(GOOD, _DECLARED, **{".env.prod.example": "SESSION_SECRET=\n"}),
)
def same_as_example(subject: Subject) -> Iterator[Finding]:
    """A secret has the value that stands in the example file.

    The example is committed: everybody knows it.
    """
    for binding, _ in subject.secrets:
        if subject.example.get(binding.key) == binding.value:
            message = f"{binding.key} has the value of the example file"
            yield found("E019", binding.where, message, rotate(subject, binding))


@rule(
    "W105",
    Severity.WARNING,
    bad=prod("API_KEY=k7q2x9vm4zk7q2x9vm4zk7q2x9vm4z\n", "[variables.API_KEY]\nsecret = true\n"),
    good=prod("API_KEY=V4s0nJq8Lk2PzXw7Rt5Yb1Gm\n", "[variables.API_KEY]\nsecret = true\n"),
)
def low_entropy(subject: Subject) -> Iterator[Finding]:
    """A value looks generated, and there is too little in it: few characters, or one part repeated.

    Perhaps somebody made it longer by pasting it twice.
    """
    for binding, _ in subject.secrets:
        value = binding.value.reveal()
        if not is_thin(value):
            continue
        told = len(set(value)) < FEWEST_DISTINCT or is_placeholder(value) or is_walk(value)
        if not told:
            yield found("W105", binding.where, f"{binding.key} has little entropy for its length")
