"""A prune takes backups away from under those who hold no lock: who lists, verifies, chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.integration.backup.conftest import FILES, HOLDER, Bench

from stockctl.backup.catalog import list_backups, named, open_backup
from stockctl.backup.manifest import Backup
from stockctl.backup.overview import overview
from stockctl.backup.pin import set_pinned
from stockctl.backup.stores.base import Entry
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.verification import verify
from stockctl.core.clock import SystemClock
from stockctl.core.errors import Refused, StoreFailed
from stockctl.core.progress import Event, Progress, silent


@dataclass
class Busy(DirectoryStore):
    """Somebody else removes a backup right after it was listed."""

    path: Path
    victim: Backup
    parts: int = len(FILES)
    _make_to_list: bool = False
    done: list[str] = field(default_factory=list)

    def entries(self) -> Mapping[str, Entry]:
        found = super().entries()
        if not self.done:
            # as prune does it: the manifest, what was found out, the object
            for name in (FILES[1], FILES[2], FILES[0])[: self.parts]:
                self.done.append(name(self.victim))
                self.delete(self.done[-1])
        return found


@pytest.fixture
def two(bench: Bench) -> tuple[Backup, Backup]:
    bench.fill(10)
    return bench.create(), bench.create()


@pytest.mark.parametrize("look", [list_backups, overview])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_list_is_of_what_is_left(
    bench: Bench, two: tuple[Backup, Backup], look: Callable[..., object], parts: int
) -> None:
    old, new = two
    found = look(Busy(bench.store.path, old, parts), "prod")
    assert [each.id for each in found.backups] == [new.id]  # type: ignore[attr-defined]
    assert found.invalid == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize("look", [list_backups, overview])
def test_one_that_cannot_be_read_is_not_one_that_is_gone(
    bench: Bench, two: tuple[Backup, Backup], look: Callable[..., object]
) -> None:
    assert two

    class Failing(DirectoryStore):
        def get(self, name: str) -> bytes:
            raise StoreFailed(f"cannot read {name}")

    with pytest.raises(StoreFailed):
        look(Failing(bench.store.path), "prod")


def test_one_that_was_chosen_and_went(bench: Bench, two: tuple[Backup, Backup]) -> None:
    old, new = two
    chosen = named(overview(bench.store, "prod"), old.id)
    plan = bench.plan(old.id)
    for name in FILES:
        bench.store.delete(name(old))
    with pytest.raises(Refused, match=f"{old.id} is not in .* any more") as caught:
        open_backup(bench.store, chosen)
    assert "backup list prod" in caught.value.hint
    ports = bench.ports()
    del ports["clock"], ports["progress"]
    with pytest.raises(Refused, match="any more"):
        set_pinned(old, bench.store, pinned=True, lock_holder=HOLDER, **ports)
    bench.run("INSERT INTO item VALUES (0, 'later')")
    with pytest.raises(Refused, match="any more"):
        bench.carry_out(plan)
    assert bench.items() == 11
    assert bench.files() == bench.files_of(new)


def test_one_that_goes_while_it_is_verified_is_not_called_broken(
    bench: Bench, two: tuple[Backup, Backup]
) -> None:
    old, new = two

    def remove(event: Event) -> None:
        if type(event).__name__ == "StepStarted":
            for name in FILES:
                bench.store.delete(name(old))

    clock = SystemClock()
    found = verify(old, bench.store, None, progress=Progress(remove, clock), clock=clock)
    assert (found.ok, found.removed) == (False, True)
    assert "removed" in found.reason
    assert bench.files() == bench.files_of(new)  # no record of what is not there
    broken = replace(new, sha256="0" * 64)
    found = verify(broken, bench.store, None, progress=Progress(silent, clock), clock=clock)
    assert (found.ok, found.removed) == (False, False)
