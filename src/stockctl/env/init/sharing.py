"""What keeps two environments of one machine from coming of the same compose files."""

from __future__ import annotations

import re

from stockctl.env.init.survey import Survey
from stockctl.env.init.values import Wanted


def not_shareable(survey: Survey, needs: Wanted) -> list[str]:
    """Why two environments cannot both come of these compose files, and what to write instead."""
    found = []
    for part in survey.parts.values():
        for port in part.ports:
            if port.written and "$" not in port.written:
                name = f"{re.sub('[^A-Z0-9]', '_', part.name.upper())}_PORT"
                better = f'"${{{name}:-{port.written}}}:{port.target}"'
                found.append(f"{part.name} publishes port {port.written}: write {better}")
        if part.container_name and "$" not in part.container_name:
            found.append(f"{part.name}: remove container_name: {part.container_name}")
        for place in survey.kept_apart(part) if part.kind in ("postgres", "beside") else ():
            found.append(f"{part.name} keeps its data in {place}: use a volume without a name")
    if needs.fixed:
        found += [f"{name} is the same for all: take it from a variable" for name in needs.fixed]
    return found
