"""Environments against each other. Of two that share something, the later one is told."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.place import Place, place_of
from stockctl.env.rules.base import Subject, found, prod, rule
from stockctl.env.rules.databases import same_database
from stockctl.env.rules.values import applies

_URL = "postgresql://shop:V4s0nJq8Lk2PzXw7@127.0.0.1/shop"


def _two(prod_toml: str, staging_toml: str) -> dict[str, str]:
    return {"prod.toml": prod_toml, "staging.toml": staging_toml}


@rule(
    "E017",
    Severity.ERROR,
    bad=_two(f'[database]\nurl = "{_URL}"\n', f'[database]\nurl = "{_URL}"\n'),
    good=_two(f'[database]\nurl = "{_URL}"\n', f'[database]\nurl = "{_URL}2"\n'),
)
def shared_database(subject: Subject) -> Iterator[Finding]:
    """Two environments point at one database.

    A migration, a restore or a test on one of them happens to the other.
    """
    mine = _database(subject)
    for other in subject.earlier if mine else ():
        theirs = _database(other)
        if mine and theirs and same_database(mine, theirs):
            message = f"database.url of {subject.name} is the database of {other.name}"
            yield found("E017", subject.toml("database", "url"), message)


def _database(subject: Subject) -> Place | None:
    database = subject.environment.database
    return place_of(database.url.reveal()) if database and database.url else None


@rule(
    "E018",
    Severity.ERROR,
    without_values=True,
    bad=_two('[host]\ndirectory = "/srv/shop"\n', '[host]\ndirectory = "/srv/shop"\n'),
    good=_two('[host]\ndirectory = "/srv/prod"\n', '[host]\ndirectory = "/srv/staging"\n'),
)
def shared_directory(subject: Subject) -> Iterator[Finding]:
    """Two environments keep their releases, journal and lock in one folder.

    A rollback of one would bring back a release of the other.
    """
    for other in subject.earlier:
        if other.environment.host.directory == subject.environment.host.directory:
            where = subject.toml("host", "directory")
            yield found("E018", where, f"host.directory is also that of {other.name}")


@rule(
    "E036",
    Severity.ERROR,
    without_values=True,
    bad=_two('[backup]\nstore = "/backups"\n', '[backup]\nstore = "/backups/staging"\n'),
    good=_two('[backup]\nstore = "/backups/prod"\n', '[backup]\nstore = "/backups/staging"\n'),
)
def store_inside_another(subject: Subject) -> Iterator[Finding]:
    """The backups of one environment lie inside the store of another one, or in the same.

    A prune of one would see the other's backups as its own.
    """
    mine = subject.environment.backup.store.rstrip("/")
    for other in subject.earlier:
        theirs = other.environment.backup.store.rstrip("/")
        if subject.toml("backup", "store") is None:
            return  # the default, under host.directory: that is reported
        if mine == theirs or mine.startswith(f"{theirs}/") or theirs.startswith(f"{mine}/"):
            where = subject.toml("backup", "store")
            message = f"backup.store and that of {other.name} lie inside each other"
            yield found("E036", where, message, "Give each environment a folder of its own.")


@rule(
    "W106",
    Severity.WARNING,
    bad={
        **prod("A=1\n"),
        "staging.toml": 'env_file = ".env.staging"\n',
        ".env.staging": "A=1\nSENTRY_DSN=x\n",
    },
    good=prod("A=1\n"),
)
def missing_beside_others(subject: Subject) -> Iterator[Finding]:
    """Another environment sets a variable that this one does not have.

    It was added in one place and forgotten in the other. What `only_in` keeps away, or only the
    other one's own TOML file declares, is left alone.
    """
    variables = subject.environment.variables
    if not subject.env.text:
        return
    missing: dict[str, list[str]] = {}
    for other in subject.siblings:
        for key in other.bound:
            variable = variables.get(key)
            wanted = variable is None or (applies(variable, subject) and not variable.deprecated)
            wanted = wanted and (variable is not None or key not in other.environment.variables)
            reported = variable is not None and variable.required
            if key not in subject.bound and wanted and not reported:
                missing.setdefault(key, []).append(other.name)
    for key, names in missing.items():
        message = f"{key} is set in {', '.join(names)} and not here"
        yield found("W106", Where(subject.env.label), message)
