"""`stockctl deploy`: ENV · status."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.command import PlainGroup
from stockctl.cli.deploy_plan import plan_data, show_plan
from stockctl.cli.gates import Override, Reason, candidate_of, overrides_of, pass_gates
from stockctl.cli.guard import Confirm, Plan, SkipBackup, SkipHooks, Yes, confirm
from stockctl.cli.patience import Wait, patiently
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import group, verb
from stockctl.cli.watching import watch_and_withdraw
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import (
    ConfigurationError,
    NoProject,
    UnknownEnvironment,
    UsageError,
    Where,
)
from stockctl.core.units import format_duration

if TYPE_CHECKING:
    from stockctl.deploy.image import Commit
    from stockctl.deploy.release import Release
    from stockctl.deploy.site import Site

TEMPLATE = "ENV"
Tag = Annotated[str | None, typer.Option("--tag", metavar="V", help="The version; default: git's.")]
Image = Annotated[
    str | None, typer.Option("--image", metavar="REF", help="An image that is built already.")
]


class DeployGroup(PlainGroup):
    """The environments are subcommands beside the verbs: `stockctl deploy staging`."""

    def _environments(self, ctx: Any) -> list[str]:
        with suppress(NoProject):
            return [n for n in ctx.obj.project().names() if n not in self.commands]
        return []

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self._environments(ctx), *(n for n in self.commands if n != TEMPLATE)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.commands and cmd_name != TEMPLATE:
            return self.commands[cmd_name]
        if cmd_name not in self._environments(ctx):
            return None
        command = copy(self.commands[TEMPLATE])
        command.name, command.short_help = cmd_name, f"Deploy to {cmd_name}."
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name in self.commands and name != TEMPLATE:
            self._refuse_ambiguous(ctx, name)
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from difflib import get_close_matches

            ctx.obj.project()  # no project at all is the better answer
            names = self.list_commands(ctx)
            near = get_close_matches(name, names, n=1)
            guess = f"Did you mean {near[0]}? " if near else ""
            raise UnknownEnvironment(
                f"no environment and no verb {name}", hint=f"{guess}There are: {', '.join(names)}."
            )
        return super().resolve_command(ctx, args)

    def _refuse_ambiguous(self, ctx: Any, verb: str) -> None:
        """An environment that is called like a verb would be hidden by it: neither is meant then.
        Raises ConfigurationError."""
        with suppress(NoProject):
            project = ctx.obj.project()
            if verb in project.names():
                raise ConfigurationError(
                    f"{verb} is a verb of `stockctl deploy`, and an environment is called so",
                    where=Where(project.label(project.file(verb))),
                    hint=f"Give that file another name: environments/my-{verb}.toml, say.",
                )


app = group(
    "From one release to the next, and back.",
    cls=DeployGroup,
    subcommand_metavar="ENV|VERB [ARGS]...",
    beside=(
        "stockctl.cli.deploy_rollback",
        "stockctl.cli.deploy_status",
        "stockctl.cli.deploy_history",
        "stockctl.cli.deploy_logs",
        "stockctl.cli.deploy_exec",
        "stockctl.cli.deploy_contract",
        "stockctl.cli.deploy_lock",
        "stockctl.cli.deploy_maintenance",
        "stockctl.cli.deploy_tidy",
        "stockctl.cli.deploy_preflight",
        "stockctl.cli.deploy_rehearse",
        "stockctl.cli.deploy_watch",
    ),
)


@verb(
    app,
    TEMPLATE,
    example="stockctl deploy staging --plan\nstockctl deploy prod --tag 1.4.0 --confirm prod",
    exits=(2, 3, 4, 5, 6, 7, 9, 11),
    environment="command",
)
def deploy(
    session: Session,
    name: str,
    tag: Tag = None,
    reference: Image = None,
    plan: Plan = False,
    skip_backup: SkipBackup = False,
    skip_hooks: SkipHooks = False,
    override: Override = None,
    reason: Reason = None,
    wait: Wait = None,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Backs up, migrates, replaces the running release, waits until it is well, smoke-tests it.

    When the new release is bad it is withdrawn, and the previous one serves again (exit 9).
    """
    from stockctl.deploy.freeze import require_thawed
    from stockctl.deploy.gates import engine_ready
    from stockctl.deploy.preview import preview
    from stockctl.deploy.rollout import deploy, plan_deploy

    overrides = overrides_of(override, reason)
    opened = open_environment(session, name, changes=True)

    def attempt(left_s: float) -> Result:
        todo = plan_deploy(
            site,
            version=version,
            reference=image,
            build=not reference,
            commit=commit,
            skip_backup=skip_backup,
        )
        seen = preview(site, todo)
        show_plan(session, name, todo, seen, all_=plan)
        candidate = candidate_of(version, image, commit, build=todo.build)
        pass_gates(opened, site, candidate, overrides, plan=plan)
        if plan:
            return Result({"planned": plan_data(todo, seen)})
        if opened.environment.protected:
            what = f"replace what serves on {name} by {version}"
            confirm(session, name, what, protected=True, given=given, yes=yes)
        return _serves(session, site, deploy(site, todo, opened.store(), left_s))

    with opened.site(hooks=not skip_hooks) as site:
        _ = site.service
        version, image, commit = what_to_deploy(session, site, tag, reference)
        if not plan:
            require_thawed(site.journal)
        engine_ready(site)
        return patiently(site, wait, attempt)


def _serves(session: Session, site: Site, release: Release) -> Result:
    """Says so, and watches it where that is wanted."""
    url = site.service.url
    session.output.line(f"{release.id} ({release.version}) serves on {url}", style="green")
    settings = site.environment.watch
    if settings.after_deploy:
        length = format_duration(settings.duration)
        session.output.note(f"watched for {length}; Ctrl-C ends that, and the release stays")
        watch_and_withdraw(session, site, settings.duration)
    else:
        name = site.environment.name
        session.output.note(f"not watched: stockctl deploy watch {name} --rollback")
    return Result({"release": release.to_json()})


def what_to_deploy(
    session: Session, site: Site, tag: str | None, reference: str | None
) -> tuple[str, str, Commit | None]:
    """The version, the image's name, and the commit that it is built from."""
    from stockctl.deploy.image import commit_of, version_in, version_of

    if tag and reference:
        raise UsageError("give either --tag or --image")
    if reference:
        return version_in(reference), reference, None
    commit = commit_of(site.here, session.project().root)
    version = tag or version_of(commit)
    return version, f"{site.service.image}:{version}", commit
