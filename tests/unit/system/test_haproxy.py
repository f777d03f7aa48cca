"""The proxy's configuration and its counters, as values."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stockctl.system import haproxy, haproxy_counters, haproxy_times
from stockctl.system.haproxy import Route, Server, render
from stockctl.system.haproxy_counters import Counters, Worker
from stockctl.system.haproxy_times import Times

OLD = Route("r0001", 90, (Server("r0001-1", "p-r0001-app-1", 5000),))
NEW = Route("r0002", 10, tuple(Server(f"r0002-{n}", f"p-r0002-app-{n}", 5000) for n in (1, 2)))


def rendered(*routes: Route) -> str:
    return render(routes, health="/health", drain_s=30)


def test_a_configuration_tells_who_gets_what() -> None:
    assert haproxy.shares(rendered(OLD, NEW)) == {"r0001": 90, "r0002": 10}
    assert haproxy.shares(rendered()) == {}
    assert haproxy.shares("global\n") == {}
    assert haproxy.shares("# stockctl {broken\n") == {}


def test_weights_are_shares_divided_by_the_servers() -> None:
    lines = [line.split() for line in rendered(OLD, NEW).splitlines() if "  server " in line]
    assert [(line[1], line[2], line[4]) for line in lines] == [
        ("r0001-1", "p-r0001-app-1:5000", "230"),
        ("r0002-1", "p-r0002-app-1:5000", "13"),
        ("r0002-2", "p-r0002-app-2:5000", "13"),
    ]


def test_a_share_of_one_percent_is_not_rounded_away() -> None:
    servers = tuple(Server(f"s{n}", f"c{n}", 80) for n in range(64))
    assert " weight 1 " in rendered(Route("r0003", 1, servers))


def test_health_is_checked_only_where_another_server_can_take_over() -> None:
    assert "option httpchk" not in rendered(OLD)
    assert "default-server" not in rendered(OLD)
    assert "default-server check" in rendered(NEW)
    assert 'option httpchk GET "/health"' in rendered(NEW)
    odd = render((NEW,), health='/a\'b "c" $d', drain_s=1)
    assert 'option httpchk GET "/a\'b \\"c\\" \\$d"' in odd


def test_the_generation_is_that_of_the_text() -> None:
    one, other = rendered(OLD), rendered(NEW)
    assert haproxy.generation(one) == haproxy.generation(rendered(OLD))
    assert haproxy.generation(one) != haproxy.generation(other)
    assert haproxy.generation(one) in one
    assert haproxy.generation("global\n") == ""


def test_the_proxy_alone_says_who_the_client_is() -> None:
    tls = haproxy.Tls(port=443, hsts_s=0, digest="abc")
    for text in (rendered(OLD), render((OLD,), health="/", drain_s=1, tls=tls)):
        public = text.partition("frontend public")[2].partition("backend release")[0]
        lines = [line.strip() for line in public.splitlines()]
        assert "http-request set-header X-Forwarded-For %[src]" in lines
        assert {"http-request del-header Forwarded", "http-request del-header X-Real-IP"} <= {
            *lines
        }
        assert any(line.startswith("http-request set-header X-Forwarded-Proto") for line in lines)
        assert "forwardfor" not in text  # it would add to what the client claims


CSV = """\
# pxname,svname,econ,eresp,lastchg,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,rtime,
public,FRONTEND,,,,0,9,0,0,0,0,,
release,r0001-1,0,0,9,0,90,5,5,0,0,12,
release,r0002-1,0,0,9,0,5,0,0,5,0,40,
release,r0002-2,0,1,4,0,8,0,0,1,0,90,
release,BACKEND,6,1,4,0,108,5,5,12,0,50,
times,BACKEND,0,0,61,0,0,0,0,0,0,0,
"""


def test_counters_are_added_up_for_each_release() -> None:
    names = {"r0001-1": "r0001", "r0002-1": "r0002", "r0002-2": "r0002"}
    found = haproxy_counters.counters(CSV, names)
    assert found == {
        "r0001": Counters(100, 0, 12.0),
        "r0002": Counters(20, 7, 90.0),
    }
    assert found["r0002"].error_rate == pytest.approx(35.0)
    assert Counters().error_rate == 0.0


def test_how_old_the_counters_are_and_what_no_server_answered() -> None:
    """Server r0002-2 was down meanwhile: the backend is not as old as its last change."""
    found = haproxy_counters.worker(CSV)
    assert found == Worker(61, 7, ("r0001-1", "r0002-1", "r0002-2"))
    before = "".join(line for line in CSV.splitlines(True) if not line.startswith("times"))
    assert haproxy_counters.worker(before).age_s is None


def test_tls_redirects_to_the_port_that_browsers_find() -> None:
    tls = haproxy.Tls(port=5443, hsts_s=60, digest="abc")
    text = render((OLD,), health="/health", drain_s=1, tls=tls)
    assert "bind :8443 ssl crt /etc/stockctl-certificates " in text
    assert "]:5443%[capture.req.uri] unless { ssl_fc }" in text
    assert "Strict-Transport-Security max-age=60 if { ssl_fc }" in text
    usual = render((OLD,), health="/", drain_s=1, tls=haproxy.Tls(443, 0, "abc"))
    assert "]%[capture.req.uri] unless" in usual
    assert "Strict-Transport" not in usual
    other = render((OLD,), health="/", drain_s=1, tls=haproxy.Tls(443, 0, "def"))
    assert haproxy.generation(usual) != haproxy.generation(other)


def test_times_are_counted_once_each_and_not_those_of_health_checks() -> None:
    text = render((OLD,), health='/a "b"', drain_s=1)
    assert 'acl healthcheck var(txn.path) -m str "/a \\"b\\""' in text
    assert '-m str "/a"' in render((OLD,), health="/a?deep=1", drain_s=1)
    ranges = [line.split()[-2] for line in text.splitlines() if "-m int" in line]
    assert ranges[:2] + ranges[-2:] == ["0:5", "6:10", "5001:10000", "10001:"]
    ends = [tuple(each.split(":")) for each in ranges]
    assert all(int(a[1]) + 1 == int(b[0]) for a, b in pairwise(ends))
    assert f"sc-inc-gpc({len(ranges)},2) if {{ status ge 500 }}" in text
    assert f"store gpc({len(ranges) + 1})" in text


def test_a_page_that_is_not_ours_has_no_times() -> None:
    page = "times " + " ".join(str(n) for n in range(17))
    assert haproxy_times.read(page) == Times(tuple(range(16)), 16)
    for other in ("", "times", page + " 5", page.replace("7", "x"), "<!DOCTYPE html><html>"):
        assert haproxy_times.read(other) is None
    found = haproxy_times.buckets(tuple(range(16)))
    assert (found[0.005], found[0.01], found[10.0], found[float("inf")]) == (0, 1, 105, 120)
