"""What the TOML files name: the environment itself, its database, who may open what."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.env.place import is_postgres
from stockctl.env.rules.base import Subject, found, prod, rule

# `stockctl deploy NAME` and `stockctl deploy VERB` share one place on the command line.
VERBS_OF_DEPLOY = frozenset(
    [
        *("rollback", "status", "history", "logs", "exec", "preflight", "rehearse", "watch"),
        *("contract", "lock", "unlock", "maintenance", "tidy"),
    ]
)


@rule("C008", Severity.ERROR, without_values=True, bad={"status.toml": ""}, good={"prod.toml": ""})
def named_like_a_verb(subject: Subject) -> Iterator[Finding]:
    """An environment is called like a verb of `stockctl deploy`.

    `stockctl deploy status` could mean both.
    """
    if subject.name in VERBS_OF_DEPLOY:
        message = f"{subject.name} is also a verb of `stockctl deploy`: rename the environment"
        yield found("C008", subject.file, message)


@rule(
    "C011",
    Severity.ERROR,
    bad={"prod.toml": '[database]\nurl = "mysql://shop@127.0.0.1/shop"\n'},
    good={"prod.toml": '[database]\nurl = "postgresql://shop@127.0.0.1/shop"\n'},
)
def not_a_postgres_url(subject: Subject) -> Iterator[Finding]:
    """`database.url` is not the URL of a PostgreSQL database.

    There is nothing else that stockctl migrates or backs up.
    """
    database = subject.environment.database
    url = database.url.reveal() if database and database.url else ""
    if url and "${" not in url and not is_postgres(url):
        message = "database.url: expected postgresql://user:password@host:port/database"
        yield found("C011", subject.toml("database", "url"), message)


@rule(
    "C012",
    Severity.ERROR,
    without_values=True,
    bad={"prod.toml": '[seal.recipients]\nalice = "AGE-SECRET-KEY-1"\n'},
    good=prod("A=1\n"),
)
def not_a_recipient(subject: Subject) -> Iterator[Finding]:
    """A recipient is not a public key.

    Nothing could be sealed, and no backup made, for somebody who does not exist.
    """
    from stockctl.env.keys import bad_recipients

    environment = subject.environment
    for name, why in bad_recipients(environment.seal.recipients):
        path = ("seal", "recipients", name)
        yield found("C012", subject.toml(*path), f"{'.'.join(path)}: {why}")
    numbered = {str(n): key for n, key in enumerate(environment.backup.recipients)}
    for name, why in bad_recipients(numbered):
        where = subject.toml("backup", "recipients")
        yield found("C012", where, f"backup.recipients[{name}]: {why}")
