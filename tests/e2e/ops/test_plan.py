"""`--plan`: what would change, and that it did not."""

from __future__ import annotations

from tests.e2e.ops.conftest import IMAGE, Small

CANARY = "c4n4ry-plan-5Kd8Wq"


def test_a_plan_tells_what_changes_and_no_value(served: Small) -> None:
    before = served.data("deploy", "history")["releases"]
    compose = served.root / "environments" / "compose.yaml"
    text = compose.read_text()
    changed = text.replace(
        "      START_DELAY_S:", "      API_TOKEN: ${API_TOKEN}\n      START_DELAY_S:"
    )
    compose.write_text(changed + f"  cache:\n    image: {IMAGE}\n    command: [sleep, infinity]\n")
    served.set(GREETING="other", API_TOKEN=CANARY)
    shown = served.ok("deploy", "site", "--image", IMAGE, "--plan")
    served.toml('[deploy]\nrelease_command = ["true"]')
    planned = served.data("deploy", "site", "--image", IMAGE, "--plan")["planned"]
    assert planned["changes"] == [
        {"service": "web", "path": "environment.API_TOKEN", "change": "added"},
        {"service": "web", "path": "environment.GREETING", "change": "changed"},
        {"service": "cache", "path": "", "change": "added"},  # long-lived ones at the end
    ]
    assert "web: + environment.API_TOKEN, ~ environment.GREETING" in shown.err
    assert CANARY not in shown.out + shown.err + str(planned)
    assert "the one that serves" in shown.err
    assert "the last time" in shown.err  # the outage, from the record
    assert "to r0001 (testbed-cache)" in planned["way_back"]
    assert planned["steps"] == [
        "image", "services", "release command", "replace", "healthy",
    ]  # fmt: skip
    assert served.data("deploy", "history")["releases"] == before
    assert served.says() == "hello"
