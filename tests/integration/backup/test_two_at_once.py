"""Two stockctls at once, as two people or a person and cron start them: real processes, a store
in a folder and one in S3. Whoever comes second is told who is at work; nothing good is lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from tests.children import untraced
from tests.integration.backup.conftest import Bench
from tests.remotes import ACCESS_KEY, SECRET_KEY, S3Server, s3_options

from stockctl.backup.catalog import list_backups
from stockctl.backup.checks import checks_name
from stockctl.backup.manifest import Backup, new_id
from stockctl.backup.stores.base import Store
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.stores.s3 import S3Store
from stockctl.system.journal_file import operator

STOCKCTL = Path(sys.executable).with_name("stockctl")
TOML = """\
[database]
url = "{url}"

[backup]
store = "{store}"
plaintext = "the rows of a test"
keep = {{ last = 1 }}
minimum = 1
"""
# Restored row by row, each in its time: long enough to be stopped in the middle.
SLOW = """
CREATE FUNCTION slow() RETURNS bool LANGUAGE sql AS 'SELECT pg_catalog.pg_sleep(0.5) IS NOT NULL';
CREATE TABLE slow (id int); INSERT INTO slow SELECT generate_series(1, 10);
ALTER TABLE slow ADD CHECK (slow()) NOT VALID
"""
LOCKED = 5


@dataclass(frozen=True)
class Shop:
    """A project whose commands can be typed; `store` is what they find."""

    root: Path
    store: Store
    bench: Bench

    def argv(self, *words: str) -> list[str]:
        return [str(STOCKCTL), "--root", str(self.root), "backup", *words]

    def environment(self) -> dict[str, str]:
        tools = self.bench.database.tools.folder
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        return untraced({**os.environ, **keys, "PATH": f"{tools}:{os.environ['PATH']}"})

    def type(self, *words: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            self.argv(*words, "--json"),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, document

    @contextmanager
    def typing(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """At work, in a process of its own; it has ended well when the block has."""
        argv, pipe = self.argv(*words), subprocess.PIPE
        with subprocess.Popen(
            argv, env=self.environment(), stdout=subprocess.DEVNULL, stderr=pipe, text=True
        ) as process:
            try:
                yield process
                said = process.stderr.read() if process.stderr else ""
                assert process.wait(120) == 0, said
            finally:
                process.kill()

    def ids(self) -> set[str]:
        catalogue = list_backups(self.store, "one")
        assert catalogue.invalid == ()
        return {each.id for each in catalogue.backups}

    def require_all_whole(self) -> None:
        code, document = self.type("verify", "one", "--all")
        assert code == 0, json.dumps(document)
        assert {each["id"] for each in document["data"]["checked"]} == self.ids()

    def require_turned_away(self, doing: str, *verbs: tuple[str, ...]) -> None:
        """All of them at the same time, by whoever is at work."""
        with ThreadPoolExecutor(len(verbs)) as pool:
            ended = list(pool.map(lambda words: self.type(*words), verbs))
        for words, (code, document) in zip(verbs, ended, strict=True):
            assert code == LOCKED, (words, document)
            error = document["error"]
            assert (error["code"], error["exit_code"]) == ("LOCKED", LOCKED)
            assert operator() in error["message"]
            assert doing in error["message"]
            assert error["retry_after_s"] > 0

    def age(self, backup: Backup, count: int) -> list[Backup]:
        """So many older ones with the same bytes, each as good as the first."""
        made, data = [], self.store.get(backup.object)
        for days in range(1, count + 1):
            moment = backup.created_at - timedelta(days=days)
            older = replace(backup, id=new_id(moment, "00aa"), created_at=moment)
            self.store.put(older.object, data)
            self.store.put(checks_name(older), self.store.get(checks_name(backup)))
            self.store.put(older.manifest, older.to_json())
            made.append(older)
        return made


def shop_in(root: Path, bench: Bench, place: str, store: Store) -> Shop:
    environments = root / "environments"
    environments.mkdir(parents=True)
    toml = TOML.format(url=bench.database.dsn.url().reveal(), store=place)
    (environments / "one.toml").write_text(toml)
    return Shop(root, store, bench)


@pytest.fixture(params=["folder", "s3"])
def shop(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Iterator[Shop]:
    bench.fill(100)
    root, store = tmp_path / "project", tmp_path / "away"
    if request.param == "folder":
        yield shop_in(root, bench, str(store), DirectoryStore(store))
        return
    s3: S3Server = request.getfixturevalue("s3")
    bucket = S3Store(s3_options(s3.endpoint, "backups", tmp_path.name))
    made = shop_in(root, bench, f"s3://backups/{tmp_path.name}", bucket)
    with (root / "environments" / "one.toml").open("a") as file:
        file.write(f'endpoint = "{s3.endpoint}"\n')
    yield made
    bucket.client.close()


def first(shop: Shop) -> Backup:
    code, document = shop.type("create", "one")
    assert code == 0, json.dumps(document)
    (backup,) = list_backups(shop.store, "one").backups
    return backup


def until(said: IO[str] | None, text: str) -> None:
    assert said is not None
    heard = ""
    while text not in heard:
        line = said.readline()
        assert line, heard
        heard += line


OTHERS = (("create", "one"), ("prune", "one", "--yes"), ("restore", "one", "--yes"))


def test_others_during_a_create(shop: Shop) -> None:
    """It waits for somebody's lock on a table, as it may at any time."""
    good = first(shop)
    shop.age(good, 3)
    name = shop.bench.database.dsn.database
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    with (
        shop.bench.database.connect() as holding,
        shop.bench.database.connect() as looking,
    ):
        holding.execute("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        with shop.typing("create", "one", "--label", "the new one"):
            while not looking.execute(waiting, (name,)).fetchone():
                pass
            shop.require_turned_away(
                "backup create", *OTHERS[:2], ("pin", "one", "--backup", good.id)
            )
            assert shop.type("list", "one")[0] == 0
            assert shop.type("prune", "one", "--plan")[0] == 0
            shop.require_all_whole()
            holding.execute("ROLLBACK")
    assert len(shop.ids()) == 5
    shop.require_all_whole()
    assert shop.type("prune", "one", "--yes")[0] == 0
    (left,) = list_backups(shop.store, "one").backups
    assert left.label == "the new one"


def test_others_during_a_prune(shop: Shop) -> None:
    """Its words are read slowly, as on a line over SSH: it stands still in the middle."""
    good = first(shop)
    shop.age(good, 150)
    with shop.typing("prune", "one", "--yes", "-v") as process:
        until(process.stderr, "removed ")
        process.send_signal(signal.SIGSTOP)
        listed = shop.ids()
        assert 1 < len(listed) < 151
        shop.require_turned_away("backup prune", *OTHERS)
        shop.require_all_whole()
        assert shop.ids() == listed
        process.send_signal(signal.SIGCONT)
        assert process.stderr is not None
    assert shop.ids() == {good.id}
    shop.require_all_whole()
    assert shop.type("restore", "one", "--yes", "--skip-backup")[0] == 0
    assert shop.bench.items() == 100


def test_others_during_a_restore(shop: Shop) -> None:
    shop.bench.run(SLOW)
    good = first(shop)
    older = shop.age(good, 1)[0]
    shop.bench.run("INSERT INTO item VALUES (0, 'later')")
    words = ("restore", "one", "--yes", "--skip-backup", "--backup", older.id)
    with shop.typing(*words) as process:
        until(process.stderr, "create ")
        process.send_signal(signal.SIGSTOP)
        shop.require_turned_away("backup restore", *OTHERS, ("pin", "one"))
        assert shop.ids() == {good.id, older.id}
        assert shop.bench.items() == 101
        process.send_signal(signal.SIGCONT)
    assert shop.bench.items() == 100
    shop.require_all_whole()


def test_all_at_once_again_and_again(shop: Shop) -> None:
    """Nobody is held back or stopped: whoever gets in does it all, the others are told."""
    good = first(shop)
    shop.age(good, 5)
    assert shop.type("pin", "one", "--backup", good.id)[0] == 0
    verbs = [
        *(("create", "one"), ("prune", "one", "--yes"), ("create", "one")),
        *(("restore", "one", "--yes", "--backup", good.id), ("verify", "one", "--all")),
        *(("list", "one"), ("prune", "one", "--yes")),
    ]
    done = 0
    for _round in range(2):
        with ThreadPoolExecutor(len(verbs)) as pool:
            ended = list(pool.map(lambda words: shop.type(*words), verbs))
        for words, (code, document) in zip(verbs, ended, strict=True):
            allowed = {0} if words[0] in ("verify", "list") else {0, LOCKED}
            assert code in allowed, (words, document)
            assert code != LOCKED or operator() in document["error"]["message"]
            done += code == 0 and words[0] not in ("verify", "list")
    assert done >= 2
    assert good.id in shop.ids()
    shop.require_all_whole()
    assert shop.type("restore", "one", "--yes", "--skip-backup")[0] == 0
    assert shop.bench.items() == 100
