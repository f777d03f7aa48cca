"""What is built of an environment that is not sound in all its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.cli.session import Session
from stockctl.cli.wiring import open_environment
from stockctl.env.needs import RELEASES

SERVICE = """
[service]
name = "shop"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 80
image = "shop"
url = "http://127.0.0.1"
"""


@pytest.mark.parametrize(
    ("database", "why"),
    [
        ('[database]\nurl = "postgresql://a@h/d"\nembedded = true\n', "[database] is not sound"),
        ('[database]\nurl = "mysql://a@h/d"\n', "database.url"),
        ("", ""),
    ],
)
def test_a_rollback_that_cannot_look_at_the_database_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], database: str, why: str
) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "compose.yaml").write_text("services:\n  app:\n    image: shop\n")
    (tmp_path / "environments" / "prod.toml").write_text(SERVICE + database)
    session = Session()
    session.root = tmp_path
    with open_environment(session, "prod", needs=RELEASES).site() as site:
        assert site.database is None
    said = capsys.readouterr().err
    assert ("contract migrations are not looked for" in said) == bool(why)
    assert why in said
