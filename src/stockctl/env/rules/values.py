"""What `[variables.NAME]` asks for: is it there, and is it what was declared?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from urllib.parse import urlsplit

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.core.units import parse_duration
from stockctl.env.load import references
from stockctl.env.place import place_of
from stockctl.env.rules.base import Subject, found, prod, rule
from stockctl.env.rules.statements import named_anyhow
from stockctl.env.variable import Variable

MOST_SUGGESTIONS = 50
LONGEST_MATCHED = 2000  # characters
_BOOLEAN = frozenset(("true", "false", "1", "0"))
_SCHEMES = """
http https ws wss redis rediss amqp amqps mongodb mongodb+srv mysql mariadb postgres postgresql
s3 gs sftp smtp smtps ldap ldaps tcp udp nats kafka mqtt mqtts grpc grpcs elasticsearch
"""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# What tools themselves read from the environment; nobody declares these.
_OF_TOOLS = re.compile(r"(?:COMPOSE|DOCKER|BUILDKIT|STOCKCTL)_\w+|TZ|LANG|LC_\w+|PG[A-Z]+")


def applies(variable: Variable, subject: Subject) -> bool:
    """Whether the environment may set the variable at all."""
    environment = subject.environment
    return not variable.only_in or bool({environment.name, environment.kind} & {*variable.only_in})


@rule(
    "E003",
    Severity.ERROR,
    bad=prod("PORT=5000\n", "[variables.NODE_ENV]\nrequired = true\n"),
    good=prod("NODE_ENV=production\n", "[variables.NODE_ENV]\nrequired = true\n"),
)
def required_missing(subject: Subject) -> Iterator[Finding]:
    """A variable with `required = true` is not set.

    The service would refuse to start, or start without it.
    """
    meant = named_anyhow(subject)
    for name, variable in subject.environment.variables.items():
        wanted = variable.required and applies(variable, subject)
        if wanted and name not in subject.values and name not in meant:
            generated = variable.type == "secret"
            fix = f"stockctl env generate {subject.name}" if generated else f"Add {name}=…"
            message = f"{name} is required and not set"
            yield found("E003", Where(subject.env.label), message, fix, name)


@rule(
    "E004",
    Severity.ERROR,
    bad=prod("NODE_ENV=\n", "[variables.NODE_ENV]\nrequired = true\n"),
    good=prod("NODE_ENV=production\n", "[variables.NODE_ENV]\nrequired = true\n"),
)
def required_empty(subject: Subject) -> Iterator[Finding]:
    """A variable with `required = true` is set to nothing.

    Somebody copied the example file and has not filled it in yet.
    """
    for name, variable in subject.environment.variables.items():
        binding = subject.bound.get(name)
        if variable.required and binding and not binding.value.reveal().strip():
            fix = f"stockctl env generate {subject.name}" if variable.type == "secret" else ""
            yield found("E004", binding.where, f"{name} is required and empty", fix)


@rule(
    "E005",
    Severity.ERROR,
    bad=prod("PORT=50000000\n", '[variables.PORT]\ntype = "port"\n'),
    good=prod("PORT=5000\n", '[variables.PORT]\ntype = "port"\n'),
)
def wrong_type(subject: Subject) -> Iterator[Finding]:
    """A value is not of its declared type.

    A port that is none, or a URL without a scheme, is found out by the first request otherwise.
    """
    for binding, variable in subject.declared():
        expected = _expected(variable.type, binding.value.reveal())
        if expected and not binding.unset:
            yield found("E005", binding.where, f"{binding.key}: expected {expected}")


@rule(
    "E008",
    Severity.ERROR,
    bad=prod("REGION=europe\n", "[variables.REGION]\npattern = '[a-z]{2}-[a-z]+-[0-9]'\n"),
    good=prod("REGION=eu-west-1\n", "[variables.REGION]\npattern = '[a-z]{2}-[a-z]+-[0-9]'\n"),
)
def pattern_mismatch(subject: Subject) -> Iterator[Finding]:
    """A value does not match the declared `pattern`, which is for the whole value.

    The pattern was written by somebody who knew what the service accepts.
    """
    for binding, variable in subject.declared():
        # what is longer is no value that somebody wrote a pattern for
        value = binding.value.reveal()[:LONGEST_MATCHED]
        if variable.pattern and not re.fullmatch(variable.pattern, value):
            message = f"{binding.key} does not match {variable.pattern}"
            yield found("E008", binding.where, message, variable.description)


@rule(
    "E009",
    Severity.ERROR,
    bad=prod("LOG_LEVEL=loud\n", '[variables.LOG_LEVEL]\nallowed = ["info", "warn"]\n'),
    good=prod("LOG_LEVEL=info\n", '[variables.LOG_LEVEL]\nallowed = ["info", "warn"]\n'),
)
def not_allowed(subject: Subject) -> Iterator[Finding]:
    """A value is not one of the `allowed` ones.

    A misspelt level or mode falls back to a default that nobody chose.
    """
    for binding, variable in subject.declared():
        if variable.allowed and binding.value.reveal() not in variable.allowed:
            message = f"{binding.key}: expected one of {', '.join(variable.allowed)}"
            yield found("E009", binding.where, message)


@rule(
    "E031",
    Severity.ERROR,
    bad=prod("SEED_DATA=1\n", '[variables.SEED_DATA]\nonly_in = ["staging"]\n'),
    good=prod("SEED_DATA=1\n", '[variables.SEED_DATA]\nonly_in = ["production"]\n'),
)
def not_in_this_environment(subject: Subject) -> Iterator[Finding]:
    """A variable is set in an environment that `only_in` does not name.

    What is meant for staging alone does harm elsewhere.
    """
    for binding in subject.bound.values():
        variable = subject.environment.variables.get(binding.key)
        if variable and not applies(variable, subject):
            message = f"{binding.key} belongs to {', '.join(variable.only_in)} only"
            yield found("E031", binding.where, message, "Remove the line.")


@rule(
    "E032",
    Severity.ERROR,
    bad=prod("A=1\nB=1\n", '[variables.A]\n[variables.B]\ndifferent_from = ["A"]\n'),
    good=prod("A=1\nB=2\n", '[variables.A]\n[variables.B]\ndifferent_from = ["A"]\n'),
)
def not_different(subject: Subject) -> Iterator[Finding]:
    """A value is the same as that of a variable which `different_from` names.

    Two that must differ are one: the key that signs sessions also signs tokens, say.
    """
    for binding, variable in subject.declared():
        for other in variable.different_from:
            if subject.values.get(other) == binding.value:
                message = f"{binding.key} has the same value as {other}"
                yield found("E032", binding.where, message)


@rule(
    "W101",
    Severity.WARNING,
    bad=prod("LOG_LEVL=info\n", "[variables.LOG_LEVEL]\n"),
    good=prod("LOG_LEVEL=info\n", "[variables.LOG_LEVEL]\n"),
)
def unknown_variable(subject: Subject) -> Iterator[Finding]:
    """A variable that is neither declared nor used by the TOML or compose files.

    Only where variables are declared at all; where a service gets the whole file (`env_file:`),
    only what is nearly called like a declared one. Mostly it is a misspelling, and the variable
    that was meant keeps its default.
    """
    declared = subject.environment.variables
    used = references(subject.loaded.layers.data)
    used |= {each.name for file in subject.compose for each in file.references}
    passed_on = any(file.passes_on(subject.env.path) for file in subject.compose)
    missing = [name for name in declared if name not in subject.bound]
    looked_up = 0
    for key, binding in subject.bound.items() if declared else ():
        if key in declared or key in used or _OF_TOOLS.fullmatch(key):
            continue
        looked_up += 1  # each costs a comparison with every declared one
        candidates = missing if looked_up <= MOST_SUGGESTIONS else []
        near = get_close_matches(key.upper(), candidates, n=1, cutoff=0.85 if passed_on else 0.6)
        if passed_on and not near:
            continue
        fix = f"Did you mean {near[0]}?" if near else f"Declare it: [variables.{key}]"
        yield found("W101", binding.where, f"{key} is not declared", fix)


@rule(
    "W107",
    Severity.WARNING,
    bad=prod("DB_URL=x\n", '[variables.DB_URL]\ndeprecated = "use DATABASE_URL"\n'),
    good=prod("DATABASE_URL=x\n", "[variables.DATABASE_URL]\n"),
)
def deprecated_variable(subject: Subject) -> Iterator[Finding]:
    """A variable that is declared as `deprecated`.

    It will stop to work one day, and not on a day that suits.
    """
    for binding in subject.bound.values():
        variable = subject.environment.variables.get(binding.key)
        if variable and variable.deprecated:
            fix = variable.deprecated if isinstance(variable.deprecated, str) else ""
            yield found("W107", binding.where, f"{binding.key} is deprecated", fix)


def _expected(kind: str, value: str) -> str | None:
    """What was expected, or None when the value is fine. Never the value itself."""
    match kind:
        case "int":
            return None if re.fullmatch(r"[-+]?[0-9]+", value) else "a whole number"
        case "port":
            good = bool(re.fullmatch(r"0*[1-9][0-9]{0,4}", value)) and int(value[-5:]) < 65536
            return None if good else "a port, 1 to 65535"
        case "bool":
            return None if value.lower() in _BOOLEAN else "true or false"
        case "duration":
            return None if _is_duration(value) else 'a duration like "30s"'
        case "email":
            return None if _EMAIL.fullmatch(value) else "an e-mail address"
        case "url":
            return None if is_url(value, _SCHEMES.split()) else "a URL like https://example.com"
        case "postgres_url":
            place = place_of(value)
            good = place is not None and place.postgres and bool(place.database)
            good = good and not re.search(r"\s", value)
            return None if good else "postgresql://user:password@host:port/database"
        case "origins":
            good = all(_is_origin(origin.strip()) for origin in value.split(","))
            return None if good else "a comma-separated list of origins like https://example.com"
    return None


def is_url(value: str, schemes: Collection[str]) -> bool:
    """Whether `value` is a URL of one of the schemes, with a host and without white space."""
    try:
        parts = urlsplit(value)
        host = bool(parts.hostname)
        return parts.scheme in schemes and host and parts.port != 0 and not re.search(r"\s", value)
    except ValueError:
        return False


def _is_origin(value: str) -> bool:
    if value == "*":
        return True  # in production another rule has its say
    if not is_url(value, ("http", "https")):
        return False
    parts = urlsplit(value)
    return parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)


def _is_duration(value: str) -> bool:
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True
