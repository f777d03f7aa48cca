"""A schedule as a container of our own image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stockctl.backup.schedule import Job
from stockctl.backup.schedule_compose import SERVICE, Box, compose_file, heading
from stockctl.core.command import Command
from stockctl.core.errors import Refused, ToolFailed
from stockctl.core.secret import Secret
from stockctl.system.host import Host

_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A compose file beside the service's own, and the container that it describes."""

    host: Host
    file: Path
    box: Box

    def text(self, job: Job) -> str:
        return compose_file(job, self.box)

    def what(self, job: Job) -> str:
        return f"the container of {self.file.name} for {job.environment}"

    def install(self, job: Job) -> bool:
        """Also starts it where the file is right and nothing runs."""
        written = self.text(job).encode()
        same = self._is_there(job) and self.host.read(self.file) == written
        if same and self._compose("ps", "--quiet", "--status", "running"):
            return False
        self._require_image()
        self.host.write(self.file, written, 0o644)
        self._compose("up", "--detach", "--remove-orphans")
        return True

    def remove(self, job: Job) -> bool:
        """The container first: without the file nobody would know what to end."""
        if not self._is_there(job):
            return False
        self._compose("down", "--remove-orphans")
        self.host.remove(self.file)
        return True

    def trial(self, job: Job) -> Command:
        """In a container that is made like the service's, from a file that is not written. Raises
        ToolFailed without the image."""
        self._require_image()
        once = ("run", "--rm", "-T", "--interactive=false", SERVICE, "--root", str(job.root))
        argv = (*self._named("-"), *once, *job.checking)
        return Command(argv, input=Secret(self.text(job)))

    way_out = (
        "The container has the project and nothing else of this machine: no variables of a shell,"
        " no agent, no engine, and clients of the PostgreSQL versions in docs/scheduling.md."
        " What it cannot do, cron can: --via cron."
    )

    def _is_there(self, job: Job) -> bool:
        """Raises Refused where somebody else's file has the name."""
        if not self.host.exists(self.file):
            return False
        if not self.host.read(self.file).startswith(heading(job).encode()):
            raise Refused(
                f"{self.file} was not written by backup schedule",
                hint="Move it out of the way, and try again.",
            )
        return True

    def _require_image(self) -> None:
        command = Command(("docker", "image", "ls", "--quiet", self.box.image))
        if not self.host.run(command, timeout_s=_TIMEOUT_S).stdout.strip():
            raise ToolFailed(
                f"there is no image {self.box.image} on this machine",
                hint="`make image` in a checkout of stockctl builds it.",
            )

    def _named(self, file: str) -> tuple[str, ...]:
        named = ("-p", self.box.project, "-f", file, "--env-file", "/dev/null")
        return ("docker", "compose", *named)

    def _compose(self, *arguments: str) -> str:
        """What it prints. The operator's own `.env` and COMPOSE_… settings have no say."""
        command = Command((*self._named(str(self.file)), *arguments))
        return self.host.run(command, timeout_s=_TIMEOUT_S).stdout.strip()
