"""Every rule of `db lint`; a module for each thing that they look at."""

from __future__ import annotations

from stockctl.db.lint import (
    constraints,
    contract,
    files,
    indexes,
    mirror,
    rewrites,
    rows,
    squawk,
)
from stockctl.db.lint.base import RULES, Rule

__all__ = ["RULES", "Rule"]

_MODULES = (contract, rewrites, indexes, constraints, rows, mirror, files, squawk)  # they register
