"""An image from its registry, and what a person does where it does not come."""

from __future__ import annotations

import re

from stockctl.core.command import Completed
from stockctl.core.errors import ToolFailed
from stockctl.core.progress import Step
from stockctl.deploy.site import Site
from stockctl.system import compose

PULL_S = 1800.0
HUB = "docker.io"
# Words of the engine (moby, distribution/errors.go and registry/errors.go; containerd, remotes),
# what they mean and what to do. The first that fits counts.
_CAUSES = (
    (
        "no space left on device",
        "its disk is full",
        "Make room on {where}: docker system df, stockctl deploy tidy ENV, docker image prune.",
    ),
    (
        "no matching manifest",
        "{registry} has it for other processors only",
        "Build and push it for those of {where} as well.",
    ),
    (
        "no basic auth credentials|unauthorized|authentication required|access denied|denied:",
        "{registry} does not let us have it",
        "On {where}, as the user who deploys: docker login {login}\nIs the name right?{or_send}",
    ),
    (
        "manifest unknown|name unknown|manifest for .* not found|failed to resolve.*not found",
        "{registry} does not have it",
        "Is the name right, and was it pushed? There is no {reference} yet.",
    ),
    (
        "toomanyrequests|429 Too Many",
        "{registry} gives us no more for now",
        "Wait, or log in, which allows more. On {where}: docker login {login}{or_send}",
    ),
    (
        "HTTP response to HTTPS client",
        "{registry} speaks plain HTTP",
        "The engine of {where} takes that from those only that are named as insecure-registries"
        " in /etc/docker/daemon.json.{or_send}",
    ),
    (
        "x509:|certificate",
        "the engine there does not trust the certificate of {registry}",
        "On {where} its CA belongs into /etc/docker/certs.d/{registry}/ca.crt.{or_send}",
    ),
    (
        "connection refused|connection reset|no such host|server misbehaving|no route to host"
        "|network is unreachable|timeout|deadline exceeded|request canceled|EOF$",
        "{registry} does not answer",
        "Does it run, and does {where} reach it? The same command again is safe.{or_send}",
    ),
)


def pull(site: Site, reference: str, step: Step) -> None:
    """By the engine over there, as whoever comes in. Raises ToolFailed, which says why."""
    command = compose.pull(reference)
    done = site.host.run(command, timeout_s=PULL_S, check=False, on_line=step.line)
    if not done.ok:
        raise explained(reference, site.host.name, done, remote=site.remote)


def explained(reference: str, where: str, done: Completed, *, remote: bool) -> ToolFailed:
    """What to raise for a pull that did not work."""
    registry = registry_of(reference)
    said = {
        "reference": reference,
        "where": where,
        "registry": registry,
        "login": "" if registry == HUB else registry,
        "or_send": f"\nOr pull it here, from where it is sent: docker pull {reference}" * remote,
    }
    cause, hint = _cause(done.stderr)
    return ToolFailed(
        f"{reference} cannot be pulled on {where}: {cause.format(**said)}",
        details=f"$ {done.command}\n{done.stderr}".rstrip(),
        hint=re.sub(" +(?=\n|$)", "", hint.format(**said)),
    )


def _cause(stderr: str) -> tuple[str, str]:
    for words, cause, hint in _CAUSES:
        if re.search(words, stderr, re.MULTILINE):
            return cause, hint
    return "docker says why", "Try it on {where}: docker pull {reference}"


def registry_of(reference: str) -> str:
    """Where an image comes from; a first part without a dot or a port is a name on Docker's own
    (github.com/distribution/reference, normalize.go)."""
    first, slash, _ = reference.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if named else HUB
