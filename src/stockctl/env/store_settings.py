"""Where backups lie: the keys of `[backup]` that name a store, and what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from pydantic import Field, StrictBool, field_validator, model_validator

from stockctl.env.types import FilePath, Table

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(?:/[^/?#]+)*)/?")
_SFTP = re.compile(r"sftp://(?P<machine>[^/@:]+@[^/@]+|[^/@]+)(?P<path>/[^?#]*)")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
_FROZEN = ("GLACIER", "DEEP_ARCHIVE")
Kind = Literal["folder", "s3", "sftp"]


@dataclass(frozen=True, slots=True)
class StorePlace:
    """An address. `machine` is a bucket, or `user@host:port`; `path` a prefix or a folder."""

    kind: Kind
    machine: str
    path: str


def parse_store(text: str) -> StorePlace:
    """Raises ValueError for what is no store."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        return StorePlace("folder", "", text)
    if scheme["scheme"] == "s3":
        if (found := _S3.fullmatch(text)) and not {".", ".."} & set(text.split("/")):
            return StorePlace("s3", found["bucket"], unquote(found["prefix"].strip("/")))
        raise ValueError('expected "s3://bucket" or "s3://bucket/prefix"')
    if scheme["scheme"] == "sftp":
        if (found := _SFTP.fullmatch(text)) and found["path"].strip("/"):
            return StorePlace("sftp", found["machine"], unquote(found["path"].rstrip("/")))
        raise ValueError(
            'expected "sftp://user@host/folder", without a password; the folder from the root'
        )
    raise ValueError(f'{scheme["scheme"]}:// is not a store: a folder, "s3://…" or "sftp://…" is')


class StoreSettings(Table):
    """Where backups go."""

    store: str = Field(
        description="A folder, relative to this file; `s3://bucket/prefix`; or"
        " `sftp://user@host:port/folder`. Default: `backups` under `host.directory`."
    )
    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/@]+/?$",
        description="With `s3://`: the address of a server that speaks S3; absent: AWS.",
    )
    region: str | None = Field(
        None, description="With `s3://`. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`."
    )
    path_style: StrictBool | None = Field(
        None,
        description="With `s3://`: the bucket in the path and not in the host's name. Default:"
        " true with an `endpoint`.",
    )
    storage_class: str | None = Field(
        None,
        pattern=r"^[A-Z_]+$",
        description="With `s3://`: such as `STANDARD_IA`; none that has to be thawed first.",
    )
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="With `s3://`: what the server encrypts with, beside our own."
    )
    kms_key: str | None = Field(None, description="With `s3://`: the key for `aws:kms`.")
    known_hosts: FilePath | None = Field(
        None, description="With `sftp://`: the file that holds the machine's host key."
    )
    ssh_identity_file: FilePath | None = Field(
        None,
        description="With `sftp://`: the SSH private key, without a passphrase; absent: the keys"
        " of the ssh-agent.",
    )
    plaintext: str | None = Field(
        None,
        min_length=10,
        description="Why backups may lie on another machine without `recipients`. Without this"
        " reason that is an error.",
    )

    @field_validator("store")
    @classmethod
    def _store_is_one(cls, value: str) -> str:
        if "${" not in value:  # a value that is not set is said elsewhere
            parse_store(value)
        return value

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> StoreSettings:
        if "${" in self.store:
            return self
        kind = self.place.kind
        for key, of in _ONLY_WITH.items():
            if getattr(self, key) is not None and kind != of:
                raise ValueError(f"{key} is for a store that begins with {of}://")
        if kind == "sftp" and self.known_hosts is None:
            raise ValueError("a store over SFTP needs known_hosts, which holds its host key")
        if self.storage_class in _FROZEN:
            raise ValueError(
                f"storage_class {self.storage_class} cannot be read at once: no backup could be"
                ' verified, or restored at night; "GLACIER_IR" can'
            )
        if self.kms_key and not (self.server_side_encryption or "").startswith("aws:kms"):
            raise ValueError('kms_key needs server_side_encryption = "aws:kms"')
        return self

    @property
    def place(self) -> StorePlace:
        """Its address, taken apart."""
        return parse_store(self.store)


_S3_KEYS = (
    "endpoint",
    "region",
    "path_style",
    "storage_class",
    "server_side_encryption",
    "kms_key",
)
_ONLY_WITH: dict[str, Kind] = {
    **dict.fromkeys(_S3_KEYS, "s3"),
    "known_hosts": "sftp",
    "ssh_identity_file": "sftp",
}
