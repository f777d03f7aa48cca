"""A stream of unknown length on its way to S3: parts, two under way at a time.

Nothing is there until `commit` completes the upload. boto3's own `upload_fileobj` takes an early
end of file for the end, and publishes.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from stockctl.backup.stores.s3_client import explained
from stockctl.core.errors import StoreFailed

PART_BYTES = 5 << 20  # the least that S3 takes
MOST_PARTS = (
    10_000  # of one object, https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
)
_UNDER_WAY = 2
_LARGE = 8 << 20  # of which only one is under way: each takes that much memory
_SHARE = 3  # of what a database takes, indexes included, at most a third is stored: it compresses
_GROWS_EVERY = 1000  # parts, in the second half of them: there is room for 36,000 of the first size


def part_size(expected_bytes: int, least: int = PART_BYTES) -> int:
    """Bytes of a part, so that a database of `expected_bytes` fits into the parts there may be.
    Should it not compress, parts grow."""
    needed = -(-expected_bytes // (MOST_PARTS * _SHARE))
    return max(least, -(-needed // (1 << 20)) << 20)


def part_after(number: int, part_bytes: int) -> int:
    """How large the parts are that follow that one."""
    grows = number >= MOST_PARTS // 2 and number % _GROWS_EVERY == 0
    return part_bytes * 2 if grows else part_bytes


class Upload:
    """The Writer of one object. What fits into a part is put in one request, on `commit`."""

    def __init__(
        self,
        client: Any,
        bucket: str,
        key: str,
        *,
        part_bytes: int,
        parameters: Mapping[str, Any],
        with_md5: Callable[[], bool],
        require: Callable[[], None],
    ) -> None:
        self._client, self._where = client, {"Bucket": bucket, "Key": key}
        self._doing = f"write s3://{bucket}/{key}"
        self._part_bytes, self._parameters = part_bytes, dict(parameters)
        self._with_md5, self._require = with_md5, require
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[str]] = deque()
        self._tags: list[str] = []
        self._size = 0

    def write(self, data: bytes, /) -> int:
        rest = memoryview(data)
        while rest:
            room = self._part_bytes - len(self._buffer)
            self._buffer += rest[:room]
            rest = rest[room:]
            if len(self._buffer) == self._part_bytes:
                self._send()
        self._size += len(data)
        return len(data)

    def commit(self) -> None:
        """Completes it, and looks whether all of it is there."""
        if self._upload_id is None:
            self._require()
            with explained(self._doing):
                body = bytes(self._buffer)
                self._client.put_object(
                    **self._where, Body=body, **self._parameters, **self._md5(body)
                )
        else:
            if self._buffer:
                self._send()
            while self._waiting:
                self._tags.append(self._waiting.popleft().result())
            self._require()
            self._complete()
        with explained(self._doing):
            size = self._client.head_object(**self._where)["ContentLength"]
        if size != self._size:
            raise StoreFailed(f"cannot {self._doing}: {size} of {self._size} bytes are there")

    def discard(self) -> None:
        """Ends what was not committed; its parts go. What cannot be ended now is swept later."""
        if self._pool is not None:
            for each in self._waiting:
                each.cancel()
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._buffer = bytearray()
        if self._upload_id is not None:
            abort(self._client, self._where, self._upload_id)

    def _send(self) -> None:
        if self._upload_id is None:
            with explained(self._doing):
                begun = self._client.create_multipart_upload(**self._where, **self._parameters)
            self._upload_id = begun["UploadId"]
            self._pool = ThreadPoolExecutor(_UNDER_WAY, thread_name_prefix="upload")
        while len(self._waiting) >= (_UNDER_WAY if self._part_bytes <= _LARGE else 1):
            self._tags.append(self._waiting.popleft().result())
        number = len(self._tags) + len(self._waiting) + 1
        self._part_bytes = part_after(number, self._part_bytes)
        if number > MOST_PARTS:
            raise StoreFailed(f"cannot {self._doing}: it is larger than {MOST_PARTS} parts")
        assert self._pool is not None
        body, self._buffer = self._buffer, bytearray()
        self._waiting.append(self._pool.submit(self._part, number, body))

    def _part(self, number: int, body: bytearray) -> str:
        with explained(self._doing):
            done = self._client.upload_part(
                **self._where,
                UploadId=self._upload_id or "",
                PartNumber=number,
                Body=body,
                **self._md5(body),
            )
        return str(done["ETag"])

    def _complete(self) -> None:
        parts: list[Any] = [
            {"PartNumber": number, "ETag": tag} for number, tag in enumerate(self._tags, 1)
        ]
        with explained(self._doing):
            self._client.complete_multipart_upload(
                **self._where, UploadId=self._upload_id or "", MultipartUpload={"Parts": parts}
            )
        self._upload_id = None

    def _md5(self, body: bytes | bytearray) -> dict[str, Any]:
        """A bucket with object lock insists on it."""
        if not self._with_md5():
            return {}
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        return {"ContentMD5": base64.b64encode(digest).decode()}


def abort(client: Any, where: Mapping[str, str], upload_id: str) -> None:
    """Ends an upload. Fine when it is over already; what fails here is swept later."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.abort_multipart_upload(**where, UploadId=upload_id)
    except (ClientError, BotoCoreError):
        pass
