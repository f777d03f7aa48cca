"""What nothing encrypts does not leave this machine, whichever verb would send it."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cli.conftest import Run

FAR = """
[backup]
store = "s3://shop-backups/local"
endpoint = "http://127.0.0.1:1"
"""


def test_a_backup_in_the_clear_is_refused_before_anything_is_sent(
    project: Path, stockctl: Run
) -> None:
    """`backup create` goes on where other things of an environment are wrong; not with this."""
    with (project / "environments" / "local.toml").open("a") as file:
        file.write(FAR)
    ended = stockctl("backup", "create", "local", "--json")
    assert ended.code == 3
    assert ended.document["error"]["code"] == "CONFIGURATION"
    assert "recipients" in ended.document["error"]["message"]
    validated = stockctl("env", "validate", "local", "--json")
    assert "E039" in {each["code"] for each in validated.document["findings"]}
