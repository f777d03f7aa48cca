"""Docker Compose: argv in, documents out. Pure functions; a Host runs what they return.

Compose is driven by its CLI because the SDK has no compose and plans none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stockctl.core.command import Command
from stockctl.core.errors import ToolFailed
from stockctl.core.secret import Secret

RELEASE_LABEL = "stockctl.release"
# https://github.com/opencontainers/image-spec/blob/main/annotations.md
VERSION_LABEL = "org.opencontainers.image.version"
REVISION_LABEL = "org.opencontainers.image.revision"
DIGEST_LENGTH = 12
PROJECT_LABEL = "stockctl.project"  # on everything that runs beside the long-lived project
WEB_LABEL = "stockctl.web"  # on a container that takes requests: its port


def version() -> Command:
    """Prints the plugin's version, like `2.40.3`; fails where there is no Compose v2."""
    return Command(("docker", "compose", "version", "--short"))


def render(
    project: str, files: Sequence[Path], values: Mapping[str, Secret], directory: Path
) -> Command:
    """Prints the merged and interpolated configuration as JSON.

    The env file's values go in through the environment, where they win over what happens to be
    set in the operator's shell: Compose prefers the shell over `--env-file`.
    """
    named = [part for file in files for part in ("-f", str(file))]
    environment = {key: value.reveal() for key, value in values.items()}
    argv = ("docker", "compose", "-p", project, *named, "--env-file", "/dev/null")
    arguments = ("config", "--format", "json")
    return Command((*argv, *arguments), environment=environment, directory=directory)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A configuration that needs nothing else: no env file, no interpolation, absolute paths.

    It holds secrets in clear and lives in files of mode 0600 only.
    """

    document: dict[str, Any]

    @classmethod
    def parse(cls, text: str | bytes) -> Rendered:
        """What `render` printed, or `to_bytes` made. Raises ToolFailed for anything else."""
        try:
            document = json.loads(text)
            if isinstance(document["services"], dict):
                return cls(document)
        except (ValueError, KeyError, TypeError):
            pass
        raise ToolFailed("docker compose config printed something that is not a configuration")

    def to_bytes(self) -> bytes:
        """JSON, which is YAML, which Compose reads."""
        return json.dumps(self.document, indent=1, sort_keys=True).encode() + b"\n"

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(self.document["services"])

    @property
    def digest(self) -> str:
        """Tells two configurations apart, and nothing of what is in them."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:DIGEST_LENGTH]

    def pinned(self, services: Sequence[str], image_id: str, release: str) -> Rendered:
        """The same with the released services bound to one image id and labelled.

        The label makes Compose replace the container even where nothing else differs, and tells
        afterwards which release a container belongs to.
        """
        changed: dict[str, Any] = {}
        for name, service in self.document["services"].items():
            if name in services:
                service = {key: value for key, value in service.items() if key != "build"}
                labels = {**service.get("labels", {}), RELEASE_LABEL: release}
                service |= {"image": image_id, "pull_policy": "never", "labels": labels}
            changed[name] = service
        return Rendered({**self.document, "services": changed})

    def with_environment(self, service: str, values: Mapping[str, str]) -> Rendered:
        """The same with exactly these variables in one service."""
        services = dict(self.document["services"])
        escaped = {key: value.replace("$", "$$") for key, value in values.items()}
        services[service] = {**services[service], "environment": escaped}
        return Rendered({**self.document, "services": services})


def pulled_by_compose(service: Mapping[str, Any]) -> bool:
    """Whether starting it fetches its image where there is none, and nothing else is asked for
    (docs.docker.com, compose file reference, `pull_policy`)."""
    usual = service.get("pull_policy", "missing") in ("missing", "if_not_present")
    return usual and "image" in service and not {"build", "platform"} & set(service)


@dataclass(frozen=True, slots=True)
class Stack:
    """A compose project run from one rendered file."""

    project: str
    file: Path

    def _command(self, *arguments: str) -> Command:
        # an empty env file: a `.env` that lies around must not change what was rendered
        argv = ("docker", "compose", "-p", self.project, "-f", str(self.file))
        return Command((*argv, "--env-file", "/dev/null", "--progress", "plain", *arguments))

    def start(self, services: Sequence[str]) -> Command:
        """Starts what is not running and leaves what runs as it is. Only these: one that depends
        on a released service (a proxy, say) must not start the new release on the way."""
        flags = ("--detach", "--no-recreate", "--no-deps", "--no-build")
        return self._command("up", *flags, *services)

    def start_in_order(self, services: Sequence[str]) -> Command:
        """The same, each when those that it depends on are as far as it wants them."""
        return self._command("up", "--detach", "--no-recreate", "--no-build", *services)

    def replace(self, services: Sequence[str], stop_timeout_s: float) -> Command:
        """Stops the old containers and starts new ones from this file."""
        flags = ("--detach", "--no-deps", "--no-build", "--timeout", str(round(stop_timeout_s)))
        return self._command("up", *flags, *services)

    def once(self, service: str, name: str, argv: Sequence[str]) -> Command:
        """Runs a program in a container of its own, as the service would run: its image, variables
        and networks, but not its ports."""
        flags = ("--rm", "--no-deps", "--no-TTY", "--name", name, "--entrypoint", argv[0])
        return self._command("run", *flags, service, *argv[1:])

    def create(self, services: Sequence[str]) -> Command:
        """Makes containers and networks without starting anything."""
        return self._command("create", "--no-build", *services)

    def stop(self, stop_timeout_s: float, services: Sequence[str] = ()) -> Command:
        """Stops these, else everything, and keeps it, so that it can be started again."""
        return self._command("stop", "--timeout", str(round(stop_timeout_s)), *services)

    def remove(self, services: Sequence[str]) -> Command:
        """Stops and removes the containers of these services; volumes stay."""
        return self._command("rm", "--stop", "--force", *services)


def down(project: str, stop_timeout_s: float) -> Command:
    """Removes the containers and networks of a project of which no file is left; volumes stay."""
    argv = ("docker", "compose", "-p", project, "-f", "-", "--env-file", "/dev/null")
    flags = ("down", "--remove-orphans", "--timeout", str(round(stop_timeout_s)))
    return Command((*argv, "--progress", "plain", *flags), input=Secret('{"services": {}}'))


def erase(project: str, services: Sequence[str]) -> Command:
    """The same with its default network and the volumes without a name that an image asks for.
    Unless these services are named, Compose takes their containers for orphans, and leaves those
    volumes behind (pkg/compose/down.go)."""
    removed = down(project, 0)
    named = {"services": {name: {"image": "none"} for name in services}}
    return replace(removed, argv=(*removed.argv, "--volumes"), input=Secret(json.dumps(named)))


def volumes(project: str) -> Command:
    """Prints the names of a project's named volumes."""
    wanted = f"label=com.docker.compose.project={project}"
    return Command(("docker", "volume", "ls", "--quiet", "--filter", wanted))


def remove_volumes(names: Sequence[str]) -> Command:
    """With all that is in them."""
    return Command(("docker", "volume", "rm", "--force", *names))


def enter(
    project: str, service: str, *, terminal: bool = False, variables: Sequence[str] = ()
) -> tuple[str, ...]:
    """The argv that runs a program in a service's running container.

    `variables` are names; their values are those in the environment of the command.
    """
    flags = () if terminal else ("-T",)
    named = [part for name in variables for part in ("-e", name)]
    return ("docker", "compose", "-p", project, "exec", *flags, *named, service)


def enter_container(
    container_id: str,
    argv: Sequence[str],
    *,
    terminal: bool = False,
    variables: Sequence[str] = (),
    user: str | None = None,
) -> Command:
    """Runs a program in one running container, standard input and all."""
    flags = ["--interactive", *(["--tty"] if terminal else [])]
    flags += [part for name in variables for part in ("--env", name)]
    flags += ["--user", user] if user else []
    return Command(("docker", "exec", *flags, container_id, *argv))


def one_offs(project: str) -> Command:
    """Prints the ids of what `Stack.once` has left in a project."""
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.oneoff=True")
    filters = [part for label in (*labels, RELEASE_LABEL) for part in ("-f", f"label={label}")]
    return Command(("docker", "ps", "--all", "--quiet", "--no-trunc", *filters))


def remove_containers(containers: Sequence[str]) -> Command:
    """With their anonymous volumes, running or not."""
    return Command(("docker", "rm", "--force", "--volumes", *containers))


def build(folder: Path, tag: str, version: str, revision: str | None = None) -> Command:
    """Builds an image; `VERSION` is a build argument that a Dockerfile may use.

    By way of Compose, which carries BuildKit: `docker build` without the buildx plugin falls back
    to the old builder.
    """
    labels = {VERSION_LABEL: version, **({REVISION_LABEL: revision} if revision else {})}
    recipe = {"context": str(folder), "args": {"VERSION": version}, "labels": labels}
    document = {"name": "stockctl-build", "services": {"image": {"image": tag, "build": recipe}}}
    argv = ("docker", "compose", "-f", "-", "--env-file", "/dev/null", "--progress", "plain")
    escaped = json.dumps(document).replace("$", "$$")
    return Command((*argv, "build"), input=Secret(escaped))


def pull(reference: str) -> Command:
    """Fetches an image from its registry."""
    return Command(("docker", "pull", reference))
