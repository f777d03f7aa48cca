"""JSON Schema of `environments/*.toml`, for editors: the model, as one single file may hold it.

A file may leave to another what the whole must have (`extends`), and a string may hold a
`${NAME}` that the loader fills in before the model looks: the model's own schema says neither.
"""

from __future__ import annotations

from typing import Any

from stockctl.core.units import write_duration
from stockctl.env.model import Environment

# Draft 7 is the newest that Taplo (Even Better TOML) and tombi both read, and nothing newer is
# needed here. In it, whatever stands beside a `$ref` is ignored, so tables are written in place.
DRAFT = "http://json-schema.org/draft-07/schema#"
_USE = (
    "A file of environments/. `stockctl env schema > environments/schema.json` writes this one"
    " beside them; a TOML file whose first line is `#:schema ./schema.json` is then completed and"
    " checked by editors."
)
_FILLED_IN = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_NUMBER_AS_TEXT = {"type": "string", "pattern": r"^[0-9]+$|" + _FILLED_IN["pattern"]}
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"  # as stockctl.core.units reads them
_NOT_FOR_EDITORS = ("title", "default", "examples", "required")

Schema = dict[str, Any]


def schema() -> Schema:
    """The document."""
    made = Environment.model_json_schema(by_alias=True)
    table = _written(made, made.pop("$defs"), whole=False)
    del table["properties"]["name"]  # the file's own
    return {"$schema": DRAFT, **table, "title": "stockctl environment", "description": _USE}


def _written(node: Schema, definitions: dict[str, Schema], *, whole: bool) -> Schema:
    """What a person may write for `node`. `whole`: never spread over two files."""
    own = {key: value for key, value in node.items() if key not in _NOT_FOR_EDITORS}
    if "$ref" in own:
        named = definitions[own.pop("$ref").rpartition("/")[2]]
        return {**_written(named, definitions, whole=whole), **own}
    if "anyOf" in own:  # TOML has no null: to leave a key out is to say nothing
        options = [option for option in own.pop("anyOf") if option != {"type": "null"}]
        kinds = [_written(option, definitions, whole=whole) for option in options]
        return {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **own, **_default(node)}
    if "properties" in own:
        tables = own["properties"].items()
        inner = {key: _written(each, definitions, whole=whole) for key, each in tables}
        needed = {"required": node["required"]} if whole and "required" in node else {}
        return {**own, "properties": inner, **needed}
    if isinstance(own.get("additionalProperties"), dict):
        value = _written(own["additionalProperties"], definitions, whole=False)
        return {**own, "additionalProperties": value}
    if "items" in own:  # a list is never merged with another file's
        own["items"] = _written(own["items"], definitions, whole=True)
        return {**own, **_default(node)}
    return {**_value(own, duration="examples" in node), **_default(node)}


def _value(own: Schema, *, duration: bool) -> Schema:
    """A number, a name or a text, also as `${NAME}` where the filled in text is taken for it."""
    described = {"description": own.pop("description")} if "description" in own else {}
    if duration:
        own["pattern"] = _DURATION
    if own.get("type") == "integer":
        return {"anyOf": [own, _NUMBER_AS_TEXT], **described}
    if own.get("type") == "string" and own.keys() & {"pattern", "enum", "const"}:
        return {"anyOf": [own, _FILLED_IN], **described}
    return {**own, **described}


def _default(node: Schema) -> Schema:
    """As it would be written; the model holds durations in seconds."""
    value = node.get("default")
    if isinstance(value, float):
        value = write_duration(value)
    return {} if value is None else {"default": value}
