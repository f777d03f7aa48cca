"""What is wrong with a folder of migrations: one rule, one function.

Most of it plain yoyo would ignore or misunderstand without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from stockctl.core.report import Finding
from stockctl.db.script import DOWN, NAME, Phase, Script, finding


def misnamed(path: Path) -> Iterator[Finding]:
    name = path.name
    if name.endswith(".down.sql"):
        fix = f"Name it {name.removesuffix('.down.sql')}{DOWN}."
        yield finding("M004", path, "yoyo would apply this down script as a migration", fix)
    elif path.suffix.lower() in (".sql", ".py"):
        stem = name.removesuffix(DOWN) if name.endswith(DOWN) else name.removesuffix(".sql")
        if not NAME.fullmatch(stem):
            fix = "Name it like 0042_add_users.sql: four digits, then a-z, 0-9 and _."
            yield finding("M002", path, "is not the name of a migration", fix)


def no_file(path: Path) -> Iterator[Finding]:
    """Of a folder, or a link to nowhere: passed over, its migration would just be missing."""
    hidden = path.name.startswith(".")  # what an editor leaves beside an open file
    if path.suffix.lower() == ".sql" and not hidden:
        fix = "Put the file there, or rename what is."
        yield finding("M007", path, "is named like a migration and is not a file", fix)


def same_number(ups: Sequence[Path]) -> Iterator[Finding]:
    for before, path in pairwise(ups):
        if before.name[:4] == path.name[:4]:
            fix = "Give the one that is applied nowhere yet the next free number."
            yield finding("M003", path, f"has the number of {before.name}", fix)


def orphans(paths: Sequence[Path], ups: Sequence[Path]) -> Iterator[Finding]:
    known = {path.stem for path in ups}
    for path in paths:
        stem = path.name.removesuffix(DOWN)
        if path.name.endswith(DOWN) and NAME.fullmatch(stem) and stem not in known:
            fix = f"Rename it to match its migration, or bring {stem}.sql back."
            yield finding("M005", path, "is the down script of a migration that is not here", fix)


def values(up: Script) -> Iterator[Finding]:
    for name, allowed in (("phase", tuple(Phase)), ("transactional", ("true", "false"))):
        header = up.header(name)
        if header and header.value not in allowed:
            message = f"{name}: expected {' or '.join(allowed)}, got {header.value!r}"
            yield finding("M010", up.path, message, f"Write {allowed[0]!r}.", header.line)
    header = up.header("irreversible")
    if header and not header.value:
        fix = "Say why: whoever wants to roll back will read it."
        yield finding("M015", up.path, "irreversible: the reason is missing", fix, header.line)


def down_script(up: Script, down: Script | None) -> Iterator[Finding]:
    """Without a down script plain yoyo would unmark the migration and leave the tables."""
    irreversible = up.header("irreversible")
    if down is None:
        if not irreversible:
            fix = (
                f"Write {up.path.stem}{DOWN}, or put `-- irreversible: why` at the top of the file."
            )
            yield finding("M006", up.path, "has no down script", fix)
        return
    yield from down.findings
    if irreversible:
        fix = "Delete one of the two."
        message = "is irreversible and has a down script"
        yield finding("M015", up.path, message, fix, irreversible.line)
    header = down.header("transactional")
    if header and header.value != up.value("transactional", "true"):
        fix = f"Say the same in {up.path.name}: the header there counts for both."
        message = "transactional: differs from the migration's"
        yield finding("M016", down.path, message, fix, header.line)


def single_statement(up: Script, down: Script | None) -> Iterator[Finding]:
    header = up.header("transactional")
    if header is None or header.value != "false":
        return
    for script in filter(None, (up, down)):
        if script.statements > 1:
            message = f"{script.statements} statements outside a transaction"
            fix = "One for each migration: what fails half-way could not be told otherwise."
            line = header.line if script is up else 1
            yield finding("M013", script.path, message, fix, line)


def dependencies(up: Script, known: Sequence[str]) -> Iterator[Finding]:
    for header in up.headers:
        for identity in header.value.split() if header.name == "depends" else ():
            if identity not in known or identity >= up.path.stem:
                state = "comes later" if identity in known else "is not here"
                message = f"depends: {identity} {state}"
                fix = "Name migrations with lower numbers, without .sql."
                yield finding("M011", up.path, message, fix, header.line)
