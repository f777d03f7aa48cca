"""The line that a finding is about, with what may be a secret in it masked."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stockctl.core.report import Finding
from stockctl.core.secret import MASK

_DIRECTIVE = re.compile(r"\s*#\s*stockctl: ignore(?:-file)?(?:[ ,]+[A-Z][0-9]{3})*(?:\s+--.*)?\s*")
_ASSIGNED = re.compile(r"(\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=).*", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={1,2}")
_STRING = re.compile(r"(\"\"\"|'''|[\"'])(?P<inside>(?:\\.|(?!\1).)*)(?:\1|$)")
_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<more>[^}]*)\}")
_YAML = re.compile(r"(?P<key>\s*(?:-\s+)?(?:[\w.-]+:(?:\s|$)|-\s))(?P<value>.*)")
# keys of a TOML file that hold names and times
_OPEN = """
extends stage env_file name compose release web health build directory service migrations strategy
type path method within lock_timeout statement_timeout health_timeout stop_timeout timeout
"""
_OPEN_KEYS = frozenset(_OPEN.split())
_NO_SECRETS = ("E034", "E035")  # an image, a port


def quote(finding: Finding, lines: Mapping[str, list[str]]) -> str:
    """One line; `lines` by the file's label. Empty where there is nothing to show."""
    where = finding.where
    if where is None or where.line is None or where.line > len(lines.get(where.file, ())):
        return ""
    line = lines[where.file][where.line - 1].strip("\ufeff\r")
    if not line.strip() or _DIRECTIVE.fullmatch(line):
        return line.rstrip()
    if where.file.endswith(".toml"):
        return _toml(line)
    if where.file.endswith((".yaml", ".yml")):
        return line if finding.code in _NO_SECRETS else _yaml(line)
    assigned = _ASSIGNED.fullmatch(line) if not _BASE64.fullmatch(line) else None
    return f"{assigned[1]}{MASK}" if assigned else MASK


def _toml(line: str) -> str:
    """Strings masked but for the `${NAME}` in them, and for those that are names by their key."""
    key, equals, value = line.partition("=")
    if key.strip() in _OPEN_KEYS:
        return line
    if not equals:
        return line if line.lstrip().startswith("[") else MASK
    return key + equals + _STRING.sub(lambda s: f"{s[1]}{_masked(s['inside'])}{s[1]}", value)


def _yaml(line: str) -> str:
    found = _YAML.fullmatch(line)
    return f"{found['key']}{_masked(found['value'])}" if found else MASK


def _masked(text: str) -> str:
    """`a${X}b${Y:-c}` as `***${X}***${Y…}`."""
    shown, done = "", 0
    for reference in _REFERENCE.finditer(text):
        shown += MASK if reference.start() > done else ""
        shown += f"${{{reference['name']}{'…' if reference['more'] else ''}}}"
        done = reference.end()
    return shown + (MASK if done < len(text) else "")
