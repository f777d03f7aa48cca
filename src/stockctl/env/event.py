"""What happens in a deploy or rollback, as configuration names it."""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """What happens in a deploy or rollback. Programs run at all of them, messages go out for those
    that are asked for."""

    BEFORE_DEPLOY = "before-deploy"
    BEFORE_SWITCH = "before-switch"
    AFTER_SWITCH = "after-switch"
    AFTER_DEPLOY = "after-deploy"
    FAILED = "failed"
    BEFORE_ROLLBACK = "before-rollback"
    AFTER_ROLLBACK = "after-rollback"
