"""The verbs of `backup`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyrage


def test_verify_and_drill(stockctl: Any, project: Path) -> None:
    made = stockctl("backup", "create", "local", "--json").document["data"]["backup"]
    assert (made["verified"], made["drilled_at"]) == ("bytes", None)
    (checked,) = stockctl("backup", "verify", "local", "--json").document["data"]["checked"]
    assert (checked["id"], checked["ok"], checked["depth"]) == (made["id"], True, "archive")
    done = stockctl("backup", "verify", "local", "--drill", "--json")
    assert done.code == 0, done.err
    (checked,) = done.document["data"]["checked"]
    assert checked["rows_match"] is True
    assert checked["restore_s"] > 0
    folder = project / ".stockctl" / "local"
    assert not (folder / "drill").exists()
    (listed,) = stockctl("backup", "list", "local", "--json").document["data"]["backups"]
    assert listed["restore_s"] == checked["restore_s"]
    assert listed["drilled_on"].startswith("an embedded PostgreSQL ")
    assert "drilled" in stockctl("backup", "list", "local").out
    assert "would be pinned" in stockctl("backup", "pin", "local", "--plan").out
    assert "(pinned)" not in stockctl("backup", "show", "local").out
    assert stockctl("backup", "pin", "local").code == 0
    shown = stockctl("backup", "show", "local", "--backup", made["id"]).out
    assert "(pinned)" in shown
    assert f", drilled on {listed['drilled_on']}" in shown
    assert stockctl("backup", "undo", "local", "--yes").code == 4  # no restore yet


def test_verify_all_goes_on_after_a_broken_one(stockctl: Any, project: Path) -> None:
    store = project / ".stockctl" / "local" / "backups"
    for _ in range(2):
        assert stockctl("backup", "create", "local").code == 0
    first, second = sorted(store.glob("*.zst"))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 4
    first.write_bytes(bytes(data))
    done = stockctl("backup", "verify", "local", "--all", "--json")
    assert done.code == 8
    checked = {each["id"]: each["ok"] for each in done.document["data"]["checked"]}
    assert checked == {second.name.split(".")[1]: True, first.name.split(".")[1]: False}
    assert "FAILED" in stockctl("backup", "list", "local").out
    assert stockctl("backup", "verify", "local", "--all", "--backup", "x").code == 2
    assert stockctl("backup", "verify", "local", "--on-server").code == 2
    manifest = next(store.glob(f"{second.name.split('.zst')[0].removesuffix('.dump')}.json"))
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "rows": 7}))
    assert stockctl("backup", "verify", "local", "--all").code == 8


def test_a_rollback_that_would_lose_rows_is_refused_before_its_backup(
    stockctl: Any, project: Path
) -> None:
    (project / "migrations" / "0013_a.sql").write_text(
        "CREATE TABLE a (id int); INSERT INTO a VALUES (1);"
    )
    (project / "migrations" / "0013_a.rollback.sql").write_text("DROP TABLE a;")
    assert stockctl("db", "migrate", "local").code == 0
    back = ("db", "rollback", "local", "--steps", "1", "--yes")
    done = stockctl(*back)
    assert (done.code, "table public.a: 1 row" in done.err) == (4, True)
    assert stockctl("backup", "list", "local", "--json").document["data"]["backups"] == []
    assert stockctl(*back, "--allow-data-loss").code == 0
    assert len(stockctl("backup", "list", "local", "--json").document["data"]["backups"]) == 1


def test_a_key_of_somebody_else_is_a_matter_of_configuration(stockctl: Any, project: Path) -> None:
    ours, other = (pyrage.x25519.Identity.generate() for _ in range(2))
    file = project / "environments" / "local.toml"
    key = project / "key.txt"
    key.write_text(f"{other}\n")
    key.chmod(0o600)
    public = str(ours.to_public())
    table = f'\n[backup]\nrecipients = ["{public}"]\nidentity_file = "../key.txt"\n'
    file.write_text(file.read_text() + table)
    assert stockctl("backup", "create", "local").code == 0
    for verb in (("verify",), ("verify", "--all"), ("verify", "--drill"), ("restore", "--plan")):
        done = stockctl("backup", verb[0], "local", *verb[1:])
        assert done.code == 3, done.err
        assert "is not for the key in" in done.out + done.err
        assert public in done.err
        assert str(other) not in done.out + done.err
    key.write_text(f"{other}\n{ours}\n")
    assert stockctl("backup", "verify", "local").code == 0
