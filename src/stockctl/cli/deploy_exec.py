"""`stockctl deploy exec`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.command import PlainCommand
from stockctl.cli.deploy import app
from stockctl.cli.guard import Confirm, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, engine_of, open_environment
from stockctl.core.errors import Refused, UsageError
from stockctl.env.needs import RELEASES

if TYPE_CHECKING:
    from stockctl.core.command import Command
    from stockctl.deploy.site import Site

BY_SIGNAL = 128  # as shells do


class WithProgram(PlainCommand):
    """What comes after `--` is not ours: it goes into the session as it is."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        ours, program = args, []
        if "--" in args:
            at = args.index("--")
            ours, program = args[:at], args[at + 1 :]
        ctx.obj.program = tuple(program)
        return super().parse_args(ctx, ours)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- CMD [ARGS]..."]


@verb(
    app,
    "exec",
    example="stockctl deploy exec prod -- sh"
    "\nstockctl deploy exec prod --with ADMIN_TOKEN -- ./manage reindex"
    "\necho 'select 1' | stockctl deploy exec prod --service postgres -- psql -U postgres",
    exits=(2, 3, 4, 6),
    command=WithProgram,
)
def exec_(
    session: Session,
    name: str,
    service: Annotated[
        str | None, typer.Option("--service", metavar="NAME", help="Default: the one for the web.")
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", metavar="rNNNN", help="Default: the live one.")
    ] = None,
    variables: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY", help="Give it this variable of the env file, too."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Run as; default: the image's.")
    ] = None,
    given: Confirm = None,
) -> Result:
    """Runs a program in the release that serves, with this terminal or what is piped in.

    Its exit code is ours (128 and more: a signal). The container has its variables already; one
    that it has not goes in with `--with`, on no command line.
    """
    from stockctl.system.foreground import foreground

    if not session.program:
        raise UsageError("which program?", hint=f"stockctl deploy exec {name} -- sh")
    if session.as_json:
        raise UsageError("deploy exec shows what the program shows: it has no --json")
    opened = open_environment(session, name, needs=RELEASES)
    if opened.environment.protected:
        what = f"run {session.program[0]} in {name}, which is protected"
        confirm(session, name, what, protected=True, given=given, yes=False)
    with opened.site() as site:
        command = _command(session, opened, site, service, release, variables or [], user)
        with opened.journal.operation(f"deploy exec {session.program[0]}"):
            code = foreground(command)
    return Result(exit_code=code if code >= 0 else BY_SIGNAL - code)


def _command(
    session: Session,
    opened: Opened,
    site: Site,
    service: str | None,
    release: str | None,
    variables: list[str],
    user: str | None,
) -> Command:
    """Raises Refused where no container of it runs, UsageError for a variable that is not set."""
    from dataclasses import replace

    from stockctl.deploy.logs import sources
    from stockctl.system.compose import enter_container

    wanted = service or site.service.web
    running = [c for c in sources(site, release, [wanted]) if c.status == "running"]
    if not running:
        hint = f"stockctl deploy status {opened.environment.name}"
        raise Refused(f"no container of {release or wanted} runs", hint=hint)
    unset = [key for key in variables if key not in site.values]
    if unset:
        raise UsageError(f"--with: {', '.join(unset)} is not in the env file")
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    command = enter_container(
        running[0].id, session.program, terminal=terminal, variables=variables, user=user
    )
    own = {key: site.values[key].reveal() for key in variables}
    return replace(command, environment={**engine_of(site.host), **own})
