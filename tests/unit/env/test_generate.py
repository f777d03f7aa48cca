"""Which secrets get a value, and what it is like."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from stockctl.core.errors import ConfigurationError, UsageError
from stockctl.core.secret import Secret
from stockctl.env.dotenv import EnvFile, parse_env_file
from stockctl.env.generate import (
    apply_plan,
    first_text,
    plan_generate,
    require_rotatable,
    rotate,
    strong_value,
    why_not_generated,
)
from stockctl.env.model import Environment
from stockctl.env.variable import Variable

GOOD = "Zk3vQ9xW2mN7bR5tY8pL4cH6jD1fG0sAwE"
SECRET = {"type": "secret", "required": True}


def environment(**variables: dict[str, object]) -> Environment:
    return Environment.model_validate(
        {
            "name": "prod",
            "host": {"directory": "/x"},
            "backup": {"store": "x"},
            "variables": variables,
        }
    )


def parsed(text: str) -> EnvFile:
    return parse_env_file(Path(".env"), ".env", text.encode(), {})


def variable(**fields: object) -> Variable:
    return Variable.model_validate({"type": "secret", **fields})


def planned(text: str, example: str = "", **variables: dict[str, object]) -> tuple[str, ...]:
    known = parsed(example).values()
    return plan_generate(environment(**variables), parsed(text), known).secrets


def test_a_value_is_long_and_plain_and_new() -> None:
    found = {strong_value(variable()) for _ in range(200)}
    assert len(found) == 200
    assert all(re.fullmatch("[A-Za-z0-9]{48}", value) for value in found)
    assert set("".join(found)) == set(string.ascii_letters + string.digits)


def test_a_value_is_as_long_as_asked_for() -> None:
    assert len(strong_value(variable(min_length=16))) == 48
    assert len(strong_value(variable(min_length=100))) == 100


@pytest.mark.parametrize(
    "pattern",
    ["[0-9a-f]{64}", "[0-9A-F]{32}", "[A-Za-z0-9]{40,}", "[a-f0-9]+", ".{128}", "[A-Za-z0-9]{32}"],
)
def test_a_value_matches_its_pattern(pattern: str) -> None:
    assert re.fullmatch(pattern, strong_value(variable(pattern=pattern)))


@pytest.mark.parametrize(
    "fields",
    [{"pattern": "sk_[a-z]+"}, {"pattern": "[0-9a-f]{16}"}, {"allowed": ["a", "b"]},
     {"pattern": "[0-9a-f]{40}", "min_length": 41}],
)  # fmt: skip
def test_what_cannot_be_generated_is_left_to_a_person(fields: dict[str, object]) -> None:
    assert why_not_generated(variable(**fields))
    declared = {"type": "secret", "required": True, **fields}
    plan = plan_generate(environment(K=declared), parsed("K=\n"), {})
    assert plan.secrets == ()
    assert [key for key, _ in plan.missing] == ["K"]
    with pytest.raises(UsageError):
        require_rotatable(environment(K=declared), "K")


def test_chance_never_gives_a_weak_value() -> None:
    """The first dice fall so that a rule would refuse the value; they are thrown again."""
    weak = iter(["changeme" * 6, "1234567890" * 5, "ab" * 24, GOOD + GOOD[:14]])
    letters = iter("")

    def choose(_alphabet: object) -> str:
        nonlocal letters
        letter = next(letters, None)
        if letter is None:
            letters = iter(next(weak)[:48])
            letter = next(letters)
        return letter

    assert strong_value(variable(), choose) == (GOOD + GOOD)[:48]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", True),
        ("K=\n", True),
        ('K=""\n', True),
        ("K=changeme\n", True),
        ("K=your-secret-here\n", True),
        (f"K={GOOD}\n", False),
        (f"K=changeme\nK={GOOD}\n", False),
        (f"K={GOOD}\nK=\n", True),
        ("#K=\n", True),
    ],
)
def test_what_a_required_secret_needs(text: str, wanted: bool) -> None:
    assert planned(text, K=SECRET) == (("K",) if wanted else ())


def test_an_optional_secret_is_filled_only_where_it_stands() -> None:
    optional = {"type": "secret"}
    assert planned("", K=optional) == ()
    assert planned("K=\n", K=optional) == ("K",)
    assert planned("K=changeme\n", K=optional) == ("K",)
    assert planned(f"K={GOOD}\n", K=optional) == ()


def test_the_value_of_the_example_file_is_no_secret() -> None:
    assert planned(f"K={GOOD}\n", f"K={GOOD}\n", K=SECRET) == ("K",)


def test_other_environments_and_deprecated_ones_are_left_alone() -> None:
    assert planned("", K={**SECRET, "only_in": ["staging"]}) == ()
    assert planned("", K={**SECRET, "only_in": ["production"]}) == ("K",)
    assert planned("", K={**SECRET, "only_in": ["prod"]}) == ("K",)
    assert planned("K=\n", K={**SECRET, "deprecated": "use L"}) == ()


def test_a_previous_value_is_not_made_up() -> None:
    assert planned("K_PREVIOUS=\n", K=SECRET, K_PREVIOUS={"type": "secret"}) == ("K",)


def test_what_a_person_must_set() -> None:
    plan = plan_generate(
        environment(
            K=SECRET,
            URL={"type": "url", "required": True, "description": "Where it is."},
            PORT={"type": "port", "required": True},
            SET={"required": True},
            OPTIONAL={"type": "int"},
            API_KEY={"secret": True, "required": True},
        ),
        parsed("SET=1\nPORT=\nOPTIONAL=\n"),
        {},
    )
    assert plan.secrets == ("K",)
    assert plan.missing == (("URL", "Where it is."), ("PORT", "port"), ("API_KEY", "string"))


def test_the_rest_of_the_file_stays() -> None:
    text = "\ufeff# hello\r\nexport K = 'changeme' # why\r\n\r\nA=1"
    declared = environment(K=SECRET, L=SECRET)
    plan = plan_generate(declared, parsed(text), {})
    assert plan.placeholders == ("K",)
    changed = apply_plan(text, plan, declared)
    pattern = (
        "\ufeff# hello\r\nexport K = '[A-Za-z0-9]{48}' # why\r\n\r\nA=1\r\nL=[A-Za-z0-9]{48}\r\n"
    )
    assert re.fullmatch(pattern, changed)
    assert plan_generate(declared, parsed(changed), {}).secrets == ()


def test_a_first_file_has_what_is_declared() -> None:
    declared = environment(
        K={**SECRET, "description": "Signs\nsessions."},
        NODE_ENV={"required": True, "allowed": ["production"]},
        MODE={"required": True, "allowed": ["a b"]},
        LOG={"description": "How much."},
        OLD={"required": True, "deprecated": True},
        ELSEWHERE={"required": True, "only_in": ["staging"]},
    )
    assert first_text(declared) == (
        "# Signs sessions.\nK=\nNODE_ENV=production\nMODE=\n# How much.\n# LOG=\n"
    )


def rotated(text: str, key: str = "K", **more: dict[str, object]) -> tuple[str, object]:
    done = rotate(environment(**{"K": SECRET, **more}), parsed(text), key, parsed)
    return done.text.reveal(), done


def test_the_old_value_is_kept_where_it_is_declared() -> None:
    text, done = rotated(f"K='{GOOD}' # why\nZ=1\n", K_PREVIOUS={"type": "secret"})
    assert re.fullmatch(rf"K='[A-Za-z0-9]{{48}}' # why\nK_PREVIOUS='{GOOD}'\nZ=1\n", text)
    assert done.previous == "K_PREVIOUS"
    again, _ = rotated(text, K_PREVIOUS={"type": "secret"})
    new = parsed(text).values()["K"]
    assert parsed(again).values()["K_PREVIOUS"] == new
    assert parsed(again).values()["K"] not in (new, Secret(GOOD))
    assert GOOD not in again


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        (f"K={GOOD}\n", {}, "is not declared"),
        ("", {"K_PREVIOUS": {"type": "secret"}}, "had no value"),
        ("K=\nK_PREVIOUS=x\n", {"K_PREVIOUS": {"type": "secret"}}, "had no value"),
        ("K=changeme\nK_PREVIOUS=x\n", {"K_PREVIOUS": {"type": "secret"}}, "was a placeholder"),
    ],
)
def test_what_is_not_worth_keeping(text: str, more: dict[str, dict[str, object]], why: str) -> None:
    after, done = rotated(text, **more)
    assert done.previous is None
    assert why in done.why_not_kept
    before = parsed(text).values()
    assert {**parsed(after).values(), "K": None} == {**before, "K": None}


def test_a_copy_that_would_mean_something_else_is_refused() -> None:
    text = f"K_PREVIOUS=old\nX={GOOD}\nK=${{X}}1\n"
    with pytest.raises(ConfigurationError, match="would mean something else as K_PREVIOUS"):
        rotated(text, K_PREVIOUS={"type": "secret"})


def test_values_that_hold_the_old_one_are_named() -> None:
    text = f"K={GOOD}\nA=postgresql://u:{GOOD}@h/db\nB=postgresql://u:${{K}}@h/db\nC=x{GOOD}\nD=1\n"
    after, done = rotated(text)
    assert done.holds_old == ("A", "C")
    assert done.database
    assert f"A=postgresql://u:{GOOD}@h/db\nB=postgresql://u:${{K}}@h/db\nC=x{GOOD}\n" in after


def test_a_short_old_value_is_looked_for_in_urls_only() -> None:
    _, done = rotated("K=abc\nA=postgresql://u:abc@h/db\nB=abcdef\nC=https://h/abc\n")
    assert done.holds_old == ("A",)


def test_an_old_value_is_found_as_a_url_has_it() -> None:
    old = "p@ss/word+of*many#signs&letters"
    written = "p%40ss%2Fword%2Bof%2Amany%23signs%26letters"
    _, done = rotated(f"K='{old}'\nA=postgresql://u:{written}@h/db\n")
    assert done.holds_old == ("A",)


def test_a_database_password_is_known_by_its_name_or_its_use() -> None:
    declared = environment(POSTGRES_PASSWORD=SECRET)
    text = f"POSTGRES_PASSWORD={GOOD}\n"
    assert rotate(declared, parsed(text), "POSTGRES_PASSWORD", parsed).database
    assert rotated(f"K={GOOD}\nU=postgresql://u:${{K}}@h/db\n")[1].database
    assert not rotated(f"K={GOOD}\nU=https://h/{GOOD}\n")[1].database


def test_only_declared_secrets_are_rotated() -> None:
    declared = environment(
        SESSION_SECRET=SECRET, SESSION_SECRET_PREVIOUS={"type": "secret"}, PORT={"type": "port"}
    )
    require_rotatable(declared, "SESSION_SECRET")
    for key, said in (
        ("SESSION_SECRT", "Did you mean SESSION_SECRET?"),
        ("session_secret", "Did you mean SESSION_SECRET?"),
        ("PORT", "Declared secrets: SESSION_SECRET."),
        ("SESSION_SECRET_PREVIOUS", "Rotate SESSION_SECRET."),
    ):
        with pytest.raises(UsageError) as caught:
            require_rotatable(declared, key)
        assert said in caught.value.hint
