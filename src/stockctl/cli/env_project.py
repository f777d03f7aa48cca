"""`stockctl env`: init · schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stockctl.cli.env import app
from stockctl.cli.guard import Plan
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.core.errors import UsageError


@verb(
    app,
    "init",
    example="stockctl env init prod\nstockctl env init staging prod --web api --health /healthz"
    " --set DOMAIN=shop.example.com\nstockctl env init prod --plan",
    exits=(2, 3, 4, 6),
    environment="none",
)
def init(
    session: Session,
    environments: Annotated[
        list[str] | None, typer.Argument(metavar="ENV…", help="The environments to make.")
    ] = None,
    compose: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Compose files, in order. Default: as Compose."),
    ] = None,
    web: Annotated[
        str | None, typer.Option(metavar="SERVICE", help="The one that takes requests.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its port inside the container.")
    ] = None,
    health: Annotated[
        str | None, typer.Option(metavar="PATH", help="Answers 200 when it is well.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Where users reach it.")] = None,
    image: Annotated[str | None, typer.Option(metavar="NAME", help="Without a tag.")] = None,
    build: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Build the image from this folder.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="SERVICE", help="The PostgreSQL of the service.")
    ] = None,
    no_database: Annotated[
        bool, typer.Option("--no-database", help="Leave the database to others.")
    ] = False,
    migrations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: migrations/, if it has SQL files.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A variable's value; not for secrets."),
    ] = None,
    plan_: Plan = False,
) -> Result:
    """Writes environments/ for the compose files of a folder.

    Services, ports, the database and the variables are read off `docker compose config`; what is
    not clear is asked, or taken by flags. Values come from --set, from the .env beside the compose
    file and from their defaults; a secret that is missing is made, or taken from the process
    environment. Nothing is overwritten, and nothing is written unless all of it can be.
    """
    from stockctl.cli.env_init import settle, tell, write
    from stockctl.cli.env_scene import look
    from stockctl.env.init.answers import Answers, given_values

    if no_database and database:
        raise UsageError("give either --database or --no-database")
    scene = look(session, compose or [])
    answers = Answers(
        web=web,
        port=port,
        database=database,
        no_database=no_database,
        health=health,
        image=image,
        build=scene.folder_option("--build", build),
        migrations=scene.migrations(migrations),
        url=url,
        values=given_values(set_ or []),
    )
    names, made = settle(session, scene, environments or [], answers)
    return tell(session, scene, names, made) if plan_ else write(session, scene, names, made)


@verb(
    app,
    "schema",
    example="stockctl env schema > environments/schema.json",
    exits=(),
    environment="none",
)
def print_schema(session: Session) -> Result:
    """Prints the JSON Schema of the TOML files, from which editors complete and check.

    Begin each file with the line `#:schema ./schema.json`; Taplo, Even Better TOML and tombi
    read it.
    """
    from stockctl.env.schema import schema

    document = schema()
    if not session.as_json:  # unmasked: nothing from outside is in it, and JSON must stay JSON
        session.output.out.print(json.dumps(document, indent=2), soft_wrap=True)
    return Result({"schema": document})
