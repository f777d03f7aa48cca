"""Commands that must not be held up by a mistake that does not concern them."""

from __future__ import annotations

import pytest
from tests.unit.env.conftest import Write

from stockctl.core.errors import ConfigurationError
from stockctl.env.load import load
from stockctl.env.needs import ALL, BACKUP, RECORDS, RELEASES, Needs

SOUND = """
env_file = ".env.prod"
[service]
name = "shop"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 5000
image = "shop"
url = "http://127.0.0.1:5000"
[database]
url = "${DATABASE_URL}"
service = "postgres"
[backup]
store = "/backups"
recipients = []
"""
URL = "postgresql://shop:x@127.0.0.1/shop"
ENV = f"DATABASE_URL={URL}\n"

# what is wrong, and who is not held up by it
TYPOS = {
    "a smoke check without path": ('[[smoke]]\nname = "x"\n', (BACKUP, RELEASES, RECORDS)),
    "an unknown table": ("[deplyo]\nkeep = 3\n", (BACKUP, RELEASES, RECORDS)),
    "a variable of no type": ('[variables.A]\ntype = "strnig"\n', (BACKUP, RELEASES, RECORDS)),
    "retention": ("[backup.keep]\ndayly = 3\n", (BACKUP, RELEASES, RECORDS)),
    "a web service that is not released": ("", (BACKUP, RELEASES, RECORDS)),
    "a deploy setting": ('[deploy]\nhealth_timeout = "60"\n', (BACKUP, RECORDS)),
}


@pytest.mark.parametrize(("toml", "fine"), TYPOS.values(), ids=TYPOS)
def test_a_typo_elsewhere_is_told_and_stops_nobody(
    write: Write, toml: str, fine: tuple[Needs, ...]
) -> None:
    sound = SOUND if toml else SOUND.replace('web = "app"', 'web = "wbe"')
    project = write(prod=sound + toml, env={"prod": ENV})
    for needs in (BACKUP, RELEASES, RECORDS):
        if needs in fine:
            assert load(project, "prod", {}, needs).beside
        else:
            with pytest.raises(ConfigurationError):
                load(project, "prod", {}, needs)
    with pytest.raises(ConfigurationError):
        load(project, "prod", {}, ALL)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('url = "${DATABASE_URL}"', "url = 5"),
        ('url = "${DATABASE_URL}"', 'embedded = "yes"'),
        ('store = "/backups"', "store = 5"),
        ('[backup]\nstore = "/backups"\nrecipients = []\n', "[[backup]]\nstore = 5\n"),
    ],
)
def test_a_table_that_is_of_no_use_stops_no_rollback(write: Write, right: str, wrong: str) -> None:
    project = write(prod=SOUND.replace(right, wrong), env={"prod": ENV})
    loaded = load(project, "prod", {}, RELEASES)
    assert loaded.beside
    assert loaded.environment.project == "shop-prod"
    assert load(project, "prod", {}, RECORDS).beside
    with pytest.raises(ConfigurationError):
        load(project, "prod", {}, BACKUP)


ESSENTIAL = {
    "a store with another name": (SOUND.replace("store =", "stor ="), BACKUP),
    "recipients that are no list": (SOUND.replace("[]", '"age1x"'), BACKUP),
    "recipients below another header": (f"{SOUND}[backup.keep]\nrecipients = []\n", BACKUP),
    "recipients above every header": (f"recipients = []\n{SOUND}", BACKUP),
    "recipients in a misspelt table": (SOUND.replace("[backup]", "[bakup]"), BACKUP),
    "no database url": (SOUND.replace("DATABASE_URL", "GONE"), BACKUP),
    "no service name": (SOUND.replace('name = "shop"', ""), BACKUP),
    "nothing that is released": (SOUND.replace('["app"]', '"app"'), RELEASES),
}


@pytest.mark.parametrize(("toml", "needs"), ESSENTIAL.values(), ids=ESSENTIAL)
def test_what_a_command_uses_has_to_be_right(write: Write, toml: str, needs: Needs) -> None:
    project = write(prod=toml, env={"prod": ENV})
    with pytest.raises(ConfigurationError):
        load(project, "prod", {}, needs)


def test_what_is_needed_is_as_written_whatever_else_is_wrong(write: Write) -> None:
    toml = SOUND.replace("5000\nimage", '"x"\nimage').replace('image = "shop"', "image = 3")
    loaded = load(write(prod=toml, env={"prod": ENV}), "prod", {}, BACKUP)
    settings = loaded.environment
    assert settings.project == "shop-prod"
    assert settings.backup.store == "/backups"
    assert settings.database is not None
    assert settings.database.url is not None
    assert settings.database.url.reveal() == URL
    assert len(loaded.beside) == 2


def test_an_env_file_that_is_not_there_stops_who_needs_a_value_of_it(write: Write) -> None:
    project = write(prod=SOUND)
    assert load(project, "prod", {}, RELEASES).beside
    with pytest.raises(ConfigurationError):
        load(project, "prod", {}, BACKUP)
    process = {"DATABASE_URL": URL}
    assert load(project, "prod", process, BACKUP).environment.database is not None


def test_toml_that_cannot_be_read_stops_everybody(write: Write) -> None:
    project = write(prod="x = [\n")
    for needs in (BACKUP, RELEASES, RECORDS):
        with pytest.raises(ConfigurationError):
            load(project, "prod", {}, needs)
