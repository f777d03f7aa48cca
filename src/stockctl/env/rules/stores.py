"""Who can read the backups."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.report import Finding, Severity
from stockctl.env.rules.base import Subject, found, rule

_RECIPIENTS = 'recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]\n'
_FAR = '[backup]\nstore = "s3://shop-backups/prod"\n'
_NEAR = 'protected = true\n[backup]\nstore = "/var/backups/shop"\n'
_FIX = "Set backup.recipients: age-keygen makes a pair, the public key goes here."


@rule(
    "E039",
    Severity.ERROR,
    without_values=True,
    bad={"prod.toml": _FAR},
    good={"prod.toml": _FAR + _RECIPIENTS},
)
def plaintext_elsewhere(subject: Subject) -> Iterator[Finding]:
    """The backups go to another machine, and nothing encrypts them before.

    Whoever runs that machine, or gets at the bucket, has every row. `server_side_encryption` does
    not help: the server has the key. Where that is meant, `plaintext` says why.
    """
    if subject.environment.backup.exposed:
        message = "backup.store is on another machine, and there are no recipients"
        fix = f'{_FIX} Or say why not: plaintext = "the bucket is in our own rack".'
        yield found("E039", subject.toml("backup", "store"), message, fix)


@rule(
    "W113",
    Severity.WARNING,
    without_values=True,
    bad={"prod.toml": _NEAR},
    good={"prod.toml": _NEAR + _RECIPIENTS},
)
def protected_in_the_clear(subject: Subject) -> Iterator[Finding]:
    """A protected environment has no `backup.recipients`: its backups are readable as they lie.

    A copy of that folder, or of its disk, is a copy of the database.
    """
    environment = subject.environment
    backup = environment.backup
    if not environment.protected or backup.recipients or backup.plaintext is not None:
        return
    if "${" not in backup.store and backup.place.kind != "folder":
        return  # which is an error
    if environment.database is None and subject.toml("backup") is None:
        return  # there is nothing to back up
    where = subject.toml("backup", "store") or subject.toml("protected")
    yield found("W113", where, "backups are not encrypted: there are no recipients", _FIX)
