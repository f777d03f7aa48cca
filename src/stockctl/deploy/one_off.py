"""`deploy.release_command`: a one-off container in the new image, for a service that has its own
migrator. It ends well before anything that serves is touched, or the deploy ends."""

from __future__ import annotations

import shlex

from stockctl.core.errors import DeadlineExceeded, StockctlError, ToolFailed
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.system import compose

TIDY_S = 60.0


def run_release_command(site: Site, release: Release) -> None:
    """Raises ToolFailed with what it printed last, DeadlineExceeded after `release_timeout`."""
    settings = site.environment.deploy
    if not settings.release_command:
        return
    shown = shlex.join(settings.release_command)
    name = f"{site.environment.project}-{release.id}-release-command"
    _remove_leftovers(site)
    with site.progress.step("release command") as step:
        command = site.stack(release).once(site.service.web, name, settings.release_command)
        try:
            site.host.run(command, timeout_s=settings.release_timeout, on_line=step.line)
        except DeadlineExceeded as error:
            error.message = f"release_command did not end in time: {shown}"
            error.hint = "deploy.release_timeout says how long it may take."
            raise
        except ToolFailed as error:
            raise ToolFailed(
                f"release_command failed: {shown}",
                details=error.details,
                hint="Nothing that serves was touched; what the command itself did stays done.",
            ) from error
        finally:
            _remove_leftovers(site)
        step.detail = shown


def _remove_leftovers(site: Site) -> None:
    """Its container, should we have been ended in the middle: `run --rm` ends with its client."""
    try:
        found = site.host.run(compose.one_offs(site.environment.project), timeout_s=TIDY_S)
        if found.stdout.split():
            command = compose.remove_containers(found.stdout.split())
            site.host.run(command, timeout_s=TIDY_S)
    except StockctlError as error:
        site.progress.warn(f"a container of a release_command may be left: {error}")
