"""What differs between two configurations: the place, never the value."""

from __future__ import annotations

from typing import Any

from stockctl.system.compose import Rendered
from stockctl.system.compose_diff import Difference, Kind, differences


def rendered(services: dict[str, Any], **more: Any) -> Rendered:
    return Rendered({"name": "shop", "services": services, **more})


def test_equal_ones_have_no_difference() -> None:
    web = {"environment": {"A": "1"}, "ports": [{"target": 80}]}
    assert differences(rendered({"web": web}), rendered({"web": dict(web)})) == ()


def test_each_place_is_named_once() -> None:
    before = rendered(
        {
            "web": {"environment": {"A": "secret-1", "GONE": "x"}, "ports": [1], "init": True},
            "old": {"image": "x"},
        },
        volumes={"data": {"name": "a"}},
    )
    after = rendered(
        {
            "web": {"environment": {"A": "secret-2", "NEW": "y"}, "ports": [2], "user": "app"},
            "db": {"image": "y"},
        },
        volumes={"data": {"name": "b"}},
    )
    found = differences(before, after)
    assert set(found) == {
        Difference("db", "", Kind.ADDED),
        Difference("old", "", Kind.REMOVED),
        Difference("web", "environment.A", Kind.CHANGED),
        Difference("web", "environment.GONE", Kind.REMOVED),
        Difference("web", "environment.NEW", Kind.ADDED),
        Difference("web", "init", Kind.REMOVED),
        Difference("web", "ports", Kind.CHANGED),
        Difference("web", "user", Kind.ADDED),
        Difference(None, "volumes.data", Kind.CHANGED),
    }
    assert "secret" not in repr(found)


def test_a_key_that_was_empty_is_changed_not_added() -> None:
    before = rendered({"web": {"environment": {"A": None}}})
    after = rendered({"web": {"environment": {"A": "1"}}})
    assert [each.kind for each in differences(before, after)] == [Kind.CHANGED]
