"""The compose files, as far as the environment decides what comes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.compose_file import Port
from stockctl.env.interpolation import interpolate, names_in
from stockctl.env.rules.base import Subject, found, is_secret_name, prod, rule
from stockctl.env.rules.statements import named_anyhow

_SERVICE = (
    '[service]\nname = "shop"\ncompose = ["compose.yaml"]\nrelease = ["app"]\nweb = "app"\n'
    'port = 80\nimage = "shop"\nurl = "http://127.0.0.1:8080"\n'
)
_APP = "services:\n  app:\n    image: shop\n"
_PORT = re.compile(
    r"(?:(?P<address>\[[^\]]*\]|[0-9.]+):)?(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?"
    r":[0-9-]+(?:/(?P<protocol>[a-z]+))?"
)
_ANY = ("", "0.0.0.0", "[::]")


def _stack(compose: str, env: str = "A=1\n", toml: str = _SERVICE) -> dict[str, str]:
    return prod(env, toml, **{"compose.yaml": compose})


@rule(
    "C009",
    Severity.ERROR,
    without_values=True,
    bad=_stack("services:\n  web:\n    image: shop\n"),
    good=_stack(_APP),
)
def unknown_service(subject: Subject) -> Iterator[Finding]:
    """A service that the TOML file names is in none of the compose files.

    The deploy would have nothing to replace.
    """
    service, database = subject.environment.service, subject.environment.database
    if service is None or not subject.compose or any(each.open_ended for each in subject.compose):
        return
    there = [name for file in subject.compose for name in file.services]
    named = [(("service", "release"), name) for name in service.release]
    named += [(("database", "service"), database.service)] if database and database.service else []
    for path, name in named:
        if name not in there:
            message = f"{'.'.join(path)}: no service {name} in the compose files"
            yield found("C009", subject.toml(*path), message, f"There is: {', '.join(there)}.")


@rule(
    "E033",
    Severity.ERROR,
    bad=_stack(_APP + "    environment:\n      KEY: ${API_KEY}\n"),
    good=_stack(_APP + "    environment:\n      KEY: ${API_KEY}\n", "API_KEY=1\n"),
)
def compose_variable_unset(subject: Subject) -> Iterator[Finding]:
    """A compose file uses a variable that has neither a value nor a default.

    Compose puts an empty string there, with a warning that scrolls by.
    """
    required = {name for name, each in subject.environment.variables.items() if each.required}
    reported = (required - subject.values.keys()) | named_anyhow(subject)
    for file in subject.compose:
        told = set(reported)
        for reference in file.references:
            name = reference.name
            there = name in subject.values or name in subject.process or name.startswith("COMPOSE_")
            if reference.defaulted or there or name in told:
                continue
            told.add(name)
            fix = f"Set {name} in the env file, or give it a default here."
            yield found("E033", reference.where, f"{name} has neither value nor default", fix)


@rule(
    "E034",
    Severity.ERROR,
    bad=_stack(_APP + "  cache:\n    image: redis:latest\n"),
    good=_stack(_APP + "  cache:\n    image: redis:7.4\n"),
)
def floating_image(subject: Subject) -> Iterator[Finding]:
    """An image has the tag `latest`, or none. Images that are built here, or released
    by stockctl, which pins them, are left alone.

    What runs changes with the next pull, and there is no way back to what ran before.
    """
    service = subject.environment.service
    released = service.release if service else ()
    values = {**subject.process, **{key: v.reveal() for key, v in subject.values.items()}}
    for file in subject.compose:
        for image in file.images:
            reference = interpolate(image.written, values)
            pulled = image.service not in released and image.service not in file.built
            if pulled and reference and floats(reference):
                message = f"{image.service}: the image has no tag that stays"
                yield found("E034", image.where, message, "Name a version: image: name:1.2.3")


def floats(reference: str) -> bool:
    """Whether an image reference means something else tomorrow."""
    name, at, _ = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return not at and tag in ("", "latest")


@rule(
    "E038",
    Severity.ERROR,
    bad=_stack(_APP + "    environment:\n      SESSION_SECRET: ${SESSION_SECRET:-changeme}\n"),
    good=_stack(
        _APP + "    environment:\n      SESSION_SECRET: ${SESSION_SECRET:?}\n",
        "SESSION_SECRET=V4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E\n",
    ),
    without_values=True,
)
def secret_in_compose_file(subject: Subject) -> Iterator[Finding]:
    """A compose file holds a secret in clear, as a value, or as a default that nothing replaces.
    Not in development and test.

    The file is committed, and every environment that uses it has the same one.
    """
    if subject.environment.kind in ("development", "test"):
        return
    known = {*subject.values, *subject.process}
    if subject.blind:
        known |= {each.name for file in subject.compose for each in file.references}
    for file in subject.compose:
        clear = [
            (each.key, each.where)
            for each in file.settings
            if each.written and "$" not in each.written and is_secret_name(each.key)
        ]
        clear += [
            (each.name, each.where)
            for each in file.references
            if each.default
            and "$" not in each.default
            and is_secret_name(each.name)
            and each.name not in known
        ]
        for key, where in dict.fromkeys(clear):
            message = f"{key} stands in the compose file in clear"
            fix = "Set it in the env file, and only name the variable here."
            yield found("E038", where, message, fix)


@dataclass(frozen=True, slots=True)
class Published:
    """Ports of this machine that a service listens on."""

    address: str
    first: int
    last: int
    protocol: str
    port: Port

    def meets(self, other: Published) -> bool:
        """Whether both want one port of one address."""
        addresses = self.address == other.address or self.address in _ANY or other.address in _ANY
        ranges = self.first <= other.last and other.first <= self.last
        return addresses and ranges and self.protocol == other.protocol


@rule(
    "E035",
    Severity.ERROR,
    bad={
        **_stack(_APP + '    ports: ["8080:80"]\n'),
        "staging.toml": f'env_file = ".env.prod"\n{_SERVICE}',
    },
    good=_stack(_APP + '    ports: ["8080:80"]\n'),
)
def shared_port(subject: Subject) -> Iterator[Finding]:
    """Two environments publish one port on one host.

    The second one to start does not.
    """
    for mine in published(subject):
        for other in subject.earlier:
            theirs = next((each for each in published(other) if each.meets(mine)), None)
            if theirs is None:
                continue
            port = max(mine.first, theirs.first)
            message = f"port {port} of {mine.port.service} is also published by {other.name}"
            yield found("E035", _origin(subject, mine.port), message, "Give each its own port.")
            break


def published(subject: Subject) -> list[Published]:
    """What the compose files publish with the environment's values."""
    values: Mapping[str, str] = {k: v.reveal() for k, v in subject.values.items()}
    ports = []
    for port in (port for file in subject.compose for port in file.ports):
        match = _PORT.fullmatch(interpolate(port.written, {**subject.process, **values}))
        if match:
            first = int(match["first"])
            protocol = match["protocol"] or "tcp"
            address = match["address"] or ""
            ports.append(Published(address, first, int(match["last"] or first), protocol, port))
    return ports


def _origin(subject: Subject, port: Port) -> Where | None:
    """The env file's line where the port comes from a variable, else the compose file's."""
    lines = [subject.bound[name].where for name in names_in(port.written) if name in subject.bound]
    return lines[0] if lines else port.where
