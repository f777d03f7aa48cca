"""HAProxy: its configuration as a value. Nothing here does anything.

The configuration file is the truth about traffic: its first line says which release gets which
share, and one of its frontends answers with the configuration's own fingerprint, so that whoever
reloads can see that the new one is in force.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from stockctl.system import haproxy_times

PUBLIC_PORT = 8080  # inside the proxy's container
TLS_PORT = 8443
STATS_PORT = 8404
CERTIFICATES = "/etc/stockctl-certificates"
FOLDER = "/etc/stockctl"  # where the container sees the folder with the configuration
FILE = "haproxy.cfg"
CANDIDATE = "haproxy.cfg.new"
PAGE = "maintenance.html"  # beside the configuration
_MARK = "# stockctl "
_MOST = 256  # HAProxy's largest weight

_TEMPLATE = """\
{mark}
global
  log stdout format raw local0 notice
  fd-hard-limit 50000
  user haproxy
  group haproxy
  # listeners go from the old worker to the new one; the old one has this long to finish
  stats socket /var/run/stockctl-haproxy.sock mode 600 level admin expose-fd listeners
  hard-stop-after {drain_s}s

resolvers docker
  nameserver engine 127.0.0.11:53
  timeout resolve 1s
  timeout retry 1s
  hold valid 1s
  # an engine that is away answers nobody; with live-restore its containers are where they were
  hold timeout 1d
  hold refused 1d
  hold other 1d

defaults
  mode http
  log global
  option dontlog-normal
  option redispatch
  retries 3
  timeout connect 5s
  timeout http-request 30s
  timeout http-keep-alive 5s
  timeout queue 30s
  timeout client 10m
  timeout server 10m
  timeout tunnel 1h

frontend public
  bind :{public_port}
  # in a reload an idle connection is closed with its next answer, not under a request on its way
  option idle-close-on-response
  # the service believes what we say of the client; what the client says itself must not get through
  http-request del-header Forwarded
  http-request del-header X-Real-IP
  http-request set-header X-Forwarded-For %[src]
{scheme}
  default_backend release

backend release
  balance roundrobin
  # what a server dropped before it answered may be asked again where asking twice is harmless
  retry-on conn-failure empty-response
  http-request disable-l7-retry unless METH_GET or {{ method HEAD OPTIONS }}
{counting}
{servers}

backend times
  stick-table type string len 64 size 1k store gpc({counters})

frontend stats
  bind :{stats_port}
  acl asked path /generation
  http-request return status 200 content-type text/plain string {generation} if asked
{telling}
  stats enable
  stats uri /
"""

_SEVERAL = """\
  # Who was killed does not refuse, it is silent: its address is nobody's any more. A connection on
  # one machine takes far less than this, and the next try goes to another replica.
  timeout connect 500ms
  option redispatch 1
  retries 5
  # One try in vain and the check has the last word: without it a machine that is short of breath
  # could lose every replica at once.
  option httpchk GET {health}
  timeout check 2s
  default-server check inter 2s fastinter 500ms downinter 500ms fall 3 rise 1
  default-server observe layer4 error-limit 1 on-error sudden-death"""


@dataclass(frozen=True, slots=True)
class Server:
    """A container that takes requests, by the name that the engine's DNS knows."""

    name: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Route:
    """A release, its share of the requests in percent, and its containers."""

    release: str
    share: int
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Where browsers find it, for how long they may insist on it, and a digest of what is in the
    folder of certificates: new ones are a new configuration."""

    port: int
    hsts_s: float
    digest: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Everybody gets the page, and when to come back. `page` is a digest of it: another page is
    another configuration."""

    retry_after_s: int
    page: str


def render(
    routes: Sequence[Route],
    *,
    health: str,
    drain_s: float,
    tls: Tls | None = None,
    maintenance: Maintenance | None = None,
) -> str:
    """The whole configuration. Deterministic: the same routes give the same text."""
    several = any(len(route.servers) > 1 for route in routes)
    lines = [_server(route, server) for route in routes for server in route.servers]
    if several:  # with one server a check could only take the last one away
        lines.insert(0, _SEVERAL.format(health=_quoted(health)))
    shares = {route.release: route.share for route in routes}
    text = _TEMPLATE.format(
        mark=_MARK + json.dumps(shares, sort_keys=True),
        drain_s=max(1, round(drain_s)),
        public_port=PUBLIC_PORT,
        stats_port=STATS_PORT,
        scheme="\n".join([*_page(maintenance, health), *_scheme(tls)]),
        counting=haproxy_times.counting(_quoted(health.partition("?")[0])),
        counters=haproxy_times.COUNTERS,
        telling=haproxy_times.telling(),
        servers="\n".join(lines),
        generation="{generation}",
    )
    return text.replace("{generation}", _fingerprint(text))


def _page(maintenance: Maintenance | None, health: str) -> list[str]:
    """Whoever watches the health check goes on seeing the release."""
    if maintenance is None:
        return []
    answer = f'status 503 content-type "text/html; charset=utf-8" file {FOLDER}/{PAGE}'
    headers = f"hdr Retry-After {maintenance.retry_after_s} hdr Cache-Control no-store"
    return [
        f"  # maintenance {maintenance.page}",
        f"  http-request return {answer} {headers} unless {{ path {_quoted(health)} }}",
    ]


def _scheme(tls: Tls | None) -> list[str]:
    if tls is None:
        return ["  http-request set-header X-Forwarded-Proto http"]
    port = "" if tls.port == 443 else f":{tls.port}"
    there = f"https://%[req.hdr(host),regsub(:[0-9]+$,)]{port}%[capture.req.uri]"
    lines = [
        f"  # certificates {tls.digest}",
        f"  bind :{TLS_PORT} ssl crt {CERTIFICATES} alpn h2,http/1.1 ssl-min-ver TLSv1.2",
        f"  http-request redirect code 308 location {there} unless {{ ssl_fc }}",
        "  http-request set-header X-Forwarded-Proto https",
    ]
    if tls.hsts_s:
        age = f"max-age={round(tls.hsts_s)}"
        lines.append(f"  http-response set-header Strict-Transport-Security {age} if {{ ssl_fc }}")
    return lines


def _quoted(text: str) -> str:
    """As one word: https://docs.haproxy.org/2.6/configuration.html#2.2"""
    for special in ("\\", '"', "$"):
        text = text.replace(special, "\\" + special)
    return f'"{text}"'


def _server(route: Route, server: Server) -> str:
    weight = min(_MOST, max(1, round(_MOST * route.share / 100 / len(route.servers))))
    line = f"  server {server.name} {server.address}:{server.port} weight {weight}"
    return line + " resolvers docker resolve-prefer ipv4 init-addr last,libc,none"


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def generation(text: str) -> str:
    """What `/generation` answers once this configuration is in force."""
    for line in text.splitlines():
        if line.endswith(" if asked"):
            return line.split(" string ", 1)[1].split(" ", 1)[0]
    return ""


def shares(text: str) -> dict[str, int]:
    """Which release gets how many percent, by a configuration of ours; else empty."""
    first = text.partition("\n")[0]
    if not first.startswith(_MARK):
        return {}
    try:
        found: dict[str, int] = json.loads(first.removeprefix(_MARK))
    except ValueError:
        return {}
    return found
