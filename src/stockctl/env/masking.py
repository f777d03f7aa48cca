"""Which values are secrets: as declared, else by type, name and shape."""

from __future__ import annotations

import re

from stockctl.core.secret import Secret
from stockctl.env.variable import Variable

_NAME = re.compile(r"SECRET|PASSW|PWD|TOKEN|KEY|DSN|CREDENTIAL|PRIVATE|SALT|DATABASE_URL", re.I)
_URL_WITH_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s]+)@")


def is_secret(name: str, value: Secret, variable: Variable | None) -> bool:
    """True for what is known or looks to be a secret: taught to the redactor, masked anywhere."""
    if variable is not None and variable.secret is not None:
        return variable.secret
    if variable is not None and variable.type in ("secret", "postgres_url"):
        return True
    return bool(_NAME.search(name) or _URL_WITH_PASSWORD.search(value.reveal()))


def is_shown(name: str, value: Secret, variable: Variable | None) -> bool:
    """Whether `env show` prints the value: only a declared one that is no secret."""
    return variable is not None and not is_secret(name, value, variable)


def passwords_in(value: Secret) -> list[Secret]:
    """The passwords of the URLs in it, as they are written there."""
    return [Secret(found) for found in _URL_WITH_PASSWORD.findall(value.reveal())]
