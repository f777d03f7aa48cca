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

Environments = Annotated[
    list[str] | None, typer.Argument(metavar="ENV…", help="The environments to make.")
]
Compose = Annotated[
    list[Path] | None,
    typer.Option("--compose", metavar="FILE", help="Compose files, in order. Default: as Compose."),
]
Web = Annotated[str | None, typer.Option(metavar="SERVICE", help="The one that takes requests.")]
Port = Annotated[int | None, typer.Option(metavar="N", min=1, max=65535, help="Its port inside.")]
Health = Annotated[str | None, typer.Option(metavar="PATH", help="Answers 200 when it is well.")]
Url = Annotated[str | None, typer.Option(metavar="URL", help="Where users reach it.")]
Image = Annotated[str | None, typer.Option(metavar="NAME", help="What is released, untagged.")]
Build = Annotated[Path | None, typer.Option(metavar="DIR", help="Build the image from there.")]
Database = Annotated[str | None, typer.Option(metavar="SERVICE", help="The PostgreSQL of it.")]
NoDatabase = Annotated[bool, typer.Option("--no-database", help="Leave the database to others.")]
Migrations = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Default: migrations/, if it has SQL files.")
]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A variable's value; not for secrets."),
]


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
    environments: Environments = None,
    compose: Compose = None,
    web: Web = None,
    port: Port = None,
    health: Health = None,
    url: Url = None,
    image: Image = None,
    build: Build = None,
    database: Database = None,
    no_database: NoDatabase = False,
    migrations: Migrations = None,
    values: Values = None,
    plan: Plan = False,
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
        values=given_values(values or []),
    )
    names, made = settle(session, scene, environments or [], answers)
    return tell(session, scene, names, made) if plan else write(session, scene, names, made)


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
