"""The private key that opens a backup, looked at before anything is planned or read."""

from __future__ import annotations

from pathlib import Path

from stockctl.backup.manifest import Backup
from stockctl.backup.verify import needed, require_identities
from stockctl.core.errors import ConfigurationError
from stockctl.env.keys import Identities, load_identities, public_halves, same_key


def require_key(backup: Backup, identity_file: Path | None) -> Identities | None:
    """What opens it, None where it is not encrypted. Raises ConfigurationError, naming the keys
    that would: where there is none, or one for whom the backup was not made."""
    if not backup.encrypted or identity_file is None:
        require_identities(backup, None)
        return None
    identities = load_identities(identity_file)
    ours = public_halves(identity_file)
    if ours and not any(same_key(one, other) for one in ours for other in backup.recipients):
        raise ConfigurationError(
            f"backup {backup.id} is not for the key in {identity_file}",
            details=needed(backup),
            hint="Set backup.identity_file to the file with one of these.",
        )
    return identities
