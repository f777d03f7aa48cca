"""What `env init` declares about each variable of the compose files, and which value it gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stockctl.core.secret import Secret
from stockctl.env.init.names import DEBUG, KIND_NAME, OF_A_SERVER, type_of
from stockctl.env.init.survey import Survey, Use, fill, only_reference
from stockctl.env.masking import is_secret
from stockctl.env.rules.strength import is_common, is_placeholder, is_walk
from stockctl.env.variable import Kind, kind_of

SECRET_LENGTH, SECRET_DISTINCT = 32, 10  # what the rules ask of `type = "secret"`
_IN_A_URL = re.compile(r"[A-Za-z0-9._~-]+")
_OFF = {"true": "false", "True": "False", "1": "0", "yes": "no", "on": "off"}


@dataclass(frozen=True, slots=True)
class Declared:
    """One `[variables.NAME]`. `own`: a secret that we may make."""

    name: str
    type: str = "string"
    secret: bool = False
    own: bool = False
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an env file; without a value a comment that shows the default."""

    declared: Declared
    value: Secret | None = None
    default: str = ""
    made: bool = False  # of other lines, by `${X}`
    fresh: bool = False  # a secret that nobody had before


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the TOML files take from the env file, and what they make of it.

    `texts` are values with `${X}` of other lines in them; `fixed` ones are not ours to choose;
    `defaults` are there where a person has no preference.
    """

    named: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Secret] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()  # those that we may make


@dataclass(frozen=True, slots=True)
class Known:
    """Where values come from. `given`: by flag or by a person's answer."""

    given: Mapping[str, Secret]
    dotenv: Mapping[str, Secret]
    process: Mapping[str, str]
    make: Callable[[], Secret]
    only: bool = True  # one environment is made: no other could get the same secret


def declare(use: Use, value: str, wanted: Wanted) -> Declared:
    """By its name, and by the value it has or gets."""
    name, upper = use.name, use.name.upper()
    read = f"Read by {', '.join(use.readers)}." if use.readers else ""
    default = f"Default: {use.default}." if use.default and "\n" not in use.default else ""
    secret = is_secret(name, Secret(value), None)
    own = name in wanted.secrets
    required = use.required or name in wanted.named
    if own or secret:
        default = ""  # nobody shall rely on it
    kind = "secret" if own else type_of(upper, value, port=name in wanted.ports)
    port = "A port of this machine." if name in wanted.ports else ""
    said = " ".join(filter(None, (port, read, default)))
    return Declared(name, kind, secret, own, required or own, said)


def lines(
    survey: Survey, wanted: Wanted, known: Known, name: str, taken: set[int], *, alone: bool
) -> tuple[list[Line], list[Declared]]:
    """The env file of one environment, and the variables that somebody has to give a value.

    `alone`: the first environment of the project, which may have the secrets of `.env`.
    """
    found: list[Line] = []
    missing: list[Declared] = []
    for use in _in_order(survey, wanted):
        value = _value(use, wanted, known, kind_of(name), alone=alone)
        if use.name in wanted.ports:
            value = _free_port(value.reveal() if value else "", taken)
        text = value.reveal() if value is not None else use.default
        declared = declare(use, text, wanted)
        named = use.needed or use.name in wanted.named
        fresh = value is None and declared.own and bool(named or use.default or use.passed)
        if fresh:
            value = known.make()
        if value is None and named:
            missing.append(declared)
        default = "" if declared.secret else use.default
        found.append(Line(declared, value, default, made=use.name in wanted.texts, fresh=fresh))
    return found, missing


def strong(value: str) -> bool:
    """Whether the rules would let it pass as a secret."""
    guessable = is_placeholder(value) or is_common(value) or is_walk(value)
    distinct = len(set(value)) >= SECRET_DISTINCT
    return len(value) >= SECRET_LENGTH and distinct and not guessable


def host_ports(survey: Survey) -> tuple[str, ...]:
    """The variables that are a port of this machine and nothing else."""
    written = [port.written for part in survey.parts.values() for port in part.ports]
    names = (only_reference(each) for each in written)
    return tuple(dict.fromkeys(name for name in names if name))


def _in_order(survey: Survey, wanted: Wanted) -> Sequence[Use]:
    """As the compose files name them; what is made of others after them."""
    more = [name for name in (*wanted.named, *wanted.fixed) if name not in survey.uses]
    uses = [*survey.uses.values(), *(Use(name) for name in dict.fromkeys(more))]
    return sorted(uses, key=lambda use: use.name in wanted.texts)


def _value(
    use: Use, wanted: Wanted, known: Known, kind: Kind | None, *, alone: bool
) -> Secret | None:
    """None where nobody has said anything, and a default or a made one has to do."""
    name = use.name
    for source in (known.given, wanted.fixed):
        if name in source:
            return source[name]
    if name in wanted.texts:
        return Secret(wanted.texts[name])
    kept = _kept(name, known.dotenv.get(name), kind, wanted, alone=alone)
    if kept is not None:
        return kept
    if use.needed or name in wanted.named:
        outside = Secret(known.process.get(name, ""))
        if KIND_NAME.fullmatch(name) and kind:
            return Secret(kind)
        if outside and (known.only or not is_secret(name, outside, None)):
            return outside
    if name in wanted.defaults and not use.default:
        return Secret(wanted.defaults[name])
    named = name in (*wanted.named, *wanted.ports) and name not in wanted.secrets
    return Secret(fill(use.default, {})) if use.default and named else None


def _kept(
    name: str, written: Secret | None, kind: Kind | None, wanted: Wanted, *, alone: bool
) -> Secret | None:
    """What `.env` says, where it is fit for this environment."""
    if written is None or name in wanted.ports:
        return written
    value = written.reveal()
    if KIND_NAME.fullmatch(name) and kind and value:
        return Secret(kind)
    if DEBUG.fullmatch(name) and kind == "production" and value in _OFF:
        return Secret(_OFF[value])
    if name.endswith("LOG_LEVEL") and kind == "production" and value.lower() in ("debug", "trace"):
        return Secret("info")
    if name in wanted.secrets:
        in_url = not OF_A_SERVER.search(name.upper()) or _IN_A_URL.fullmatch(value)
        return written if alone and in_url and strong(value) else None
    return written if alone or not value or not is_secret(name, written, None) else None


def _free_port(wanted: str, taken: set[int]) -> Secret:
    port = int(wanted) if wanted.isdigit() and 0 < int(wanted) < 65536 else 8080
    while port in taken:
        port += 1
    taken.add(port)
    return Secret(str(port))
