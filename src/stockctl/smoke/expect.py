"""What an answer must hold, and the first thing of it that does not."""

from __future__ import annotations

import json
import re
from typing import Any

from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.paths import MISSING, find
from stockctl.smoke.template import Value, Values, fill, pattern, text
from stockctl.system.http import BODY_LIMIT_BYTES, Response

LONGEST_VALUE = 80  # characters of one value in a message


class NoJson(Exception):
    """The body is no JSON document; the message says how it is not."""


def document(answer: Response) -> Any:
    """The body as JSON. Raises NoJson."""
    if len(answer.body) >= BODY_LIMIT_BYTES:
        raise NoJson(f"the body is longer than {BODY_LIMIT_BYTES // 1000} kB")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise NoJson(f"the body is no JSON: {error}") from None


def wrong_status(check: SmokeCheck, answer: Response) -> str:
    """What was expected of the status, if it is not that."""
    allowed = {*check.status, *([check.any_status] if check.any_status else [])}
    if answer.status in allowed:
        return ""
    wanted = " or ".join(str(status) for status in sorted(allowed))
    return f"status {wanted}, got {answer.status}"


def wrong_time(check: SmokeCheck, answer: Response) -> str:
    """The same for the time it took."""
    if check.max_time is None or answer.duration_s <= check.max_time:
        return ""
    return f"an answer within {check.max_time:g} s, got it after {answer.duration_s:.3f} s"


def wrong_content(check: SmokeCheck, answer: Response, values: Values) -> str:
    """The same for headers and body."""
    for name, expected in check.expect_headers.items():
        came: Any = answer.headers.get(name.lower(), MISSING)
        wrong = mismatch(came, fill(expected, values))
        if wrong:
            return f"header {name}: {wrong}"
    if check.contains is not None:
        wanted = text(check.contains, values)
        if wanted not in answer.text():
            return f"{wanted!r} in the body, it is not there"
    if check.matches is not None:
        wanted = pattern(check.matches, values)
        if not re.search(wanted, answer.text()):
            return f"a body that matches {wanted}, it does not"
    return _wrong_json(check, answer, values) if check.expect_json else ""


def _wrong_json(check: SmokeCheck, answer: Response, values: Values) -> str:
    try:
        body = document(answer)
    except NoJson as no_json:
        return f"a JSON body; {no_json}"
    for path, expected in check.expect_json.items():
        wrong = mismatch(find(body, text(path, values)), fill(expected, values))
        if wrong:
            return f"{path}: {wrong}"
    return ""


def mismatch(came: Any, expected: Any) -> str:
    """`50, got 20`, or nothing where `came` is as expected."""
    rules = expected if isinstance(expected, dict) else {"equals": expected}
    for operator, wanted in rules.items():
        if operator == "exists":
            if (came is not MISSING) != bool(wanted):
                return "to be there, it is not" if wanted else f"not to be there, got {_said(came)}"
        elif came is MISSING:
            return f"{_wanted(operator, wanted)}, it is missing"
        elif not _holds(operator, came, wanted):
            return f"{_wanted(operator, wanted)}, got {_said(came)}"
    return ""


def _holds(operator: str, came: Any, wanted: Any) -> bool:
    match operator:
        case "equals":
            return (type(came) is type(wanted) and came == wanted) or _same_number(came, wanted)
        case "matches":
            return isinstance(came, str) and re.search(str(wanted), came) is not None
        case "type":
            return _is_type(came, str(wanted))
        case "min":
            return _number(came) and came >= wanted
        case "max":
            return _number(came) and came <= wanted
    return isinstance(came, str | list | dict) and len(came) == wanted  # length


def _same_number(came: Any, wanted: Any) -> bool:
    """1 and 1.0; but `true` is no number."""
    return _number(came) and _number(wanted) and came == wanted


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_type(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        return _number(value) and (name == "number" or isinstance(value, int))
    kinds = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
    return isinstance(value, kinds[name])


def _wanted(operator: str, wanted: Any) -> str:
    said = {
        "matches": "to match ",
        "type": "of type ",
        "min": "at least ",
        "max": "at most ",
        "length": "of length ",
    }
    return said.get(operator, "") + (
        str(wanted) if operator in ("matches", "type") else _said(wanted)
    )


def _said(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return shown if len(shown) <= LONGEST_VALUE else shown[:LONGEST_VALUE] + "…"


def captured(check: SmokeCheck, answer: Response) -> tuple[dict[str, Value], str]:
    """The values that others wait for, and what was expected where one is not there."""
    values: dict[str, Value] = {}
    for name, source in check.capture.items():
        kind, _, where = source.partition(":")
        found = _source(kind, where, answer)
        if found is MISSING or isinstance(found, dict | list):
            return values, f"to capture {name} from {kind} {where}, it is not there"
        values[name] = found
    return values, ""


def _source(kind: str, where: str, answer: Response) -> Any:
    if kind == "header":
        return answer.headers.get(where.lower(), MISSING)
    if kind == "body":
        found = re.search(where, answer.text())
        return (found[1] if found.re.groups else found[0]) if found else MISSING
    try:
        return find(document(answer), where)
    except NoJson:
        return MISSING
