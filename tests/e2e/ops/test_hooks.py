"""Programs and webhooks around a deploy: what they are told, who may stop it, nobody hangs it."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.answering import Quiet, serving
from tests.e2e.ops.conftest import Small

CANARY = "c4n4ry7Xk2Lq9Zt4Wb"
NOTE = """#!/bin/sh
env | grep -E '^(STOCKCTL_|API_|SLACK_)' | sort >"$(dirname "$0")/../told.$STOCKCTL_EVENT"
"""
EVENTS = (
    "before-deploy", "before-switch", "after-switch", "after-deploy", "failed",
    "before-rollback", "after-rollback",
)  # fmt: skip


class Slack(Quiet, http.server.BaseHTTPRequestHandler):
    texts: list[str] = []
    hangs = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.texts.append(json.loads(body)["text"])
        if Slack.hangs:
            self.rfile.read()
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def slack() -> Iterator[str]:
    Slack.texts, Slack.hangs = [], False
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slack)
    made.daemon_threads = True
    with serving(made):
        yield f"http://127.0.0.1:{made.server_address[1]}/services/{CANARY}"


def hook(small: Small, name: str, text: str) -> Path:
    file = small.root / "environments" / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


def told(small: Small, event: str) -> dict[str, str]:
    lines = (small.root / "environments" / f"told.{event}").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_who_is_told_what_and_who_may_stop_it(small: Small, slack: str) -> None:
    hook(small, "note", NOTE)
    guard = hook(small, "guard", "#!/bin/sh\n")
    last = hook(small, "last", "#!/bin/sh\n")
    programs = {event: ["hooks/note"] for event in EVENTS}
    programs["before-deploy"].append("hooks/guard")
    programs["before-switch"].append("hooks/last")
    lines = "\n".join(f"{event} = {json.dumps(each)}" for event, each in programs.items())
    small.toml(f'[hooks]\nvariables = ["API_KEY"]\n{lines}')
    small.toml('[notify]\nwebhooks = ["${SLACK_URL}"]\ntimeout = "1s"')
    settings = {"API_KEY": f"k-{CANARY}", "API_OTHER": "o-c4n4ry2", "SLACK_URL": slack}
    small.set(**settings)

    assert small.deploy().code == 0
    first = told(small, "after-deploy")
    assert first["STOCKCTL_RELEASE"] == "r0001" and first["STOCKCTL_PREVIOUS"] == ""
    assert first["STOCKCTL_IMAGE_ID"].startswith("sha256:")
    assert first["API_KEY"] == f"k-{CANARY}"  # asked for
    assert "API_OTHER" not in first and "SLACK_URL" not in first
    assert told(small, "before-switch")["STOCKCTL_EVENT"] == "before-switch"
    assert len(Slack.texts) == 1 and "site: r0001 (testbed-cache) serves" in Slack.texts[0]

    guard.write_text("#!/bin/sh\necho the window is closed; exit 1\n")
    refused = small.deploy()
    assert refused.code == 4
    assert "the window is closed" in refused.err and "--skip-hooks" in refused.err
    assert "✓ image" not in refused.err
    assert told(small, "failed")["STOCKCTL_ERROR"].startswith("the hook before-deploy said no")
    assert "does not serve" in Slack.texts[1]
    assert CANARY not in refused.out + refused.err

    guard.write_text("#!/bin/sh\nsetsid sleep 60 &\n")  # leaves a daemon that keeps the pipe
    last.write_text("#!/bin/sh\nexit 9\n")
    small.set(GREETING="two", **settings)
    stopped = small.deploy()
    assert stopped.code != 0 and "the hook before-switch said no: last ended" in stopped.err
    assert (small.live(), small.says()) == ("r0001", "hello")

    Slack.hangs = True
    assert small.deploy("--skip-hooks").code == 0
    assert small.says() == "two"
    hook(small, "note", "#!/bin/sh\nexit 5\n")  # after the fact: a warning, nothing else
    back = small.run("deploy", "rollback", "--yes")
    assert back.code == 4  # but before a rollback it may say no
    guard.with_name("note").unlink()
    back = small.run("deploy", "rollback", "--yes")
    assert back.code == 0, back.err  # what is not there stops no way back
    assert "hook before-rollback was left out" in back.err
    assert "nobody was told of after-rollback: 127.0.0.1: no answer within 1 s" in back.err
    assert small.says() == "hello"


def test_a_hook_that_is_missing_or_a_wrong_template_is_found_before(small: Small) -> None:
    before = small.file.read_text()
    small.toml('[hooks]\nafter-deploy = ["hooks/nowhere"]')
    assert "no file environments/hooks/nowhere" in small.run("env", "validate").out
    small.file.write_text(before)
    small.toml('[hooks]\nbefore-deploi = ["hooks/x"]')
    small.toml('[notify]\nwebhooks = ["slack.example/x"]\ntemplate = "{environment} {nobody}"')
    said = small.run("env", "validate")
    assert said.code == 3
    for part in ("before-deploy", "{nobody}", "begins with https://"):
        assert part in said.out, said.out
