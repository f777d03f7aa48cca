"""Which values are secrets: as declared, else by type, name and shape."""

from __future__ import annotations

import re

from stockctl.core.secret import Secret
from stockctl.env.variable import Variable

_NAME = re.compile(
    r"SECRET|PASS|PWD|(?:^|_)PW(?:_|$)|TOKEN|KEY|DSN|CREDENTIAL|PRIVATE|SALT|AUTH|WEBHOOK|COOKIE"
    r"|SESSION|SIGN|CERT|CONNECTION_?STRING|DATABASE_URL",
    re.I,
)
_HARMLESS = frozenset(("int", "port", "bool", "duration", "email", "origins"))
_LONGEST_WORD = 20  # a stretch of letters and digits that is longer may be a key
_URL_WITH_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s]+)@")


def is_secret(name: str, value: Secret, variable: Variable | None) -> bool:
    """True for what is known or looks to be a secret: taught to the redactor, masked anywhere."""
    if variable is not None and variable.secret is not None:
        return variable.secret
    if variable is not None and variable.type in ("secret", "postgres_url"):
        return True
    return bool(_NAME.search(name) or _URL_WITH_PASSWORD.search(value.reveal()))


def is_shown(name: str, value: Secret, variable: Variable | None) -> bool:
    """Whether `env show` prints the value: of a declared variable that is said to be no secret, is
    of a type that holds none, or looks like none by its name and by itself."""
    if variable is None or is_secret(name, value, variable):
        return False
    if variable.secret is False or variable.type in _HARMLESS or variable.allowed:
        return True
    return not re.search(rf"[A-Za-z0-9+/=_-]{{{_LONGEST_WORD},}}", value.reveal())


def passwords_in(value: Secret) -> list[Secret]:
    """The passwords of the URLs in it, as they are written there."""
    return [Secret(found) for found in _URL_WITH_PASSWORD.findall(value.reveal())]
