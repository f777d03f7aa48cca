"""Is the environment what it says it is?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.env.rules.base import Subject, found, prod, rule

_SWITCH = re.compile(r"(?:.*_)?DEBUG(?:_MODE|_ENABLED)?|(?:.*_)?ENABLE_DEBUG")
_MODE = re.compile(r"(?:GIN|APP|RUN|SERVER|FLASK)_?MODE")
_LEVEL = re.compile(r"(?:.*_)?LOG_?LEVEL(?:_.*)?|RUST_LOG|LOGLEVEL|VERBOSITY")
_OFF = frozenset(("", "0", "false", "no", "off", "none", "disabled"))
_LOUD = re.compile(r"(?:debug|trace|silly|verbose|all|\d*debug\d*)", re.IGNORECASE)
_NAMES_KIND = re.compile(
    r"(?:NODE|APP|RAILS|RACK|FLASK|DJANGO|MIX|GO|DEPLOY|SENTRY|ASPNETCORE|DOTNET|SYMFONY|CI)_"
    r"ENV(?:IRONMENT)?|ENV|ENVIRONMENT|STAGE|SPRING_PROFILES_ACTIVE|QUARKUS_PROFILE"
)
_KINDS = {
    **dict.fromkeys(("production", "prod", "live"), "production"),
    **dict.fromkeys(("staging", "stage", "stg"), "staging"),
    **dict.fromkeys(("development", "dev", "local"), "development"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@rule("E028", Severity.ERROR, bad=prod("DEBUG=true\n"), good=prod("DEBUG=false\n"))
def debug_in_production(subject: Subject) -> Iterator[Finding]:
    """Debugging is switched on in production, by a switch or by the log level.

    Debug pages and logs show what visitors and readers of logs must not see.
    """
    for binding in subject.bound.values() if subject.production else ():
        value = binding.value.reveal().strip().lower()
        switch = _SWITCH.fullmatch(binding.key) and value not in _OFF
        level = _LEVEL.fullmatch(binding.key) or _MODE.fullmatch(binding.key)
        level = level and _LOUD.fullmatch(value)
        if switch or level:
            yield found("E028", binding.where, f"{binding.key} switches debugging on in production")


@rule("E029", Severity.ERROR, bad=prod("NODE_ENV=staging\n"), good=prod("NODE_ENV=production\n"))
def kind_contradicts(subject: Subject) -> Iterator[Finding]:
    """NODE_ENV, or its like in another framework, contradicts the environment.

    Frameworks decide by it whether to show errors, send mails, cache. Where the service wants
    another word, `allowed` of the variable says so.
    """
    kind = subject.environment.kind
    for binding in subject.bound.values() if kind else ():
        if not _NAMES_KIND.fullmatch(binding.key):
            continue
        words = binding.value.reveal().strip().lower().split(",")
        named = next((_KINDS[word] for word in words if _KINDS.get(word, kind) != kind), None)
        if named in (None, kind):
            continue
        variable = subject.environment.variables.get(binding.key)
        allowed = variable.allowed if variable else ()
        wanted = binding.value.reveal() in allowed and kind not in map(_KINDS.get, allowed)
        if not wanted:
            message = f"{binding.key} says {named}, and this is {kind}"
            value = binding.value.reveal().strip()
            fix = f'If the service wants it: [variables.{binding.key}] allowed = ["{named}"]'
            yield found("E029", binding.where, message, fix if named == value else "")
