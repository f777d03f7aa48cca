"""A value that prints as `***`. It leaves the process only where `.reveal()` is written."""

from __future__ import annotations

from typing import NoReturn

MASK = "***"


class Secret:
    """Wraps a string so that f-strings, repr, logs, JSON and tracebacks show `***` instead.

    >>> f"password={Secret('hunter2hunter2')}"
    'password=***'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Each call is a place where the secret leaves our hands."""
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: reveal it where it is needed")
