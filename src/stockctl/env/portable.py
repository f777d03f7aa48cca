"""Where python-dotenv and Compose read one statement of an env file differently.

Compose has a parser of its own (`dotenv` and `template` of github.com/compose-spec/compose-go),
also for `env_file:` of a service. What stands here was found by giving both statements made at
random; tests/contract/test_env_file_readers.py goes on doing so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

FIX = (
    "Put the value in single quotes. One with a ' or a ${NAME} in it goes in double quotes, where "
    'both know \\n \\r \\t \\" \\\\ ${NAME} and ${NAME:-plain text}.'
)

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BLANK = r"[ \t\v\f\x85\xa0]*"  # what Compose skips around a key; python-dotenv skips all of \s
_STATEMENT = re.compile(
    rf"(?:export[ \t\f]{_BLANK})?{_NAME}{_BLANK}={_BLANK}"
    r"(?:\"(?P<double>(?:\\.|[^\"\\])*)\"|'(?P<single>(?:\\.|[^'\\])*)'|(?P<plain>(?![\"']).*))",
    re.DOTALL,
)
_PLAIN_COMMENT = re.compile(r" #.*")
# Compose's default does not end at the first } when there is a { in it, nor at the end of a line
_REFERENCE = re.compile(rf"\$\{{(?P<name>{_NAME})(?::-(?P<default>[^${{}}\\\n]*))?\}}")
_ESCAPE = r"(?<!\\)(?:\\\\)*\\"  # a backslash that is not itself escaped

# Part of the statement (see _parts), what is found in it, why that matters; the first one counts.
# `re` compiles each, and remembers it, when there is such a part.
REASONS = (
    ("all", r"\r", "python-dotenv ends the line at a carriage return, Compose does not"),
    ("bare", r"[\x1c-\x1f]", "a control character is white space to python-dotenv only"),
    ("bare", r"\A[^=]*=\s+#", "# after = and a space is a comment to python-dotenv only"),
    ("plain", r"\A\s", "python-dotenv drops white space after = that Compose keeps"),
    (
        "plain",
        r"\A(?:(?! #).)*[^\S ]#",
        "this white space before # begins a comment to python-dotenv, to Compose a space does",
    ),
    ("single", r"\\\\", "python-dotenv makes one of two backslashes in '', Compose keeps both"),
    (
        "single",
        r"\$\{[^}:]*(?::-[^}]*)?\}",
        "python-dotenv replaces ${NAME} in single quotes, too, Compose keeps it",
    ),
    ("double", _ESCAPE + r"\$", "Compose reads \\$ as $, python-dotenv keeps the backslash"),
    ("double", _ESCAPE + "'", "python-dotenv reads \\' as ', Compose keeps the backslash"),
    ("double", _ESCAPE + "0", "Compose reads \\0 as an octal number, python-dotenv keeps it"),
    ("filled", r"\$\$", "Compose reads $$ as one $, python-dotenv keeps both"),
    (
        "filled",
        rf"(?!{_REFERENCE.pattern})\$\{{",
        "behind ${ they agree on ${NAME} and ${NAME:-plain text} only",
    ),
    # Go folds case: the long s and the Kelvin sign are letters of a name to Compose
    (
        "filled",
        r"\$[A-Za-z_\u017f\u212a]",
        "Compose expands $NAME without braces, python-dotenv keeps it",
    ),
)


def differs(written: str, known: Mapping[str, str], keys: Collection[str] = ()) -> str | None:
    """Why the two readers differ about the statement, in words without the value; None: they agree.

    `known` are the variables with a value before the statement, `keys` those that the file sets
    anywhere: for a service's `env_file:` Compose looks names up in the project's env file first,
    all of it, and that is often the same file.
    """
    statement = _STATEMENT.match(written)
    if statement is None:
        return "Compose refuses quotes around a key, and unusual white space before ="
    parts = _parts(written, statement)
    for part, pattern, reason in REASONS:
        if part in parts and re.search(pattern, parts[part]):
            return reason
    for reference in _REFERENCE.finditer(parts.get("filled", "")):
        name, default = reference["name"], reference["default"]
        if default and known.get(name) == "":
            return f"{name} is empty: Compose takes the default behind :-, python-dotenv does not"
        if default is not None and name not in known and name in keys:
            return f"{name} has no value yet: python-dotenv takes the default, env_file: may not"
    return None


def _parts(written: str, statement: re.Match[str]) -> dict[str, str]:
    """`all` of it, the text outside quotes (`bare`), the value by its quotes, and the value as it
    is before `${...}` is filled in."""
    kind = statement.lastgroup or "plain"
    value = statement[kind]
    parts = {"all": written, kind: value}
    if kind == "plain":
        return parts | {"bare": written, "filled": _PLAIN_COMMENT.sub("", value, count=1)}
    begin, end = statement.span(kind)
    parts["bare"] = written[:begin] + written[end:]
    return parts | ({"filled": value} if kind == "double" else {})
