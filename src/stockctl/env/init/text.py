"""The files of `env init`, as a colleague would write them by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.errors import UsageError
from stockctl.core.secret import MASK, Secret
from stockctl.env.dotenv import parse_env_file
from stockctl.env.init.database import ADDED, PORT, DatabaseSetup
from stockctl.env.init.setup import Setup
from stockctl.env.init.values import Declared, Line
from stockctl.env.portable import differs
from stockctl.env.variable import kind_of

IGNORED = (".env.*", "!.env.*.example")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~^&?!*()\[\]-]*")
_MADE = re.compile(r"(?:[A-Za-z0-9_./:@%+,=~^&?!*()\[\]-]|\$\{[A-Za-z_][A-Za-z0-9_]*\})*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class NewFile:
    """One file below `environments/`. `shown` is its text for a person: without secrets."""

    name: str
    text: Secret
    shown: str
    mode: int = 0o644


def base_file(setup: Setup, declared: Iterable[Declared]) -> NewFile:
    """`base.toml`: what the environments share."""
    parts = [_HEAD, _service(setup), _database(setup), _SMOKE.format(health=quoted(setup.health))]
    rules = [_variable(each) for each in declared]
    parts += [_RULES, *rules] if rules else []
    return _public("base.toml", "\n".join(part for part in parts if part))


def environment_file(name: str) -> NewFile:
    """`NAME.toml`."""
    rows = [("extends", quoted("base"), ""), ("env_file", quoted(f".env.{name}"), "")]
    if kind_of(name) != "production":
        return _public(f"{name}.toml", _aligned(rows))
    rows.append(("protected", "true", "ask for the name before anything destructive"))
    return _public(f"{name}.toml", f"{_aligned(rows)}\n{_WATCH}")


def env_files(name: str, lines: Sequence[Line]) -> list[NewFile]:
    """`.env.NAME`, and the example that is committed."""
    head = f"# {name}: never committed. `stockctl env validate {name}` says whether it is sound.\n"
    written = [(line, _env_line(line)) for line in lines]
    text = head + "".join(each for _, each in written)
    hidden = ((line, f"{line.declared.name}={MASK}\n" if hides(line) else t) for line, t in written)
    shown = head + "".join(each for _, each in hidden)
    example = f"# Copy to .env.{name} (mode 0600, never committed) and fill in.\n"
    for line, each in written:
        empty = f"{'# ' * (line.value is None)}{line.declared.name}=\n"
        example += empty if hides(line) or (line.declared.secret and not line.made) else each
    return [
        NewFile(f".env.{name}", Secret(text), shown, 0o600),
        _public(f".env.{name}.example", example),
    ]


def added_file(database: DatabaseSetup) -> NewFile:
    """The compose file that publishes the database."""
    port = f"127.0.0.1:${{{database.added}:?}}:{PORT}"
    return _public(ADDED, _ADDED.format(service=_yaml(database.service), port=port))


def ignore_lines(there: str) -> str:
    """What a `.gitignore` lacks."""
    lines = there.splitlines()
    missing = [each for each in IGNORED if each not in lines]
    if not missing:
        return ""
    apart = "\n" if there and not there.endswith("\n") else ""
    return apart + "# values that are never committed\n" + "".join(f"{m}\n" for m in missing)


def quoted(text: str) -> str:
    """A basic string of TOML (https://toml.io/en/v1.0.0#string); not quite one of JSON."""
    return '"' + "".join(_ESCAPES.get(each) or _character(each) for each in text) + '"'


def _character(each: str) -> str:
    return f"\\u{ord(each):04X}" if ord(each) < 0x20 or ord(each) == 0x7F else each


_HEAD = """\
# What the environments share. Written by `stockctl env init`; from here on it is yours.
# `stockctl env show ENV` tells what comes of it, `stockctl env schema` which keys there are.
"""
_RULES = "# ------------------------------------------------- rules for the env files\n"
_SMOKE = """\
[[smoke]]
name = "health"
path = {health}
"""
_WATCH = """\
[watch]
after_deploy = true  # `deploy` goes on for half an hour, and rolls back by itself
"""
_ADDED = """\
# stockctl runs beside Docker and needs a door to the database: on this machine only.
services:
  {service}:
    ports: ["{port}"]
"""


def _service(setup: Setup) -> str:
    rows = [
        ("name", quoted(setup.name), "the compose project is <name>-<environment>"),
        ("compose", _list(setup.compose), ""),
        ("release", _list(setup.release), "what a deploy replaces; the rest is left alone"),
        ("web", quoted(setup.web), "the one that takes requests"),
        ("port", str(setup.port), "inside its container"),
        ("image", quoted(setup.image), "without a tag: the tag is the version"),
        ("build", quoted(setup.build or ""), ""),
        ("url", quoted(setup.url), ""),
        ("health", quoted(setup.health), "answers 200 when it is well"),
    ]
    return "[service]\n" + _aligned(row for row in rows if row[0] != "build" or setup.build)


def _database(setup: Setup) -> str:
    if not setup.database_url:
        return ""
    rows = [("url", quoted(setup.database_url), "")]
    if setup.database:
        service = quoted(setup.database.service)
        rows.append(("service", service, "pg_dump and pg_restore run in there"))
    if setup.migrations:
        rows.append(("migrations", quoted(setup.migrations), ""))
    return "[database]\n" + _aligned(rows)


def _variable(declared: Declared) -> str:
    rows = []
    if declared.type != "string":
        rows.append(("type", quoted(declared.type), ""))
    if declared.secret and declared.type not in ("secret", "postgres_url"):
        rows.append(("secret", "true", ""))
    if declared.required:
        rows.append(("required", "true", ""))
    if declared.description:
        rows.append(("description", quoted(declared.description), ""))
    return f"[variables.{declared.name}]\n" + _aligned(rows)


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, values))}]"


def _aligned(rows: Iterable[tuple[str, str, str]]) -> str:
    """Keys and comments in columns."""
    rows = list(rows)
    wide = max((len(key) for key, _, _ in rows), default=0)
    to = max((len(value) for _, value, said in rows if said), default=0)
    lines = []
    for key, value, said in rows:
        line = f"{key:<{wide}} = {value}"
        comment = f"{'':<{to - len(value)}}  # {said}" if said else ""
        lines.append(line + (comment if len(line + comment) <= _WIDTH else ""))
    return "".join(f"{line}\n" for line in lines)


def _env_line(line: Line) -> str:
    name = line.declared.name
    if line.value is None:
        shown = "" if "\n" in line.default else line.default.strip()
        return f"# {name}={shown}\n"
    value = line.value.reveal()
    if line.made and _MADE.fullmatch(value):
        return f"{name}={value}\n"
    double = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    for written in (value, f"'{value}'", f'"{double}"'):
        if (written != value or _PLAIN.fullmatch(value)) and _reads_as(name, written, value):
            return f"{name}={written}\n"
    raise UsageError(
        f"{name}: its value cannot be written so that Compose and python-dotenv read the same",
        hint="Give it another one, without $ or quotes.",
    )


def _reads_as(name: str, written: str, value: str) -> bool:
    statement = f"{name}={written}"
    read = parse_env_file(Path(), "", statement.encode(), {})
    same = [(each.key, each.value.reveal()) for each in read.bindings] == [(name, value)]
    return same and not read.broken and differs(statement, {}) is None


def hides(line: Line) -> bool:
    """Whether its value is for the env file alone; one made of `${X}` shows nothing."""
    return line.value is not None and line.declared.secret and not line.made


def _yaml(name: str) -> str:
    """A service's name is letters, digits, `.`, `_` and `-`; one of digits alone wants quotes."""
    return (
        name
        if re.match(r"[A-Za-z]", name) and name not in ("on", "off", "yes", "no")
        else f'"{name}"'
    )


def _public(name: str, text: str) -> NewFile:
    return NewFile(name, Secret(text), text)
