"""`env generate`: strong values for what is missing, and no other byte."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest
from tests.integration.env.conftest import CANARY, ENV, STRONG, Place, values_of


def changed_lines(before: str, after: str) -> list[str]:
    found = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line[:2] + line[2:].partition("=")[0] for line in found if line[0] in "+-"]


def rotate(place: Place, key: str, *more: str) -> tuple[int, str]:
    ended = place.run("env", "rotate", "prod", "--key", key, "--confirm", "prod", *more)
    return ended.code, ended.out + ended.err


def test_missing_and_empty_secrets_get_a_value(place: Place) -> None:
    place.plain.write_text("# top\r\nPUBLIC_URL=\r\nPOSTGRES_PASSWORD= # here\r\nX=1")
    ended = place.run("env", "generate", "prod", "--json")
    assert ended.document["data"] == {
        "generated": ["SESSION_SECRET", "POSTGRES_PASSWORD"],
        "missing": ["PUBLIC_URL"],
        "file": "environments/.env.prod",
    }
    text = place.plain.read_bytes().decode()
    pattern = (
        "# top\r\nPUBLIC_URL=\r\nPOSTGRES_PASSWORD=(\\w{48}) # here\r\nX=1\r\n"
        "SESSION_SECRET=(\\w{48})\r\n"
    )
    found = re.fullmatch(pattern, text)
    assert found
    assert found[1] != found[2]
    assert not any(value in ended.out + ended.err for value in found.groups())
    before = place.files()
    again = place.run("env", "generate", "prod")
    assert (again.code, "nothing to generate" in again.out) == (0, True)
    assert "PUBLIC_URL is for you to set" in again.out
    assert place.files() == before


def test_the_plan_writes_nothing(place: Place) -> None:
    place.plain.unlink()
    before = place.files()
    ended = place.run("env", "generate", "prod", "--plan", "--json")
    assert ended.document["data"]["planned"] == ["SESSION_SECRET", "POSTGRES_PASSWORD"]
    assert ended.document["data"]["generated"] == []
    assert place.files() == before


def test_a_placeholder_is_replaced_only_with_the_name_of_the_protected(place: Place) -> None:
    text = ENV.replace(f"POSTGRES_PASSWORD={CANARY}1", "POSTGRES_PASSWORD=changeme")
    place.plain.write_text(text)
    assert place.run("env", "generate", "prod").code == 4
    assert place.run("env", "generate", "prod", "--yes").code == 4
    assert place.plain.read_text() == text
    assert place.run("env", "generate", "prod", "--confirm", "prod").code == 0
    after = place.plain.read_text()
    assert changed_lines(text, after) == ["- POSTGRES_PASSWORD", "+ POSTGRES_PASSWORD"]


def test_a_file_that_is_not_there_comes_from_its_example(place: Place) -> None:
    example = f"# copy me\nPUBLIC_URL=https://a.example.com\nSESSION_SECRET={CANARY}\n"
    place.plain.with_name(".env.prod.example").write_text(example)
    place.plain.unlink()
    ended = place.run("env", "generate", "prod")
    assert ended.code == 0
    text = place.plain.read_text()
    assert text.startswith("# copy me\nPUBLIC_URL=https://a.example.com\nSESSION_SECRET=")
    assert CANARY not in text  # what is in the example is everybody's
    assert place.plain.stat().st_mode & 0o777 == 0o600
    assert all(
        STRONG.fullmatch(values_of(text)[k]) for k in ("SESSION_SECRET", "POSTGRES_PASSWORD")
    )


def test_without_an_example_it_has_what_is_declared(place: Place) -> None:
    place.plain.unlink()
    assert place.run("env", "generate", "prod").code == 0
    assert list(values_of(place.plain.read_text())) == [
        "SESSION_SECRET",
        "POSTGRES_PASSWORD",
        "PUBLIC_URL",
    ]


def test_a_sealed_file_is_filled_in_and_made(sealed: Place) -> None:
    sealed.toml.with_name("base.toml").write_text(
        sealed.toml.with_name("base.toml").read_text()
        + '[variables.CSRF_SECRET]\ntype = "secret"\nrequired = true\n'
    )
    assert sealed.run("env", "generate", "prod").code == 0
    added = sealed.opened().removeprefix(ENV)
    assert re.fullmatch(r"CSRF_SECRET=\w{48}\n", added)
    before = sealed.sealed.read_bytes()
    assert sealed.run("env", "generate", "prod").code == 0
    assert sealed.sealed.read_bytes() == before
    sealed.sealed.unlink()
    assert sealed.run("env", "generate", "prod").code == 0
    assert "CSRF_SECRET" in sealed.opened()
    assert not sealed.plain.exists()


def test_the_other_form_of_the_file_is_not_overlooked(sealed: Place) -> None:
    """Somebody's secrets are in it; new ones are not what is wanted."""
    sealed.toml.write_text(sealed.toml.read_text().replace("prod.env.age", ".env.prod"))
    ended = sealed.run("env", "generate", "prod")
    assert (ended.code, "stockctl env unseal prod" in ended.err) == (3, True)
    assert sealed.run("env", "unseal", "prod", "--confirm", "prod").code == 0
    sealed.sealed.unlink()
    sealed.toml.write_text(sealed.toml.read_text().replace(".env.prod", "prod.env.age"))
    ended = sealed.run("env", "generate", "prod")
    assert (ended.code, "stockctl env seal prod" in ended.err) == (3, True)
    assert sealed.run("env", "seal", "prod", "--confirm", "prod").code == 0
    assert sealed.opened() == ENV


@pytest.mark.parametrize(
    "text", [f"A='{CANARY}\nSESSION_SECRET=\n", "A=1\nnonsense\n", "A=\0\n", "A=\udcff\n"]
)
def test_a_file_that_does_not_parse_is_left_alone(place: Place, text: str) -> None:
    raw = text.encode(errors="surrogateescape")
    place.plain.write_bytes(raw)
    for line in (("generate",), ("rotate", "--key", "SESSION_SECRET")):
        ended = place.run("env", *line, "prod", "--confirm", "prod")
        assert (ended.code, "environments/.env.prod:" in ended.err) == (3, True)
    assert place.plain.read_bytes() == raw


def test_a_link_a_folder_and_a_loop(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "real.env"
    target.write_text(ENV)
    target.chmod(0o644)
    place.plain.unlink()
    place.plain.symlink_to(target)
    assert rotate(place, "SESSION_SECRET")[0] == 0
    assert place.plain.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert f"SESSION_SECRET_PREVIOUS = '{CANARY}0'" in target.read_text()
    place.plain.unlink()
    place.plain.symlink_to(place.plain.name)
    assert rotate(place, "SESSION_SECRET")[0] == 3
    place.plain.unlink()
    place.plain.mkdir()
    assert rotate(place, "SESSION_SECRET")[0] == 3
