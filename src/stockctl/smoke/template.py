"""`{run}`, `{n}` and captured values in what is sent and expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from stockctl.env.smoke_check import PLACEHOLDER

Value = str | int | float | bool | None
Values = Mapping[str, Value]


def text(template: str, values: Values) -> str:
    """Every `{name}` that has a value replaced; `{{name}}` becomes `{name}`."""
    return _replaced(template, values, lambda value: value)


def path(template: str, values: Values) -> str:
    """The same, with what would end a segment of a path escaped."""
    return _replaced(template, values, lambda value: quote(value, safe=""))


def pattern(template: str, values: Values) -> str:
    """The same in a regular expression: a value stands for itself."""
    return _replaced(template, values, re.escape)


def fill(value: Any, values: Values) -> Any:
    """The same in every text of a JSON value. A text that is one placeholder keeps its type."""
    if isinstance(value, str):
        whole = PLACEHOLDER.fullmatch(value)
        if whole and whole[2] in values:
            return values[whole[2]]
        return text(value, values)
    if isinstance(value, dict):
        return {key: fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, values) for item in value]
    return value


def written(value: Value) -> str:
    """As it stands in a text: `true` and `null` are those of JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _replaced(template: str, values: Values, escape: Any) -> str:
    def replacement(found: re.Match[str]) -> str:
        if found[1]:
            return "{" + found[1] + "}"
        return escape(written(values[found[2]])) if found[2] in values else found[0]

    return PLACEHOLDER.sub(replacement, template)
