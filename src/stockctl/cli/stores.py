"""Which store an environment's backups lie in, built from its settings."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from stockctl.core.errors import ConfigurationError

if TYPE_CHECKING:
    from stockctl.backup.stores.base import Store
    from stockctl.cli.wiring import Opened
    from stockctl.env.model import BackupSettings


def open_store(opened: Opened) -> Store:
    """Nothing is asked yet. Raises ConfigurationError."""
    settings = opened.environment.backup
    try:
        kind = settings.place.kind
        if kind == "s3":
            return _s3(opened, settings)
        return _sftp(settings) if kind == "sftp" else _folder(opened, Path(settings.store))
    except ValueError as error:
        where = opened.loaded.layers.where(("backup", "store"))
        raise ConfigurationError(f"backup.store: {error}", where=where) from error


def _folder(opened: Opened, path: Path) -> Store:
    from stockctl.backup.stores.directory import DirectoryStore
    from stockctl.cli.wiring import private_folder

    ours = path == opened.folder_here / "backups"
    if ours:
        private_folder(opened.folder_here)
    return DirectoryStore(path, make=ours)


def _s3(opened: Opened, settings: BackupSettings) -> Store:
    from stockctl.backup.stores.s3 import S3Store
    from stockctl.backup.stores.s3_client import S3Options, secrets_in

    opened.session.output.redactor.learn(secrets_in(os.environ))
    env_file = opened.loaded.env_file
    options = S3Options(
        bucket=settings.place.machine,
        prefix=settings.place.path,
        endpoint=settings.endpoint,
        region=settings.region,
        path_style=settings.path_style,
        storage_class=settings.storage_class,
        encryption=settings.server_side_encryption,
        kms_key=settings.kms_key,
        values=env_file.values() if env_file else {},
    )
    return S3Store(options)


def _sftp(settings: BackupSettings) -> Store:
    from stockctl.backup.stores.sftp import SftpStore
    from stockctl.system.ssh import SshHost
    from stockctl.system.ssh_address import Address, Target

    assert settings.known_hosts is not None
    target = Target(
        Address.parse(settings.place.machine), settings.known_hosts, settings.ssh_identity_file
    )
    return SftpStore(SshHost(target), PurePosixPath(settings.place.path))
