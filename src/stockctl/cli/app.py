"""The root command, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import gc
import inspect
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from stockctl import __version__
from stockctl.cli import plain_signs
from stockctl.cli.command import PlainGroup
from stockctl.cli.session import Session
from stockctl.cli.signals import stay_awake
from stockctl.cli.verb import absorb, global_parameters, sign
from stockctl.core.errors import (
    Bug,
    EndedBySignal,
    HostFailed,
    Interrupted,
    StockctlError,
    Terminated,
    UsageError,
)

# Before the garbage collector looks for cycles. At Python's 700 it goes through all that pydantic
# has made again and again: a tenth of `env validate`, and nothing of it is ever garbage.
ALLOCATIONS = 100_000

# Modules are imported when their group is used: `stockctl --help` needs none of them.
GROUPS = {
    "env": "What the environments are, and whether they are sound.",
    "db": "Migrations of the database, with a way back.",
    "backup": "Backups that are verified, and restores that can be trusted.",
    "deploy": "From one release to the next, and back.",
    "smoke": "Does the running service do what it must?",
    "load": "Does the service bear many users at once?",
    "status": "What is live, is it well, what to do next.",
    "monitor": "What Prometheus and Grafana are told.",
    "doctor": "Is this machine able to do the job?",
    "journal": "Who did what, when, how it ended.",
}


class LazyRoot(PlainGroup):
    """Knows the groups by name and loads one when it is asked for."""

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(GROUPS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in GROUPS:
            return None
        module = import_module(f"stockctl.cli.{cmd_name}")
        return module.app.build()

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(GROUPS.items()))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = cast("Any", dict.fromkeys(GROUPS))  # for its did-you-mean
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyRoot,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="\b\nExample:\n  stockctl env validate staging && stockctl deploy staging"
    "\n\n\b\nExit codes: docs/errors.md",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"stockctl {__version__}")  # noqa: T201
        raise typer.Exit


def _root(ctx: typer.Context, **options: Any) -> None:
    """Operations for a Docker Compose service and its Postgres.

    Validates environments, migrates with a way back, backs up and restores, deploys, rolls back,
    and checks what it did.
    """
    options.pop("version")
    absorb(ctx.obj, options)


_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_VERSION = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
]
sign(
    _root,
    [
        inspect.Parameter("ctx", _KEYWORD, annotation=typer.Context),
        inspect.Parameter("version", _KEYWORD, default=False, annotation=_VERSION),
        *global_parameters(),
    ],
)
app.callback()(_root)


def main() -> None:
    """The entry point."""
    gc.set_threshold(ALLOCATIONS)
    stay_awake()
    for name in ("stdin", "stdout", "stderr"):  # None where the caller has closed it
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    plain_signs.register()
    for stream in (sys.stdout, sys.stderr):  # a ✓ must not be an error where there is only ASCII
        cast("TextIOWrapper", stream).reconfigure(errors=plain_signs.NAME)
    code = _written(run(sys.argv[1:]))
    gc.freeze()  # or Python looks for cycles in all of it before it exits: 20 ms of `env validate`
    sys.exit(code)


def _written(code: int) -> int:
    """The exit code, once all that was said is out. What finds no room is dropped here: Python
    would try again as it ends, and make it 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            from stockctl.cli.console import hush

            hush(stream)
            if code == 0 and not isinstance(error, BrokenPipeError):
                code = HostFailed.exit_code
    return code


def run(arguments: list[str]) -> int:
    """Runs one command line and returns the exit code; nothing but this decides about it."""
    session = Session()
    session.as_json = "--json" in _before_separator(arguments)
    session.ending.install()
    try:
        code = int(app(arguments, standalone_mode=False, obj=session, prog_name="stockctl") or 0)
        if code == Interrupted.exit_code:  # typer's word for KeyboardInterrupt; no verb's own
            return session.fail(Interrupted("interrupted"))
        return code
    except typer.TyperException as error:
        return _usage(session, error)
    except StockctlError as error:
        return session.fail(error)
    except typer.Abort as error:  # typer's word for EOFError, which nobody of us means to raise
        return _bug(session, EOFError(str(error.__cause__ or "")))
    except KeyboardInterrupt as interrupt:
        return session.fail(Interrupted("interrupted", details=_notes(interrupt)))
    except Terminated as terminated:
        return session.fail(EndedBySignal("terminated", details=_notes(terminated)))
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        from stockctl.cli.console import hush

        hush(sys.__stdout__ or sys.stdout)  # whoever read the help has left
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _bug(session, error)
        with suppress(OSError):  # where stderr is on the full disk, too, nobody can be told
            session.fail(HostFailed("no space left to write the output"))
        return HostFailed.exit_code
    except Exception as error:
        return _bug(session, error)


def _notes(error: BaseException) -> str:
    """What was learned on the way out, while somebody was putting things right."""
    return "\n".join(getattr(error, "__notes__", []))


def _before_separator(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _usage(session: Session, error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and not session.as_json:
        print(error.format_message(), file=sys.stderr)  # noqa: T201
        return UsageError.exit_code
    hint = f"{context.command_path if context else 'stockctl'} --help"
    return session.fail(UsageError(error.format_message().rstrip("."), hint=hint))


def _bug(session: Session, error: Exception) -> int:
    session.learn_everything()  # nobody knows what such a message holds
    trace = "".join(traceback.format_exception(error)) if session.verbose else ""
    message = f"a bug in stockctl {__version__}: {type(error).__name__}: {error}"
    hint = "Please report it with the command line and what -v shows."
    return session.fail(Bug(message, details=trace, hint=hint))
