"""`db repair`, `db migrate --allow-out-of-order` on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cli.conftest import Run


def test_a_migration_is_repaired_by_word(stockctl: Run, project: Path) -> None:
    assert stockctl("db", "migrate", "local", "-q").code == 0
    first = sorted(project.glob("migrations/*_*[!k].sql"))[0]
    identity = first.stem
    first.write_text(f"{first.read_text()}-- one comment more\n")

    vague = stockctl("db", "repair", "local", "--yes")
    assert vague.code == 2
    assert f"{identity} is changed:" in vague.err
    assert "--as accepted: the file as it is now gives the schema" in vague.err

    accept = ("db", "repair", "local", "--migration", identity[:4], "--as", "accepted")
    unasked = stockctl(*accept)
    assert (unasked.code, "nobody confirmed it" in unasked.err) == (4, True)
    done = stockctl(*accept, "--yes", "--json").document["data"]
    assert done["repaired"] == [{"id": identity, "was": "changed", "as": "accepted"}]
    assert stockctl("db", "repair", "local", "--plan").out == "nothing to repair\n"
    [journal] = project.rglob("journal.jsonl")
    assert f"db repair {identity} as accepted" in journal.read_text()


def test_out_of_order_says_how(stockctl: Run, project: Path) -> None:
    for path in project.glob("migrations/*.sql"):
        path.unlink()
    _write(project, "0500_last")
    assert stockctl("db", "migrate", "local", "-q").code == 0
    _write(project, "0400_late")
    refused = stockctl("db", "migrate", "local")
    assert refused.code == 4
    assert "stockctl db migrate local --allow-out-of-order" in refused.err
    done = stockctl("db", "migrate", "local", "--allow-out-of-order", "--json")
    assert [each["id"] for each in done.document["data"]["applied"]] == ["0400_late"]


def _write(project: Path, name: str) -> None:
    (project / "migrations" / f"{name}.sql").write_text(f"CREATE TABLE t{name} ();\n")
    (project / "migrations" / f"{name}.rollback.sql").write_text(f"DROP TABLE t{name};\n")
