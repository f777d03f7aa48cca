"""Every rule of `env validate`; a module for each thing that they look at."""

from __future__ import annotations

from stockctl.env.rules import (
    across,
    addresses,
    databases,
    files,
    form,
    modes,
    names,
    reading,
    secrets,
    stack,
    statements,
    stores,
    values,
)
from stockctl.env.rules.base import RULES, Rule, Subject, found

__all__ = ["RULES", "Rule", "Subject", "found"]

_MODULES = (
    reading, names, stack, statements, values, secrets, addresses, databases, modes, across, files,
    form, stores,
)  # fmt: skip  # imported for what they register
