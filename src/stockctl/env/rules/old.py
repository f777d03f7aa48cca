"""One rule, one function: what an env file must hold for its environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env.dotenv import EnvFile
from stockctl.env.load import Loaded
from stockctl.env.model import Variable

SECRET_LENGTH = 32  # characters; 32 hex digits are 128 bits
FEWEST_DISTINCT = 10
_PLACEHOLDER = re.compile(
    r"change.?me|replace.?me|placeholder|example|your[-_ ]|dummy|todo|xxxx|<[^>]*>"
    r"|(?:^|[^a-z])(?:test|dev|secret|default|sample)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

Rule = Callable[[Loaded, EnvFile], Iterator[Finding]]


def required_variables(loaded: Loaded, env: EnvFile) -> Iterator[Finding]:
    """E003, E004: a required variable is missing, or set to nothing."""
    values = env.values()
    for name, variable in loaded.environment.variables.items():
        if not variable.required:
            continue
        if name not in values:
            yield _error("E003", Where(env.label), f"{name} is required and not set")
        elif not values[name]:
            yield _error("E004", env.where(name), f"{name} is required and empty")


def typed_values(loaded: Loaded, env: EnvFile) -> Iterator[Finding]:
    """E005: a value is not of its declared type, or not one of the allowed ones."""
    for name, variable, value in _declared(loaded, env):
        expected = _expected(variable, value)
        if expected:
            yield _error("E005", env.where(name), f"{name}: expected {expected}")


def secret_strength(loaded: Loaded, env: EnvFile) -> Iterator[Finding]:
    """E010, E012: a secret is too short, or made of too few different characters."""
    for name, variable, value in _declared(loaded, env):
        shortest = variable.min_length or (SECRET_LENGTH if variable.type == "secret" else 0)
        if len(value) < shortest:
            message = f"{name} has {len(value)} characters, at least {shortest} are needed"
            yield _error("E010", env.where(name), message, "openssl rand -hex 32")
        elif variable.type == "secret" and len(set(value.reveal())) < FEWEST_DISTINCT:
            message = f"{name} is made of fewer than {FEWEST_DISTINCT} different characters"
            yield _error("E012", env.where(name), message, "openssl rand -hex 32")


def placeholders(loaded: Loaded, env: EnvFile) -> Iterator[Finding]:
    """E014: a secret looks like a placeholder or a test value."""
    for name, variable, value in _declared(loaded, env):
        if variable.type == "secret" and _PLACEHOLDER.search(value.reveal()):
            message = f"{name} looks like a placeholder"
            yield _error("E014", env.where(name), message, "openssl rand -hex 32")


def distinct_secrets(loaded: Loaded, env: EnvFile) -> Iterator[Finding]:
    """E015: two secrets of one environment have the same value."""
    seen: dict[Secret, str] = {}
    for name, variable, value in _declared(loaded, env):
        if variable.type != "secret":
            continue
        if value in seen:
            yield _error("E015", env.where(name), f"{name} has the same value as {seen[value]}")
        seen.setdefault(value, name)


def file_mode(_loaded: Loaded, env: EnvFile) -> Iterator[Finding]:
    """E020: others on this machine can read the env file."""
    mode = env.path.stat().st_mode & 0o777
    if mode & 0o077:
        fix = f"chmod 600 {env.label}"
        yield _error("E020", Where(env.label), f"has mode {mode:04o}, 0600 is needed", fix)


RULES: tuple[Rule, ...] = (
    required_variables,
    typed_values,
    secret_strength,
    placeholders,
    distinct_secrets,
    file_mode,
)


def shared_secrets(all_loaded: list[Loaded]) -> Iterator[tuple[str, Finding]]:
    """E016: an environment has a secret of another one; with the later one's name."""
    seen: dict[Secret, tuple[str, str]] = {}
    for loaded in all_loaded:
        env = loaded.env_file
        for name, variable, value in _declared(loaded, env) if env else ():
            if variable.type != "secret":
                continue
            other = seen.setdefault(value, (loaded.environment.name, name))
            if env and other[0] != loaded.environment.name:
                message = f"{name} is the same as {other[1]} of {other[0]}"
                finding = _error("E016", env.where(name), message, "openssl rand -hex 32")
                yield loaded.environment.name, finding


def shared_databases(all_loaded: list[Loaded]) -> Iterator[tuple[str, Finding]]:
    """E017: two environments point at one database; with the later one's name."""
    seen: dict[tuple[str | None, int, str], str] = {}
    for loaded in all_loaded:
        database = loaded.environment.database
        if database is None or database.url is None:
            continue
        parts = urlsplit(database.url.reveal())
        try:
            place = (parts.hostname, parts.port or 5432, parts.path)
        except ValueError:
            continue  # reported by whoever connects
        other = seen.setdefault(place, loaded.environment.name)
        if other != loaded.environment.name:
            where, name = loaded.layers.where(("database", "url")), loaded.environment.name
            message = f"database.url of {name} points at the database of {other}"
            yield name, _error("E017", where, message)


def shared_directories(all_loaded: list[Loaded]) -> Iterator[tuple[str, Finding]]:
    """E018: two environments keep their releases and their lock in one folder; with the later
    one's name."""
    seen: dict[Path, str] = {}
    for loaded in all_loaded:
        name, folder = loaded.environment.name, loaded.environment.host.directory
        other = seen.setdefault(folder, name)
        if other != name:
            where = loaded.layers.where(("host", "directory"))
            yield name, _error("E018", where, f"host.directory is also that of {other}")


def _declared(loaded: Loaded, env: EnvFile) -> Iterator[tuple[str, Variable, Secret]]:
    """The declared variables that have a value."""
    for name, value in env.values().items():
        variable = loaded.environment.variables.get(name)
        if variable is not None and value:
            yield name, variable, value


def _expected(variable: Variable, secret: Secret) -> str | None:
    """What was expected, or None when the value is fine. Never the value itself."""
    value = secret.reveal()
    if variable.allowed and value not in variable.allowed:
        return f"one of {', '.join(variable.allowed)}"
    match variable.type:
        case "int":
            return None if re.fullmatch(r"-?[0-9]+", value) else "a whole number"
        case "port":
            good = bool(re.fullmatch(r"0*[1-9][0-9]{0,4}", value)) and int(value) < 65536
            return None if good else "a port, 1 to 65535"
        case "bool":
            return None if value.lower() in ("true", "false", "1", "0") else "true or false"
        case "email":
            return None if _EMAIL.fullmatch(value) else "an e-mail address"
        case "url":
            return None if _is_url(value, ("http", "https")) else "a URL, http:// or https://"
        case "postgres_url":
            good = _is_url(value, ("postgres", "postgresql"))
            return None if good else "postgresql://user:password@host:port/database"
        case "origins":
            good = all(_is_origin(origin.strip()) for origin in value.split(","))
            return None if good else "a comma-separated list of origins like https://example.com"
    return None


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_origin(value: str) -> bool:
    if not _is_url(value, ("http", "https")):
        return False
    parts = urlsplit(value)
    return parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)


def _error(code: str, where: Where | None, message: str, fix: str = "") -> Finding:
    return Finding(code, Severity.ERROR, message, where, fix)
