"""A secret is in no output of the verbs that work on it."""

from __future__ import annotations

import pytest
from tests.integration.env.conftest import CANARY, Place, values_of


@pytest.mark.parametrize(
    ("form", "flags"), [("plain", ("-v",)), ("sealed", ("--json",)), ("sealed", ("-v",))]
)
def test_no_verb_says_a_secret(place: Place, form: str, flags: tuple[str, ...]) -> None:
    """`run` itself looks for the canary in all that is printed; here for the new values, too."""
    if form == "sealed":
        assert place.run("env", "seal", "prod", "--confirm", "prod").code == 0
    said = ""
    for line in (
        "env generate prod",
        "env rotate prod --key SESSION_SECRET --plan",
        "env rotate prod --key SESSION_SECRET --confirm prod",
        "env rotate prod --key POSTGRES_PASSWORD --confirm prod",
        "env rotate prod --key NOTHING",
        "env edit prod --confirm prod",
        "env seal prod --confirm prod",
        "env seal prod --again --confirm prod",
        "env unseal prod --confirm prod",
        "env show prod",
        "env validate prod",
        "journal prod",
    ):
        ended = place.run(*line.split(), *flags, EDITOR=place.script('echo "A=1" >> $1'))
        said += ended.out + ended.err
    text = place.plain.read_text() if place.plain.exists() else place.opened()
    values = values_of(text)
    for key in ("SESSION_SECRET", "SESSION_SECRET_PREVIOUS", "POSTGRES_PASSWORD"):
        assert len(values[key]) >= 32
        assert values[key] not in said
    kept = {path: data for path, data in place.files().items() if "environments" not in path}
    for path, data in kept.items():
        assert CANARY.encode() not in data, path
        assert values["SESSION_SECRET"].encode() not in data, path
