"""`[[smoke]]`: a request to the running service and what must come back.

What a check captures, others use as `{name}`: so one waits for the other, and the rest goes out in
parallel. A name that nobody captures is found here, before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import Field, StrictBool, field_validator, model_validator

from stockctl.env.types import Duration, Number, Table

# `{{name}}` stands for the text `{name}`; a brace in JSON or in a pattern is no placeholder.
PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}|\{([a-z][a-z0-9_]*)\}")
BUILT_IN = frozenset({"run", "n"})
OPERATORS = frozenset({"equals", "matches", "type", "min", "max", "length", "exists"})
JSON_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
SOURCES = ("json:", "header:", "body:")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class SmokeCheck(Table):
    """A request to the running service and what must come back. [Smoke](smoke.md) has examples."""

    name: str = Field(min_length=1, description="What a person calls it.")
    suite: str = Field("default", min_length=1, description="`smoke --suite NAME` runs only these.")
    tags: tuple[str, ...] = Field((), description="`smoke --tag NAME` runs only those with it.")
    critical: StrictBool = Field(
        True, description="`false`: its failure is reported and fails nothing."
    )
    after: tuple[str, ...] = Field(
        (), description="Checks that are over before this one is sent. Captures need no `after`."
    )
    cleanup: StrictBool = Field(
        False,
        description="Sent at the end, also after failures, if what it needs was captured.",
    )
    method: str = Field("GET", pattern=r"^[A-Z]+$", description="The HTTP method.")
    path: str = Field(
        pattern=r"^/",
        description="Appended to `service.url`. In all texts of a check `{run}` is an id that is"
        " new each time, `{n}` the number of the repetition, `{name}` what another one captured.",
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Sent with the request.")
    json_body: Any | None = Field(None, alias="json", description="Sent as JSON.")
    form: dict[str, str] | None = Field(None, description="Sent as a form.")
    status: tuple[Number, ...] = Field(
        (200,), min_length=1, description="Each answer must have one of these."
    )
    any_status: Number | None = Field(
        None,
        description="At least one answer must have this, and what is expected of body and headers"
        " is expected of those that have it.",
    )
    skip_status: tuple[Number, ...] = Field(
        (), description="Answers that say nothing: the check counts as skipped, not as passed."
    )
    expect_json: dict[str, Any] = Field(
        default_factory=dict,
        description='What the body holds: `{ "data[0].id" = 7 }`, or a table of `equals`,'
        " `matches`, `type`, `min`, `max`, `length`, `exists`.",
    )
    expect_headers: dict[str, Any] = Field(
        default_factory=dict,
        description="Headers that must come back: the value, or a table as in `expect_json`.",
    )
    contains: str | None = Field(None, description="Text that the body must hold.")
    matches: str | None = Field(None, description="A regular expression found in the body.")
    capture: dict[str, str] = Field(
        default_factory=dict,
        description='Values for other checks: `{ token = "json:token" }`, `"header:Location"`, or'
        ' `"body:REGEX"` (its first group).',
    )
    repeat: Number = Field(1, ge=1, le=1000, description="How many times it is sent.")
    parallel: Number = Field(20, ge=1, le=100, description="How many of these at once.")
    retries: Number = Field(0, ge=0, le=100, description="How often a failed one is sent again.")
    retry_delay: Duration = Field(1.0, description="The pause before each retry.")
    max_time: Duration | None = Field(None, description="A slower answer is a failure.")
    timeout: Duration = Field(10.0, description="For each answer; then it is given up.")

    @field_validator("expect_json", "expect_headers")
    @classmethod
    def _known_operators(cls, value: dict[str, Any]) -> dict[str, Any]:
        for path, expected in value.items():
            if isinstance(expected, dict):
                _check_operators(path, expected)
        return value

    @field_validator("matches")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is not None:
            _check_pattern(value)
        return value

    @field_validator("capture")
    @classmethod
    def _sources(cls, value: dict[str, str]) -> dict[str, str]:
        for name, source in value.items():
            if not _NAME.fullmatch(name) or name in BUILT_IN:
                raise ValueError(f'"{name}" cannot be captured: a name like "token"')
            if not source.startswith(SOURCES):
                raise ValueError(f'{name}: expected "json:PATH", "header:NAME" or "body:REGEX"')
            if source.startswith("body:"):
                _check_pattern(source.removeprefix("body:"))
        return value

    @model_validator(mode="after")
    def _one_body(self) -> SmokeCheck:
        if self.json_body is not None and self.form is not None:
            raise ValueError("json and form: a request has one body")
        return self

    def uses(self) -> set[str]:
        """Every name in a `{name}` of it, but for the built-in ones."""
        texts = (self.path, self.headers, self.json_body, self.form, self.contains)
        expected = (self.expect_json, self.expect_headers, self.matches)
        return set(_placeholders((*texts, *expected))) - BUILT_IN


def _check_operators(path: str, expected: dict[str, Any]) -> None:
    unknown = next((key for key in expected if key not in OPERATORS), None)
    if unknown is not None or not expected:
        known = ", ".join(sorted(OPERATORS))
        raise ValueError(
            f'{path}: "{unknown or ""}" is none of {known}; a path with dots is quoted,'
            f' "{path}.{unknown or "key"}"'
        )
    if "matches" in expected:
        _check_pattern(str(expected["matches"]))
    if expected.get("type", "string") not in JSON_TYPES:
        raise ValueError(f"{path}: type is one of {', '.join(JSON_TYPES)}")


def _check_pattern(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def _placeholders(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield from (found[2] for found in PLACEHOLDER.finditer(value) if found[2])
    elif isinstance(value, dict):
        for item in value.values():
            yield from _placeholders(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _placeholders(item)


def sound(checks: Sequence[SmokeCheck]) -> None:
    """Raises ValueError where the checks do not fit together: a name twice, a `{name}` that nobody
    captures, an `after` without its check, two that wait for one another."""
    names = [check.name for check in checks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f'two checks are called "{twice}"')
    captured = [name for check in checks for name in check.capture]
    for check in checks:
        for used in sorted(check.uses() - set(captured)):
            known = get_close_matches(used, [*captured, *BUILT_IN], 1)
            hint = f" Did you mean {{{known[0]}}}?" if known else f" As text: {{{{{used}}}}}."
            raise ValueError(f'"{check.name}": nothing captures {{{used}}}.{hint}')
        for other in check.after:
            if other not in names:
                raise ValueError(f'"{check.name}": after names "{other}", which is no check')
    _no_circle(checks)


def prerequisites(checks: Sequence[SmokeCheck]) -> dict[str, frozenset[str]]:
    """For each check those that must be over before it: by captures, by `after`, by `cleanup`."""
    makers: dict[str, set[str]] = {}
    for check in checks:
        for name in check.capture:
            makers.setdefault(name, set()).add(check.name)
    found: dict[str, frozenset[str]] = {}
    for check in checks:
        needs = {maker for used in check.uses() for maker in makers.get(used, ())}
        if check.cleanup:
            needs |= {other.name for other in checks if not other.cleanup}
        found[check.name] = frozenset(needs | set(check.after)) - {check.name}
    return found


def _no_circle(checks: Sequence[SmokeCheck]) -> None:
    left = prerequisites(checks)
    while left:
        free = {name for name, needs in left.items() if not needs & left.keys()}
        if not free:
            raise ValueError(f"these wait for one another: {', '.join(sorted(left))}")
        left = {name: needs for name, needs in left.items() if name not in free}
