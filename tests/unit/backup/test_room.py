"""What is to be written is summed up for each file system."""

from __future__ import annotations

import pytest

from stockctl.backup.room import Share, data_of, fits, require_room, told
from stockctl.core.errors import Refused
from stockctl.system.disk import Disk

GB = 10**9
ONE, OTHER = Disk("here 1 100", 10 * GB), Disk("here 2 100", 3 * GB)
COPY = Share("the copy", 8 * GB, "/data", ONE)
SAVED = Share("the safety backup", 3 * GB, "/backups", ONE)
APART = Share("the safety backup", 3 * GB, "/mnt", OTHER)
BUCKET = Share("the safety backup", 3 * GB, "s3://bucket", None)


def test_two_that_fit_alone_and_not_together() -> None:
    require_room((COPY,))
    require_room((SAVED,))
    with pytest.raises(Refused) as caught:
        require_room((SAVED, COPY), "Or else.")
    assert caught.value.exit_code == 4
    assert caught.value.message == (
        "too little disk: about 11.0 GB are needed, and 10.0 GB are free in /backups and /data"
    )
    assert caught.value.details.splitlines() == [
        "the safety backup about 3.0 GB, in /backups",
        "the copy about 8.0 GB, in /data",
    ]
    assert "stockctl backup tidy ENV" in caught.value.hint
    assert caught.value.hint.endswith("Or else.")
    assert fits(SAVED, APART)
    assert not fits(SAVED, APART, COPY)


def test_on_disks_of_their_own_they_are_not_summed() -> None:
    require_room((APART, COPY))
    assert list(told((APART, COPY))) == [
        ("the safety backup about 3.0 GB; 3.0 GB free in /mnt", True),
        ("the copy about 8.0 GB; 10.0 GB free in /data", True),
    ]


def test_room_that_nobody_can_measure_refuses_nothing_and_is_said() -> None:
    require_room((BUCKET, Share("the copy", 1 << 60, "/data", None)))
    assert list(told((BUCKET,))) == [
        ("on s3://bucket is not known; the safety backup about 3.0 GB", False)
    ]
    assert data_of((BUCKET,))[0]["free_bytes"] is None
