"""What the bucket's server was asked for is what the objects have: looked at on the server."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.remotes import S3Server, s3_client, s3_options

from stockctl.backup.stores.s3 import S3Store
from stockctl.backup.stores.s3_client import listing
from stockctl.system.host import Holder

PART_BYTES = 5 << 20
SMALL, LARGE = b"small", os.urandom(PART_BYTES + 1)  # one request, and two parts


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["one request", "parts"])
def test_the_storage_class_is_the_one_that_was_asked_for(
    s3: S3Server, tmp_path: Path, data: bytes
) -> None:
    options = s3_options(s3.endpoint, "backups", tmp_path.name, storage_class="STANDARD_IA")
    store = S3Store(options, part_bytes=PART_BYTES)
    store.put("a", data)
    found = store.client.head_object(Bucket="backups", Key=store.key("a"))
    with store.lock("app", Holder("anna@desk", "backup create", datetime.now(UTC))):
        note = next(listing(store.client, "backups", store.key(".app.lock.")))[0]["Key"]
        lock = store.client.head_object(Bucket="backups", Key=note)
    store.client.close()
    assert found["StorageClass"] == "STANDARD_IA"
    assert lock.get("StorageClass", "STANDARD") == "STANDARD"  # it is renewed, and lies for minutes


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["one request", "parts"])
def test_the_server_encrypts_what_it_keeps(s3: S3Server, tmp_path: Path, data: bytes) -> None:
    options = s3_options(s3.endpoint, "backups", tmp_path.name, encryption="AES256")
    store = S3Store(options, part_bytes=PART_BYTES)
    store.put("a", data)
    found = store.client.head_object(Bucket="backups", Key=store.key("a"))
    assert store.get("a") == data
    store.client.close()
    assert found["ServerSideEncryption"] == "AES256"


def test_a_bucket_that_locks_its_objects(s3: S3Server, tmp_path: Path) -> None:
    """Its default retention holds for small objects and for large ones; a delete hides them."""
    client = s3_client(s3.endpoint)
    bucket = tmp_path.name.replace("_", "-")[:40].strip("-") + f"-{os.getpid()}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    client.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    store = S3Store(s3_options(s3.endpoint, bucket), part_bytes=PART_BYTES)
    for name, data in (("a", SMALL), ("b", LARGE)):
        store.put(name, data)
        found = client.head_object(Bucket=bucket, Key=name)
        assert found["ObjectLockMode"] == "GOVERNANCE"
        assert found["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(hours=23)
        store.delete(name)
        versions = client.list_object_versions(Bucket=bucket, Prefix=name)
        assert [each["VersionId"] for each in versions["Versions"]] == [found["VersionId"]]
        with pytest.raises(client.exceptions.ClientError):
            client.delete_object(Bucket=bucket, Key=name, VersionId=found["VersionId"])
        kept = client.get_object(Bucket=bucket, Key=name, VersionId=found["VersionId"])
        assert kept["Body"].read() == data
    assert store.names() == ()
    store.client.close()
    client.close()
