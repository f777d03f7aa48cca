"""`[host]`: the machine that the environment lives on, and how to get there."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from stockctl.env.types import FilePath, Table

# What system/ssh_line.py takes apart.
ADDRESS = (
    r"^([A-Za-z0-9_][A-Za-z0-9._-]*@)?([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$"
)


class HostSettings(Table):
    """Where the environment lives. [Deploys over SSH](ssh.md)."""

    ssh: str | None = Field(
        None,
        pattern=ADDRESS,
        description="`user@host` or `user@host:port`; absent: this machine. Needs `directory`.",
    )
    known_hosts: FilePath = Field(
        Path("known_hosts"),
        description="The host keys that are trusted, as OpenSSH writes them; nobody else is.",
    )
    identity_file: FilePath | None = Field(
        None, description="The private key; absent: those that the running ssh-agent holds."
    )
    jump: str | None = Field(
        None, pattern=ADDRESS, description="A machine on the way, its key in the same file."
    )
    directory: FilePath = Field(
        description="Releases, journal, lock and backups. Default: `.stockctl/<environment>`"
        " beside `environments/`. With `ssh`: an absolute path on that machine."
    )

    @model_validator(mode="after")
    def _for_ssh(self) -> HostSettings:
        extra = [name for name in ("identity_file", "jump") if getattr(self, name)]
        if self.ssh is None and extra:
            raise ValueError(f"{extra[0]} is for ssh, which is not set")
        return self
