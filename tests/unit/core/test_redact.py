"""Known secrets and the shapes of credentials do not survive the redactor."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.core.redact import SHORTEST_KNOWN_SECRET, Redactor
from stockctl.core.secret import MASK, Secret

CANARY = "canary/7f3a91@hunter2:x"


def knowing(*values: str) -> Redactor:
    return Redactor([Secret(value) for value in values])


def test_a_known_secret_is_masked_plain_and_percent_encoded() -> None:
    redactor = knowing(CANARY)
    assert redactor.text(f"is {CANARY}.") == f"is {MASK}."
    assert redactor.text(quote(CANARY, safe="")) == MASK


def test_the_longer_of_two_overlapping_secrets_goes_first() -> None:
    assert knowing("abcdef", "abcdefghij").text("abcdefghij") == MASK


def test_what_is_learned_later_is_masked_too() -> None:
    redactor = knowing("first-secret")
    redactor.learn([Secret("second-secret")])
    assert redactor.text("first-secret second-secret") == f"{MASK} {MASK}"


def test_a_short_value_does_not_mask_ordinary_words() -> None:
    assert knowing("a" * (SHORTEST_KNOWN_SECRET - 1)).text("a" * 5 + " b") == "aaaaa b"
    assert knowing("", "prod").text("production") == "production"


def test_every_line_of_a_secret_of_many_lines_is_masked() -> None:
    redactor = knowing("-----BEGIN KEY-----\nMIIEvAIBADANBg\nkqhkiG9w0BAQEF\n")
    assert redactor.text("tool: MIIEvAIBADANBg") == f"tool: {MASK}"
    assert redactor.text("kqhkiG9w0BAQEF") == MASK


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://app:hunter2@db:5432/x", "postgresql://app:***@db:5432/x"),
        ("postgresql://app:p@ss#word@db:5432/x", "postgresql://app:***@db:5432/x"),
        ("redis://:hunter2@cache", "redis://:***@cache"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("key sk-abcdefgh12345678 end", "key *** end"),
        ("AGE-SECRET-KEY-1QQQQQQQ", "***"),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
        ("password=hunter2", "password=***"),
        ("password='two words'", "password=***"),
        ("PASSWORD: hunter2", "PASSWORD: ***"),
        ("POSTGRES_PASSWORD=hunter2", "POSTGRES_PASSWORD=***"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
        ("SESSION_SECRET=abcdef", "SESSION_SECRET=***"),
        ('{"password": "hunter2"}', '{"password": ***}'),
        ("api_key=abcdef&x=1", "api_key=***&x=1"),
        ("x-api-key: abcdef", "x-api-key: ***"),
    ],
)
def test_the_shape_of_a_credential_is_masked(text: str, shown: str) -> None:
    assert Redactor().text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db:5432/x",
        "http://127.0.0.1:5000/health",
        "3 secrets are shared",
        "the password is wrong",
        "E010 error: SESSION_SECRET has 3 characters, at least 32 are needed",
        "backups: 12 in /srv/backups",
        "mail ada@example.com",
        "git@github.com:o/r.git",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor().text(text) == text


secrets = st.text(min_size=SHORTEST_KNOWN_SECRET, max_size=40).filter(lambda s: "*" not in s)


@given(secrets, st.text(), st.text())
def test_a_known_secret_never_survives_text(canary: str, before: str, after: str) -> None:
    assert canary not in knowing(canary).text(before + canary + after)
    encoded = quote(canary, safe="")
    assert encoded not in knowing(canary).text(before + encoded + after)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=8,
)


@given(json_like)
def test_a_known_secret_never_survives_a_document(noise: Any) -> None:
    canary = "canary-7f3a91"
    document = {
        "noise": noise,
        "text": f"x{canary}x",
        "secret": Secret(canary),
        canary: 1,
        "deep": [{"a": (canary, [canary])}],
        "set": {canary},
        "path": Path("/srv") / canary,
    }
    shown = json.dumps(knowing(canary).data(document), ensure_ascii=False)
    assert canary not in shown


def test_numbers_and_truth_stay_what_they_are() -> None:
    document = {"a": 1, "b": 1.5, "c": True, "d": None}
    assert Redactor().data(document) == document


def test_no_thread_goes_on_while_another_one_learns() -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Slow(Secret):
        def reveal(self) -> str:
            asked.set()
            assert go_on.wait(60)
            return super().reveal()

    redactor, heard = Redactor(), []
    redactor.learn([Slow(CANARY)])
    threads = [
        threading.Thread(target=lambda: heard.append(redactor.text(f"x {CANARY}")))
        for _ in range(2)
    ]
    threads[0].start()
    assert asked.wait(60)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert heard == [f"x {MASK}"] * 2
