"""Backups in S3 and over SFTP: whole round trips, and what is left when something breaks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.disks import small_disk
from tests.integration.backup.conftest import Bench
from tests.remotes import (
    ACCESS_KEY,
    REPO,
    SECRET_KEY,
    S3Server,
    Sshd,
    Wire,
    s3_client,
    s3_options,
    serve_s3,
    serve_ssh,
    wire,
    within,
)

from stockctl.backup.create import CreateOptions, create
from stockctl.backup.prune import prune
from stockctl.backup.retention import Policy, plan_prune
from stockctl.backup.stores.base import Store
from stockctl.backup.stores.s3 import S3Store
from stockctl.backup.stores.sftp import SftpStore
from stockctl.core.clock import SystemClock
from stockctl.core.errors import Locked, StoreFailed
from stockctl.core.progress import Event, Progress
from stockctl.core.secret import Secret
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost
from stockctl.system.postgres import ClientTools, Database, Dsn
from stockctl.system.ssh import SshHost

LEASE_S = 16.0
CUT_S = 60.0  # with 2 s until a silence is one
PART_BYTES = 5 << 20
HOLDER = Holder("anna@desk", "backup create", datetime(2026, 11, 22, 3, tzinfo=UTC))
WIDE = {"rows": 5000, "width": 8000}  # about 20 MB that do not compress away: four parts


def s3_store(endpoint: str, prefix: str, **more: Any) -> S3Store:
    options = s3_options(endpoint, "backups", prefix, **more)
    return S3Store(options, part_bytes=PART_BYTES, lease_s=LEASE_S)


@pytest.fixture
def bucket(bench: Bench, s3: S3Server, tmp_path: Path) -> Iterator[Bench]:
    store = s3_store(s3.endpoint, tmp_path.name)
    yield replace(bench, store=store)  # type: ignore[arg-type]
    store.client.close()


@pytest.fixture(params=["s3", "sftp"])
def far(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "s3":
        yield request.getfixturevalue("bucket")
        return
    with SshHost(request.getfixturevalue("sshd").target) as host:
        store = SftpStore(host, PurePosixPath(tmp_path / "far"), lease_s=LEASE_S)
        yield replace(bench, store=store)  # type: ignore[arg-type]


def uploads(s3: S3Server, prefix: str) -> list[str]:
    """Those that were begun and are neither completed nor aborted."""
    client = s3_client(s3.endpoint)
    found = client.list_multipart_uploads(Bucket="backups", Prefix=f"{prefix}/").get("Uploads", [])
    client.close()
    return [each["Key"] for each in found]


def test_there_and_back(far: Bench) -> None:
    far.fill(**WIDE)
    backup = far.create()
    assert list(far.store.names()) == far.files_of(backup)
    assert backup.size_bytes == far.store.size(backup.object) > 2 * PART_BYTES
    far.run("DROP TABLE item")
    far.restore()
    assert far.items() == WIDE["rows"]


def test_a_note_is_whole_while_it_is_renewed(sshd: Sshd, tmp_path: Path) -> None:
    with SshHost(sshd.target) as host:
        store = SftpStore(host, PurePosixPath(tmp_path), lease_s=2.0)
        with store.lock("app", HOLDER):
            (note,) = tmp_path.glob(".app.lock.*")
            placed, renewed, until = note.stat().st_mtime, 0, time.monotonic() + 3.5
            while time.monotonic() < until:
                assert b"anna@desk" in note.read_bytes()
                renewed += note.stat().st_mtime != placed
                placed = note.stat().st_mtime
    assert renewed > 3


def test_two_at_once_and_one_is_told_who(far: Bench, tmp_path: Path) -> None:
    """From two machines: each with a host directory of its own."""
    far.fill()
    other = replace(far, directory=tmp_path / "elsewhere")
    with far.store.lock("prod", HOLDER), pytest.raises(Locked, match="anna@desk"):
        other.create()
    assert far.store.names() == ()
    other.create()
    assert len(far.catalogue().backups) == 1


def test_nothing_goes_while_somebody_reads_on_another_machine(far: Bench, tmp_path: Path) -> None:
    """A restore holds the store's lock for as long as it works, and so does a create."""
    far.fill()
    made = [far.create(), far.create()]
    later = max(each.created_at for each in made) + timedelta(seconds=1)
    plan = plan_prune(far.catalogue().backups, Policy(last=1), later, far.catalogue().checks)
    assert len(plan.remove) == 1
    ports = far.ports()
    del ports["clock"]
    reading = Holder("bert@vault", "backup restore", HOLDER.since)
    with far.store.lock("prod", reading), pytest.raises(Locked, match="bert@vault"):
        prune(plan, far.store, lock_holder=HOLDER, **ports)
    assert list(far.store.names()) == far.files_of(*made)
    assert prune(plan, far.store, lock_holder=HOLDER, **ports) == plan.remove
    assert far.store.get("prod.latest") == f"{plan.keep[0].backup.object}\n".encode()


# ---------------------------------------------------------------------- faults


class _Stop(Exception):
    pass


def at_first_bytes(act: Callable[[], None]) -> Callable[[Event], None]:
    done: list[bool] = []

    def report(event: Event) -> None:
        if type(event).__name__ == "Transferred" and event.done > 34_000_000 and not done:
            done.append(True)
            act()

    return report


def test_what_stops_half_way_is_aborted(bucket: Bench, s3: S3Server, tmp_path: Path) -> None:
    bucket.fill(**WIDE)

    def stop() -> None:
        raise _Stop

    with pytest.raises(_Stop):
        bucket.on(at_first_bytes(stop)).create()
    assert uploads(s3, tmp_path.name) == []
    assert bucket.store.names() == ()


def test_kill_9_in_the_middle_of_an_upload(bucket: Bench, s3: S3Server, tmp_path: Path) -> None:
    """Nothing unreadable is listed; the earlier one restores; the next create sweeps."""
    bucket.fill(**WIDE)
    good = bucket.create()
    dsn, tools = bucket.database.dsn, bucket.database.tools.folder
    argv = [sys.executable, __file__, dsn.host, dsn.user, dsn.database, str(tools)]
    argv += [s3.endpoint, tmp_path.name, str(tmp_path / "other")]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(REPO)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(uploads(s3, tmp_path.name)) == 1
    assert list(bucket.store.names()) == bucket.files_of(good)
    assert [b.id for b in bucket.catalogue().backups] == [good.id]
    second = None

    def created() -> bool:
        nonlocal second
        try:
            second = bucket.create()
        except Locked:  # by the lease of the one that was killed, for as long as it lasts
            return False
        return True

    assert within(10 * LEASE_S, created)
    assert second is not None
    assert uploads(s3, tmp_path.name) == []
    assert list(bucket.store.names()) == bucket.files_of(good, second)
    bucket.run("DROP TABLE item")
    bucket.restore(good.id)
    assert bucket.items() == WIDE["rows"]


def hang(pid: int) -> None:
    """Stop a server of many threads: each stops when it can, and answers until then."""
    os.kill(pid, signal.SIGSTOP)

    def stopped() -> bool:
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
        return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)

    assert within(10, stopped)


def test_a_server_that_hangs_is_given_up(bench: Bench, tmp_path: Path) -> None:
    with serve_s3(tmp_path / "s3") as own:
        store = s3_store(own.endpoint, "x", timeout_s=1.0, attempts=2)
        store.put("a", b"x")
        hang(own.pid)
        began = time.monotonic()
        with pytest.raises(StoreFailed, match="no answer in time") as caught:
            store.names()
        assert time.monotonic() - began < 60
        assert "backup.endpoint" in caught.value.hint
        os.kill(own.pid, signal.SIGCONT)
        assert within(30, lambda: store.names() == ("a",))
        os.kill(own.pid, signal.SIGKILL)
        with pytest.raises(StoreFailed, match="cannot list s3://backups/x"):
            store.names()
        store.client.close()


def test_a_server_that_goes_in_the_middle(bench: Bench, tmp_path: Path) -> None:
    bench.fill(**WIDE)
    with serve_s3(tmp_path / "s3") as own:
        store: Any = s3_store(own.endpoint, "x", timeout_s=1.0, attempts=2)
        there = replace(bench, store=store)
        with pytest.raises(StoreFailed):
            there.on(at_first_bytes(lambda: os.kill(own.pid, signal.SIGKILL))).create()
        assert bench.items() == WIDE["rows"]
        store.client.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "16m") as disk:
        yield disk


def test_a_full_s3_server(disk: Path) -> None:
    with serve_s3(disk / "s3") as own:
        store = s3_store(own.endpoint, "x", timeout_s=10.0, attempts=2)
        with (
            pytest.raises(StoreFailed, match="cannot write") as caught,
            store.open_writer("a") as writer,
        ):
            for _ in range(30):
                writer.write(os.urandom(1 << 20))
            writer.commit()
        assert "full" in caught.value.hint
        assert store.names() == ()
        assert store.sweep("") == ()
        store.client.close()


def test_a_full_disk_over_sftp(bench: Bench, sshd: Sshd, disk: Path) -> None:
    bench.fill(**WIDE)
    with SshHost(sshd.target) as host:
        store: Any = SftpStore(host, PurePosixPath(disk), lease_s=LEASE_S)
        with pytest.raises(StoreFailed, match="is the disk full"):
            replace(bench, store=store).create()
        assert store.names() == ()
        assert store.sweep("") == ()  # there is room again


def test_a_line_that_is_cut_in_the_middle(bench: Bench, tmp_path: Path) -> None:
    bench.fill(**WIDE)
    with serve_ssh(tmp_path / "sshd") as own:
        far = PurePosixPath(tmp_path / "far")
        with SshHost(own.target) as host:
            store: Any = SftpStore(host, far, lease_s=LEASE_S)
            with pytest.raises(StoreFailed, match="cut"):
                replace(bench, store=store).on(at_first_bytes(own.cut)).create()
        with SshHost(own.target) as host:
            store = SftpStore(host, far, lease_s=LEASE_S)
            assert store.names() == ()
            assert len(store.sweep("prod.")) == 1  # what was half-written, and no more
            assert store.sweep("") == ()


# ---------------------------------------------------------- a network that goes without a word


@pytest.fixture(params=["s3", "sftp"])
def cuttable(
    request: pytest.FixtureRequest, bench: Bench, tmp_path: Path
) -> Iterator[tuple[Bench, Bench, Wire]]:
    """The same store over a way that can be cut, and straight."""
    if request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3")
        with wire(s3.port) as way:
            over = s3_store(
                f"http://127.0.0.1:{way.port}", tmp_path.name, timeout_s=2.0, attempts=2
            )
            straight = s3_store(s3.endpoint, tmp_path.name)
            yield replace(bench, store=over), replace(bench, store=straight), way  # type: ignore[arg-type]
        over.client.close()
        straight.client.close()
        return
    sshd: Sshd = request.getfixturevalue("sshd")
    far, known = PurePosixPath(tmp_path / "far"), tmp_path / "known_hosts"
    with wire(sshd.port) as way:
        known.write_text(sshd.known_hosts.read_text().replace(f":{sshd.port}", f":{way.port}"))
        target = replace(
            sshd.target,
            address=replace(sshd.address, port=way.port),
            known_hosts=known,
            silent_s=2.0,
        )
        with SshHost(target) as host, SshHost(sshd.target) as other:
            over_ = SftpStore(host, far, lease_s=LEASE_S)
            straight_ = SftpStore(other, far, lease_s=LEASE_S)
            yield replace(bench, store=over_), replace(bench, store=straight_), way  # type: ignore[arg-type]


def test_a_network_that_is_cut_without_a_word(cuttable: tuple[Bench, Bench, Wire]) -> None:
    """No packet comes through and none comes back: it ends in time, nothing of it is listed, the
    next run is as any other."""
    over, straight, way = cuttable
    straight.fill(**WIDE)
    good = straight.create()
    began = time.monotonic()
    with pytest.raises(StoreFailed) as caught:
        over.on(at_first_bytes(way.cut)).create()
    took_s = time.monotonic() - began
    assert took_s < CUT_S, took_s
    assert re.search(r"cannot write .*(no answer in time|onnection was closed)", str(caught.value))
    assert list(straight.store.names()) == straight.files_of(good)
    made = []

    def created() -> bool:
        try:
            made.append(straight.create())
        except Locked:  # by the lease of the one that was cut off, for as long as it lasts
            return False
        return True

    assert within(10 * LEASE_S, created)
    assert list(straight.store.names()) == straight.files_of(good, *made)
    assert straight.store.sweep("") == ()
    straight.run("DROP TABLE item")
    straight.restore(good.id)
    assert straight.items() == WIDE["rows"]


def test_a_lease_that_was_lost_changes_nothing_more(s3: S3Server, tmp_path: Path) -> None:
    """A process that slept through its lease wakes up: its deletes and commits are refused."""
    ours, theirs = (s3_store(s3.endpoint, tmp_path.name) for _ in range(2))
    ours.put("app.dump", b"x")
    with pytest.raises(StoreFailed, match="is lost"), ours.lock("app", HOLDER):
        (lease,) = ours._leases._held
        lease._renewed -= LEASE_S  # as if it had slept
        with pytest.raises(StoreFailed, match="is lost"):
            ours.delete("app.dump")
        with pytest.raises(StoreFailed, match="is lost"):
            ours.put("app.dump", b"y")
    assert theirs.get("app.dump") == b"x"
    for store in (ours, theirs):
        store.client.close()


def test_refusals_are_in_our_words_and_without_keys(s3: S3Server) -> None:
    canary = "canary-of-a-secret-key"
    wrong = replace(
        s3_options(s3.endpoint, "backups"),
        values={"AWS_ACCESS_KEY_ID": Secret(ACCESS_KEY), "AWS_SECRET_ACCESS_KEY": Secret(canary)},
    )
    nobody = replace(wrong, values={**wrong.values, "AWS_ACCESS_KEY_ID": Secret("nobody")})
    elsewhere = s3_options(s3.endpoint, "no-such-bucket")
    for options, said in ((wrong, "Signature"), (nobody, "AccessKey"), (elsewhere, "NoSuchBucket")):
        store = S3Store(options)
        with pytest.raises(StoreFailed, match=said) as caught:
            store.names()
        shown = f"{caught.value} {caught.value.details} {caught.value.hint}"
        assert caught.value.hint
        assert canary not in shown
        assert SECRET_KEY not in shown
        store.client.close()


def test_hostile_keys_are_not_ours(s3: S3Server, tmp_path: Path) -> None:
    client, prefix = s3_client(s3.endpoint), tmp_path.name
    store = s3_store(s3.endpoint, prefix)
    store.put("app.dump", b"x")
    for key in (".hidden", "-rf", "a b", "ä", "x" * 220, "deep/down.json", "&lt;b&gt;"):
        client.put_object(Bucket="backups", Key=f"{prefix}/{key}", Body=b"x")
    client.put_object(Bucket="backups", Key=f"{prefix}_test/app.dump", Body=b"x")
    client.close()
    assert store.names() == ("app.dump",)
    store.client.close()


def test_a_prefix_of_any_letters(s3: S3Server, tmp_path: Path) -> None:
    """Keys come encoded in a listing."""
    store = s3_store(s3.endpoint, f"{tmp_path.name}/a b+c/ü&'%20")
    store.put("app.dump", b"x")
    assert store.names() == ("app.dump",)
    with store.lock("app", HOLDER), pytest.raises(Locked), store.lock("app", HOLDER):
        pytest.fail("two hold it")
    store.client.close()


def test_pages(s3: S3Server, tmp_path: Path) -> None:
    """A listing answers a thousand keys at a time."""
    store = s3_store(s3.endpoint, tmp_path.name)
    names = [f"n{number:04}" for number in range(1005)]

    def put(part: list[str]) -> None:
        for name in part:
            store.put_key(store.key(name), b"")

    threads = [threading.Thread(target=put, args=(names[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(store.names()) == names
    store.client.close()


def _victim(
    folder: str, user: str, name: str, tools: str, endpoint: str, prefix: str, directory: str
) -> None:
    """Backs up and kills itself once a part is under way."""
    store: Store = s3_store(endpoint, prefix)
    clock = SystemClock()

    def die() -> None:
        time.sleep(0.5)  # so that a part is there
        os.kill(os.getpid(), signal.SIGKILL)

    create(
        Database(Dsn(folder, 5432, user, Secret(""), name), ClientTools(folder=Path(tools))),
        store,
        CreateOptions("prod", HOLDER),
        host=LocalHost(),
        directory=Path(directory),
        progress=Progress(at_first_bytes(die), clock),
        clock=clock,
    )


if __name__ == "__main__":
    _victim(*sys.argv[1:])
