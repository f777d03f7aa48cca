"""The compose file of a schedule: not root, nothing writable but what has to be, no secrets."""

from __future__ import annotations

from pathlib import Path

import yaml

from stockctl.backup.schedule import job
from stockctl.backup.schedule_compose import Box, compose_file, heading

ROOT = Path("/srv/it's $ours: 100%")
JOB = job("prod", ROOT, Path("/unused"), "0 3 * * *", {"HOME": "/root", "PATH": "/bin"})
BOX = Box("shop-prod-backup", "stockctl:1", "1001:1002", (ROOT,), (ROOT / ".stockctl/prod",))


def test_what_the_container_may() -> None:
    text = compose_file(JOB, BOX)
    assert text.startswith(heading(JOB))
    document = yaml.safe_load(text)
    assert document["name"] == "shop-prod-backup"
    service = document["services"]["backup"]
    assert service["user"] == "1001:1002"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["pull_policy"] == "never"
    mounts = {each["source"]: each["read_only"] for each in service["volumes"]}
    literal = str(ROOT).replace("$", "$$")  # or Compose looks for a variable
    assert mounts == {literal: True, f"{literal}/.stockctl/prod": False}
    assert service["command"] == [
        *("--root", literal, "--no-input"),
        *("backup", "schedule", "prod", "--run"),
    ]
    assert "environment" not in service


def test_an_identity_is_named_and_not_held() -> None:
    key = Path("/etc/keys/age.txt")
    box = Box("p", "i", "1:1", (ROOT, key), (), (("STOCKCTL_IDENTITY_FILE", str(key)),))
    service = yaml.safe_load(compose_file(JOB, box))["services"]["backup"]
    assert service["environment"] == {"STOCKCTL_IDENTITY_FILE": "/etc/keys/age.txt"}
