"""An env file, plain or sealed, as it is read, changed in memory and put back in one step."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from stockctl.core.errors import ConfigurationError, HostFailed, Refused, Where
from stockctl.core.report import Finding, Severity
from stockctl.core.units import counted
from stockctl.env.dotenv import SIZE_LIMIT_BYTES, EnvFile, parse_env_file
from stockctl.env.draft import Draft
from stockctl.env.vault import is_sealed, looks_sealed, open_sealed, seal

PRIVATE, PUBLIC = 0o600, 0o666  # the widest mode of what holds plaintext, and of what does not
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # link(2), on FAT and some others
_TEMPORARY = ".stockctl-tmp"


@dataclass(frozen=True, slots=True)
class Sheet:
    """`raw` is what is on disk, None where there is no file; `plain` is what it says."""

    draft: Draft
    sealed: bool
    raw: bytes | None = field(repr=False)
    plain: bytes = field(repr=False)

    def parsed(self, plain: bytes | None = None) -> EnvFile:
        """Its statements, or those of `plain` in its place."""
        draft = self.draft
        data = self.plain if plain is None else plain
        return parse_env_file(draft.path, draft.label, data, draft.process, sealed=self.sealed)


def read_sheet(draft: Draft) -> Sheet:
    """The env file; opened where it is sealed. Raises ConfigurationError."""
    raw = read_or_none(draft.path, draft.label)
    sealed = is_sealed(draft.path) or (raw is not None and looks_sealed(raw))
    if raw is None or not sealed:
        return Sheet(draft, sealed, raw, raw or b"")
    plain = open_sealed(raw, draft.label, draft.environment.seal, draft.process)
    return Sheet(draft, sealed, raw, plain)


def read_or_none(path: Path, label: str) -> bytes | None:
    """What is in a file, None where there is none. Raises ConfigurationError."""
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise ConfigurationError("is a pipe or a device", where=Where(label))
        if status.st_size > 2 * SIZE_LIMIT_BYTES:
            raise ConfigurationError("is too large for an env file", where=Where(label))
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise ConfigurationError(f"cannot be read: {reason}", where=Where(label)) from None


def require_statements(env: EnvFile) -> None:
    """Raises ConfigurationError with each statement that does not parse: what it swallows is not
    known, so nothing can be changed safely."""
    from stockctl.env.rules.statements import what_is_wrong

    findings = [*env.findings]
    for broken in env.broken:
        message, fix = what_is_wrong(broken.written.reveal())
        findings.append(Finding("E001", Severity.ERROR, message, broken.where, fix))
    if findings:
        raise ConfigurationError(
            f"{env.label} does not parse: {counted(len(findings), 'error')}",
            findings=findings,
            hint="An unclosed quote is reported where it opens.",
        )


def write_sheet(sheet: Sheet, plain: bytes) -> None:
    """Puts `plain` in the place of what was read, sealed where that was.

    Raises Refused when somebody has changed the file since, HostFailed where it cannot be written.
    """
    draft = sheet.draft
    data = seal(plain, draft.environment.seal.recipients) if sheet.sealed else plain
    widest = PUBLIC if sheet.sealed else PRIVATE
    replace_file(draft.path, data, sheet.raw, draft.label, widest)


def replace_file(
    path: Path, data: bytes, before: bytes | None, label: str, widest: int = PRIVATE
) -> None:
    """Atomic: readers see the old content or the new one, and a crash leaves one of them.

    A link stays one; what it points at is replaced. The owner stays, the mode as far as `widest`
    has it; a new file gets 0600. Whoever calls holds the lock.
    """
    try:
        target = path.resolve()
        sweep_temporary(target)
        temporary = target.with_name(f"{target.name}.{uuid4().hex[:8]}{_TEMPORARY}")
        try:
            _write_new(temporary, data, _status(target), widest)
            _swap(temporary, target, before, label)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except (OSError, RuntimeError) as error:
        raise HostFailed(f"cannot write {label}: {_reason(error)}") from None


def remove_file(path: Path, label: str) -> None:
    """Gone, and its name on disk gone with it; of a link also what it points at."""
    try:
        for each in {path.resolve(), path}:
            each.unlink()
            _sync_folder(each.parent)
    except OSError as error:
        raise HostFailed(f"cannot remove {label}: {_reason(error)}") from None


def left_behind(path: Path) -> list[Path]:
    """What a `kill -9` left of earlier writes, or somebody is writing at this moment."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError):
        return []
    return sorted(target.parent.glob(f"{_literal(target.name)}.*{_TEMPORARY}"))


def sweep_temporary(path: Path) -> list[Path]:
    """Removes that, and says what it was; only the holder of the lock may."""
    removed = []
    for each in left_behind(path):
        with suppress(OSError):
            each.unlink()
            removed.append(each)
    return removed


def _write_new(temporary: Path, data: bytes, status: os.stat_result | None, widest: int) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if status is not None:
            _keep_owner(descriptor, status)
        file.write(data)
        file.flush()
        mode = stat.S_IMODE(status.st_mode) if status is not None else PRIVATE
        os.fchmod(descriptor, mode & widest)
        os.fsync(descriptor)


def _keep_owner(descriptor: int, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        os.fchown(descriptor, status.st_uid, status.st_gid)
    elif status.st_gid != os.fstat(descriptor).st_gid:
        with suppress(PermissionError):  # one that we are not in; at 0600 it does not matter
            os.fchown(descriptor, -1, status.st_gid)


def _swap(temporary: Path, target: Path, before: bytes | None, label: str) -> None:
    if before is None:
        try:
            _make(temporary, target)
        except FileExistsError:
            raise _changed(label) from None
        return
    try:
        unchanged = target.read_bytes() == before
    except FileNotFoundError:
        unchanged = False
    if not unchanged:
        raise _changed(label)
    temporary.replace(target)


def _make(temporary: Path, target: Path) -> None:
    """Unlike a rename alone this never replaces somebody else's file."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        temporary.replace(target)


def _changed(label: str) -> Refused:
    return Refused(
        f"{label} was changed by somebody else meanwhile; it is as they left it",
        hint="Run the command again.",
    )


def _status(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    """A rename is on disk only once its folder is (fsync(2), NOTES)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _literal(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
