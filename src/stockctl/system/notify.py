"""Pings and webhooks: one request to somebody who ought to hear of something.

Nobody may be held up by it: name resolution, connecting and answering together get one deadline,
and what goes wrong is a value.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from stockctl.core.secret import Secret
from stockctl.system.http import Request, Response, send


@dataclass(frozen=True, slots=True)
class Notice:
    """What to send where. The address is a secret: whoever knows it can write there."""

    url: Secret
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    method: str = "POST"

    @property
    def place(self) -> str:
        """For messages: the host, nothing of the rest."""
        try:
            return urlsplit(self.url.reveal()).hostname or "a webhook"
        except ValueError:
            return "a webhook"


def webhook(url: Secret, text: str) -> Notice:
    """A message for Slack and all that speak like it (Mattermost, Rocket.Chat, Discord's `/slack`):
    https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""
    return Notice(url, json.dumps({"text": text}).encode(), "application/json")


def escaped(text: str) -> str:
    """A value inside such a text: `<!channel>` in an error message must call nobody.
    https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def deliver(notice: Notice, *, timeout_s: float) -> str | None:
    """None when it was taken (2xx), else why not, without the address."""
    answers: list[Response] = []
    headers = {"Content-Type": notice.content_type, "User-Agent": "stockctl"}
    request = Request(notice.method, notice.url.reveal(), headers, notice.body)

    def work() -> None:
        answers.append(send(request, timeout_s=timeout_s))

    # On a thread: nothing else ends a resolver, or headers that come drop by drop.
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(timeout_s)
    if not answers:
        return f"{notice.place}: no answer within {timeout_s:g} s"
    answer = answers[0]
    if 200 <= answer.status < 300:
        return None
    return f"{notice.place}: {answer.failure or f'answered {answer.status}'}"
