"""S3, or a server that speaks it, as a store: an upload is completed, or it is nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from stockctl.backup.stores.base import Entry, Store, Writer, checked, is_name
from stockctl.backup.stores.lease import LEASE_S, Leases
from stockctl.backup.stores.s3_client import S3Options, connect, explained, listing
from stockctl.backup.stores.s3_upload import PART_BYTES, Upload, abort, part_size
from stockctl.core.errors import StoreFailed
from stockctl.system.host import Holder

if TYPE_CHECKING:
    from typing_extensions import Buffer

_RESUMES = 5  # of one object, where the connection breaks in the middle
_READ = 1 << 20


class S3Store(Store):
    """Objects under a prefix of a bucket, which must exist. Keys deeper down are not ours."""

    def __init__(
        self, options: S3Options, *, part_bytes: int = PART_BYTES, lease_s: float = LEASE_S
    ) -> None:
        self._options, self._part_bytes = options, part_bytes
        self._prefix = f"{options.prefix.strip('/')}/" if options.prefix.strip("/") else ""
        self._leases = Leases(_Shelf(self), self.describe(), lease_s)

    @cached_property
    def client(self) -> Any:
        return connect(self._options)

    @property
    def bucket(self) -> str:
        return self._options.bucket

    def describe(self) -> str:
        return f"s3://{self.bucket}/{self._prefix}".rstrip("/")

    def key(self, name: str) -> str:
        return self._prefix + name

    @contextmanager
    def open_writer(self, name: str, expected_bytes: int = 0) -> Iterator[Writer]:
        upload = Upload(
            self.client,
            self.bucket,
            self.key(checked(name)),
            part_bytes=part_size(expected_bytes, self._part_bytes),
            parameters=self._parameters,
            with_md5=lambda: self._locks_objects,
            require=self._leases.require,
        )
        try:
            yield upload
        finally:
            upload.discard()

    @contextmanager
    def reader(self, name: str) -> Iterator[IO[bytes]]:
        where = {"Bucket": self.bucket, "Key": self.key(checked(name))}
        with io.BufferedReader(_Download(self.client, where), _READ) as file:
            yield file

    def get(self, name: str) -> bytes:
        return self.get_key(self.key(checked(name)))

    def names(self) -> tuple[str, ...]:
        return tuple(self.entries())

    def entries(self) -> Mapping[str, Entry]:
        found = {}
        with explained(f"list {self.describe()}"):
            for fields, _date in listing(self.client, self.bucket, self._prefix):
                name = fields["Key"].removeprefix(self._prefix)
                if is_name(name):
                    modified = datetime.fromisoformat(fields["LastModified"])
                    found[name] = Entry(int(fields["Size"]), fields["ETag"], modified)
        return dict(sorted(found.items()))

    def size(self, name: str) -> int:
        with explained(f"look at {self.describe()}/{name}"):
            key = self.key(checked(name))
            return int(self.client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])

    def delete(self, name: str) -> None:
        self.delete_key(self.key(checked(name)))

    def sweep(self, prefix: str) -> tuple[str, ...]:
        begun = self._prefix + prefix
        swept = []
        with explained(f"sweep {self.describe()}"):
            pages = self.client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.bucket, Prefix=begun):
                for upload in page.get("Uploads", []):
                    name = upload["Key"].removeprefix(self._prefix)
                    if upload["Key"].startswith(begun) and is_name(name):
                        where = {"Bucket": self.bucket, "Key": upload["Key"]}
                        abort(self.client, where, upload["UploadId"])
                        swept.append(name)
        return tuple(sorted(swept))

    def lock(self, environment: str, holder: Holder) -> AbstractContextManager[None]:
        """A lease. It is renewed while the block runs; without that it ends within a minute."""
        return self._leases.hold(checked(environment), holder)

    def get_key(self, key: str) -> bytes:
        with explained(f"read s3://{self.bucket}/{key}"):
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
            return bytes(answer["Body"].read())

    def put_key(self, key: str, data: bytes) -> None:
        """Past the lock: this is how it is made, and renewed too often for a class that bills
        each object for a month."""
        upload = Upload(
            self.client,
            self.bucket,
            key,
            part_bytes=len(data) + 1,
            parameters={k: v for k, v in self._parameters.items() if k != "StorageClass"},
            with_md5=lambda: self._locks_objects,
            require=lambda: None,
        )
        upload.write(data)
        upload.commit()

    def delete_key(self, key: str, *, locked: bool = True) -> None:
        if locked:
            self._leases.require()
        with explained(f"remove s3://{self.bucket}/{key}"):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    @property
    def _parameters(self) -> dict[str, Any]:
        options = self._options
        named = {
            "StorageClass": options.storage_class,
            "ServerSideEncryption": options.encryption,
            "SSEKMSKeyId": options.kms_key,
        }
        return {name: value for name, value in named.items() if value}

    @cached_property
    def _locks_objects(self) -> bool:
        """Whether the bucket has object lock, with or without a default retention."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.client.get_object_lock_configuration(Bucket=self.bucket)
        except (ClientError, BotoCoreError):  # it has none, or the key may not ask
            return False
        return bool(found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


class _Shelf:
    """Leases as hidden objects: their names begin with a dot."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def place(self, name: str, note: bytes) -> None:
        self._store.put_key(self._store.key(name), note)

    def ages(self, prefix: str) -> Mapping[str, float]:
        store, found = self._store, {}
        with explained(f"look for a lock in {store.describe()}"):
            for fields, date in listing(store.client, store.bucket, store.key(prefix)):
                placed = datetime.fromisoformat(fields["LastModified"])
                now = parsedate_to_datetime(date) if date else datetime.now(UTC)
                found[fields["Key"].removeprefix(store.key(""))] = (now - placed).total_seconds()
        return found

    def note(self, name: str) -> bytes:
        try:
            return self._store.get_key(self._store.key(name))
        except StoreFailed:
            return b""

    def take_away(self, name: str) -> None:
        self._store.delete_key(self._store.key(name), locked=False)


class _Download(io.RawIOBase):
    """The bytes of one object, taken up again where the connection broke. An object that was
    replaced meanwhile is refused by the server, since it has another ETag."""

    def __init__(self, client: Any, where: Mapping[str, str]) -> None:
        self._client, self._where = client, where
        self._doing = f"read s3://{where['Bucket']}/{where['Key']}"
        self._at = 0
        with explained(self._doing):
            first = client.get_object(**where)
        self._body, self._tag, self._size = first["Body"], first["ETag"], first["ContentLength"]
        self._resumes = _RESUMES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        while self._at < self._size:
            try:
                with explained(self._doing):
                    data = self._body.read(len(view))
            except StoreFailed:
                data = b""
                if self._resumes == 0:
                    raise
            if data:
                view[: len(data)] = data
                self._at += len(data)
                return len(data)
            self._resume()
        return 0

    def _resume(self) -> None:
        if self._resumes == 0:
            raise StoreFailed(f"cannot {self._doing}: it ends after {self._at} of {self._size}")
        self._resumes -= 1
        self._body.close()
        with explained(self._doing):
            rest = self._client.get_object(
                **self._where, Range=f"bytes={self._at}-", IfMatch=self._tag
            )
        self._body = rest["Body"]

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
