"""`stockctl env`: init · schema."""

from __future__ import annotations

import json

from stockctl.cli.env import app
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb


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
