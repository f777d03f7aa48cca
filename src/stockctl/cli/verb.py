"""`@verb`: gives a function the global options, the environment argument and its help."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from stockctl.cli.command import Group, PlainCommand, PlainGroup
from stockctl.cli.session import Result, Session

Verb = Callable[..., Result]

_GLOBALS = {
    "root": Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="The folder that holds environments/."),
    ],
    "as_json": Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")],
    "no_color": Annotated[bool, typer.Option("--no-color", help="No colour, no animation.")],
    "no_input": Annotated[bool, typer.Option("--no-input", help="Never ask.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")],
    "verbose": Annotated[
        bool, typer.Option("--verbose", "-v", help="What the tools print; tracebacks of bugs.")
    ],
}
_ENVIRONMENT = Annotated[
    str | None,
    typer.Argument(metavar="ENV", help="Default: $STOCKCTL_ENV, else the only one there is."),
]

EXITS = {
    0: "done, or nothing to do",
    2: "usage",
    3: "configuration is wrong",
    4: "refused, nothing was changed",
    5: "locked by somebody else",
    6: "a tool or the host failed",
    7: "the database or a migration failed",
    8: "a backup is not valid",
    9: "unhealthy",
    10: "with --exit-code: there is a difference",
    11: "failed, and the state before could not be brought back",
}


def absorb(session: Session, options: dict[str, Any]) -> None:
    """Takes the global options out of `options`; one given in either place counts."""
    for name in _GLOBALS:
        value = options.pop(name, None)
        if value:
            setattr(session, name, value)


def global_parameters() -> list[inspect.Parameter]:
    """The global options as keyword parameters."""
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if name == "root" else False,
            annotation=annotation,
        )
        for name, annotation in _GLOBALS.items()
    ]


def group(help_text: str, cls: type[PlainGroup] = PlainGroup, **settings: Any) -> Group:
    """A group of verbs; the global options are taken between the two as well."""
    made = Group(help=help_text, cls=cls, no_args_is_help=True, **settings)

    def between(ctx: typer.Context, **options: Any) -> None:
        absorb(ctx.obj, options)

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    sign(between, [context, *global_parameters()])
    made.callback()(between)
    return made


def sign(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> None:
    """typer reads signature and annotations: give it these."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}


def verb(
    group: typer.Typer,
    name: str,
    *,
    example: str,
    exits: tuple[int, ...],
    environment: Literal["argument", "command", "none"] = "argument",
    hidden: bool = False,
    command: type[PlainCommand] = PlainCommand,
) -> Callable[[Verb], Verb]:
    """Registers `function(session, environment_name?, **options) -> Result` as `group name`.

    The docstring says why one would use it; `example` and `exits` end its help. `environment`:
    an argument, or the name of the command itself (`stockctl deploy staging`), or not at all.
    """

    def register(function: Verb) -> Verb:
        takes_argument = environment == "argument"

        def call(ctx: typer.Context, **options: Any) -> int:
            session: Session = ctx.obj
            absorb(session, options)
            session.command = " ".join(ctx.command_path.split()[1:])
            if environment == "none":
                return session.finish(function(session, **options))
            wanted = options.pop("environment", None) if takes_argument else ctx.info_name
            return session.finish(function(session, session.choose(wanted), **options))

        _give_signature(call, function, environment)
        group.command(
            name,
            cls=command,
            help=inspect.getdoc(function),
            epilog=_epilog(example, exits),
            hidden=hidden,
        )(call)
        return function

    return register


def _give_signature(call: Callable[..., Any], function: Verb, environment: str) -> None:
    """Ours first, then the function's own options."""
    hints = get_type_hints(function, include_extras=True)
    skipped = 1 if environment == "none" else 2
    own = list(inspect.signature(function).parameters.values())[skipped:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(
            [inspect.Parameter("environment", keyword, default=None, annotation=_ENVIRONMENT)]
            if environment == "argument"
            else []
        ),
        *(p.replace(kind=keyword, annotation=hints[p.name]) for p in own),
        *global_parameters(),
    ]
    sign(call, parameters)


def _epilog(example: str, exits: tuple[int, ...]) -> str:
    """`\\b` keeps the formatter from refilling a paragraph."""
    shown = textwrap.indent(textwrap.dedent(example).strip(), "  ")
    codes = "\n".join(f"  {code:<3} {EXITS[code]}" for code in sorted({0, 2, *exits}))
    return f"\b\nExample:\n{shown}\n\n\b\nExit codes:\n{codes}\n  130 interrupted, 143 terminated"
