"""Writes the reference pages from the code: `make docs`, or `python docs/generate.py`.

    docs/configuration.md   from the model in stockctl.env.model
    docs/errors.md          from the error tree in stockctl.core.errors
    docs/commands.md        from the help of every verb
    docs/rules.md           from the rules in stockctl.env.rules
    docs/lint.md            from the rules in stockctl.db.lint

`--check` writes nothing and exits 1, with a diff, when a page is not what the code says.
"""

from __future__ import annotations

import difflib
import inspect
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from stockctl.cli.app import app
from stockctl.cli.session import Session
from stockctl.core.errors import tree
from stockctl.db.lint import RULES as LINT_RULES
from stockctl.db.lint.squawk import OFF, OLDEST
from stockctl.env.model import Environment
from stockctl.env.rules import RULES
from stockctl.env.types import Table

HERE = Path(__file__).resolve().parent
WIDTH = 78  # what a terminal of 80 columns gives
NOTE = "<!-- Written by docs/generate.py from {source}; do not edit by hand. -->\n"

# ------------------------------------------------------------------ configuration.md

_EXAMPLES = ("base.toml", "staging.toml", "local.toml")
# Filled in by the loader, because they depend on the environment's name.
_LOADER_SETS = {"host.directory", "backup.store", "host", "backup"}
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_CONFIGURATION = """# Configuration

One file an environment: `environments/NAME.toml`. `environments/base.toml` is never an environment;
others extend it. `stockctl env show NAME` prints what comes of it all and where each value was
written; `stockctl env validate NAME` finds what is wrong, all of it at once.

- **`extends`** names another file of the folder, without `.toml`. Tables are merged key by key and
  the nearer file wins; a list is replaced as a whole.
- **The env file** (`env_file = ".env.staging"`) holds `KEY=value` lines with what must not be
  committed. It has mode 0600. `${X}` and `${X:-default}` in it take `X` from an earlier line, then
  from the process environment.
- **`${NAME}`** in any string of the TOML file takes the value from the env file, then from the
  process environment. One that is not set is an error.
- **Compose** gets the same values, and there too the env file wins over the operator's shell.
- **Paths** are relative to the file that names them. **Durations** are `"500ms"`, `"2s"`, `"15m"`,
  `"1h30m"`, `"7d"`; a number without a unit is refused.
- **Unknown keys** are errors. A key is listed here once the code behind it works.

## Example

Three files of this repository.
"""


def configuration() -> str:
    """One section for each table of the model."""
    parts = [NOTE.format(source="src/stockctl/env/model.py"), _CONFIGURATION]
    folder = HERE.parent / "environments"
    for name in _EXAMPLES:
        text = (folder / name).read_text(encoding="utf-8").rstrip()
        parts.append(f"`environments/{name}`\n\n```toml\n{text}\n```\n")
    schema = Environment.model_json_schema(by_alias=True)
    parts += [_table(title, key, model, schema) for title, key, model in _tables()]
    return "\n".join(parts)


def _tables() -> Iterator[tuple[str, str, type[Table]]]:
    """Title, dotted key and model of every table, the document itself first."""
    yield "Top level", "", Environment
    for name, field in Environment.model_fields.items():
        for model in _models(field.annotation):
            plural = {"smoke": "[[smoke]]", "variables": "[variables.NAME]"}
            yield f"`{plural.get(name, f'[{name}]')}`", name, model
            for inner, deeper in model.model_fields.items():
                for nested in _models(deeper.annotation):
                    yield f"`{name}.{inner}`", f"{name}.{inner}", nested


def _models(annotation: Any) -> list[type[Table]]:
    if inspect.isclass(annotation) and issubclass(annotation, Table):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def _table(title: str, key: str, model: type[Table], schema: dict[str, Any]) -> str:
    own = schema if model is Environment else schema["$defs"][model.__name__]
    rows = [
        f"| `{field.alias or name}` | {_type(own['properties'][field.alias or name], schema)} "
        f"| {_default(f'{key}.{name}'.lstrip('.'), field)} | {_cell(field.description or '')} |"
        for name, field in model.model_fields.items()
        if not field.exclude
    ]
    head = "| key | type | default | |\n|---|---|---|---|"
    return f"## {title}\n\n{inspect.getdoc(model)}\n\n{head}\n" + "\n".join(rows) + "\n"


def _type(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a person may write there."""
    if "anyOf" in field:
        return " or ".join(_type(o, schema) for o in field["anyOf"] if o.get("type") != "null")
    if "$ref" in field:
        return "table"
    if "enum" in field or "const" in field:
        values = field.get("enum", [field.get("const")])
        return " · ".join(f'`"{value}"`' for value in values)
    kind = field.get("type")
    if kind == "array":
        inner = _type(field["items"], schema)
        least = ", at least one" if field.get("minItems") else ""
        return "tables" if inner == "table" else f"list of {inner}s{least}"
    if kind == "object":
        inside = field.get("additionalProperties")
        if not isinstance(inside, dict):
            return "table"
        return "tables" if "$ref" in inside else "table of strings"
    if kind == "string":
        return ("duration" if "examples" in field else "string") + _pattern(field)
    names = {"boolean": "true or false", "integer": "number", None: "any"}
    return names[kind] + _range(field)


def _pattern(field: dict[str, Any]) -> str:
    return f" like `{_cell(field['pattern'])}`" if "pattern" in field else ""


def _range(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is None:
        return ""
    return f", {low} to {high}" if high is not None else f", {low} or more"


def _default(key: str, field: Any) -> str:
    if key in _LOADER_SETS:
        return "by name" if "." in key else ""
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Table):
        given = value.model_fields_set
        if not given:
            return ""
        names = [name for name in type(value).model_fields if name in given]
        return f"`{{ {', '.join(f'{n} = {_value(getattr(value, n))}' for n in names)} }}`"
    return "" if value in (None, (), {}, "") else f"`{_value(value)}`"


def _value(value: Any) -> str:
    """As TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f'"{_duration(value)}"'
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    return str(value)


def _duration(seconds: float) -> str:
    """In the largest unit that leaves no rest; a day is written in hours."""
    for size, unit in _UNITS[1:]:
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# ------------------------------------------------------------------------- errors.md

EXIT_CODES = {
    "0": "done, or nothing to do",
    "1": "a bug in stockctl; `-v` shows the traceback",
    "2": "usage",
    "3": "configuration is wrong; also: `env validate` or `db lint` found errors",
    "4": "refused: a guard, a gate or a missing confirmation; nothing was changed",
    "5": "locked by somebody else: the message says who, since when, doing what",
    "6": "a tool or the host failed: docker, compose, pg_dump, the store, a file",
    "7": "the database or a migration failed",
    "8": "a backup is not valid",
    "9": "unhealthy. For `deploy`: the new release was withdrawn, the previous one serves",
    "10": "with `--exit-code` only: there is a difference",
    "11": "failed, and the previous state could not be brought back: a person is needed now",
    "130": "interrupted (Ctrl-C), after an orderly stop",
    "143": "terminated (SIGTERM, SIGHUP), after an orderly stop",
}
_ERRORS = """# Errors and exit codes

Every failure has an exit code for scripts and a stable code for programs: `error.code` of
`--json`, whose `error.docs` names the section below. The message says what went wrong and where,
the line after `→` what to do next.

| exit | meaning |
|---|---|
{exits}

What a check finds has codes of its own: [rules.md](rules.md) for environments (`C…`, `E…`, `W…`,
`I…`), [findings.md](findings.md) for migration files (`M…`), [lint.md](lint.md) for what is in them
(`L…`).
"""


def errors() -> str:
    """One section for each error code; GitHub's anchor of `## LOCKED` is `#locked`."""
    exits = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    parts = [NOTE.format(source="src/stockctl/core/errors.py"), _ERRORS.format(exits=exits)]
    for kind in sorted(tree(), key=lambda kind: kind.exit_code):
        text = inspect.cleandoc(kind.__doc__ or "")
        parts.append(f"## {kind.code}\n\nExit {kind.exit_code}.\n\n{text}\n")
    return "\n".join(parts)


# ----------------------------------------------------------------------- commands.md

_COMMANDS = """# Commands

`stockctl [global options] GROUP VERB [ENV] [options]`. ENV left out is `$STOCKCTL_ENV`, else the
only environment there is; stockctl never guesses between two. Results go to stdout, all else to
stderr. The options that every verb takes may stand anywhere on the line; they are listed here once:

```text
{root}
```
"""


def commands() -> str:
    """The help of every verb, without the global options that all of them have."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "environments").mkdir()
        (Path(folder) / "environments" / "staging.toml").touch()
        session = Session()
        session.root = Path(folder)
        root = typer.main.get_command(app)
        context = _context(root, "stockctl", None, obj=session, terminal_width=WIDTH)
        shared = {flag for each in root.get_params(context) for flag in each.opts}
        parts = [
            NOTE.format(source="the help of every verb"),
            _COMMANDS.format(root=root.get_help(context).rstrip()),
        ]
        for command, below in _walk(root, context):
            text = _without(command.get_help(below), shared)
            title = below.command_path.removeprefix("stockctl ").replace("staging", "ENV")
            parts.append(f"## {title}\n\n```text\n{text}\n```\n")
        return "\n".join(parts)


def _context(command: Any, name: str, parent: Any, **settings: Any) -> Any:
    names = {"help_option_names": ["--help", "-h"]} if parent is None else {}
    return command.context_class(command, info_name=name, parent=parent, **names, **settings)


def _walk(group: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """Every verb with its context; an environment below `deploy` stands for all of them."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = _context(command, name, context)
        if hasattr(command, "commands"):
            yield from _walk(command, below)
        else:
            yield command, below


def _without(text: str, shared: set[str]) -> str:
    """Leaves the options out that the root command has, and a heading that has nothing left."""
    lines = [line for line in text.splitlines() if not shared & _flags(line)]
    kept = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if not (line == "Options:" and not after.startswith("  "))
    ]
    shown = "\n".join(kept).replace("\n\n\n", "\n\n")
    return shown.rstrip()


def _flags(line: str) -> set[str]:
    """`-q, --quiet  Only results…` → both; of other lines nothing."""
    if not line.startswith("  -"):
        return set()
    declared = line.strip().split("  ")[0]
    return {part.split()[0] for part in declared.split(",")}


# -------------------------------------------------------------------------- rules.md

_RULES = """# Rules of `env validate`

Every finding has a stable code. The first letter says what it is about, and how bad it is: **C** an
error in the TOML and compose files, **E** an error in the env file or between environments, **W** a
warning, **I** a remark. Errors end `env validate` with exit 3, and stop every command that would
change something before it touches anything; `--strict` makes warnings errors. `backup create` and
`deploy rollback` need only what they use, and report the rest.

**To accept a finding**, say why, on the line above or at the end of the line; `ignore-file` is for
all of a file. It works in env, TOML and compose files. Codes marked † cannot be ignored.

```sh
# stockctl: ignore E014 -- the sandbox takes no other key
# stockctl: ignore-file W106 -- prod has no Sentry
```

The examples are run by the tests: each bad one is found, each good one is clean. Values in them
are made up.

{index}
"""


def rules() -> str:
    """One section for each rule: what, why, an example that is found and one that is not."""
    index = "| code | | |\n|---|---|---|"
    for code, each in sorted(RULES.items()):
        mark = "" if each.ignorable else " †"
        index += f"\n| [{code}](#{code.lower()}){mark} | {each.severity} | {each.what} |"
    parts = [NOTE.format(source="src/stockctl/env/rules/"), _RULES.format(index=index)]
    for code, each in sorted(RULES.items()):
        shown = f"Bad:\n\n{_files(each.bad)}\nGood:\n\n{_files(each.good)}"
        said = f"{each.name}, {each.severity}. {each.what}\n\n{each.why}"
        parts.append(f"## {code}\n\n{said}\n\n{shown}")
    return "\n".join(parts)


def _files(files: Mapping[str, str]) -> str:
    """An example as one block; control characters are written as Python writes them."""
    lines: list[str] = []
    for name, text in files.items():
        heading = f"# {name}" + (f": {text}" if " " in name else "")
        lines.append(heading)
        if " " not in name:
            lines += [_visible(line) for line in text.removesuffix("\n").split("\n")]
    return "```sh\n" + "\n".join(lines) + "\n```\n"


def _visible(line: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


# --------------------------------------------------------------------------- lint.md

_LINT = """# Rules of `db lint`

`stockctl db lint` reads the migrations and says what would hurt: long locks, tables that are
written anew, what the running release would miss, down scripts that do not take back what was done.
It needs neither a database nor an env file. Errors end it with exit 3, as with `env validate`;
`--strict` makes warnings errors, `--format github` and `--format sarif` are for CI.

**L0…** are rules of ours. They know the phase, the header `transactional`, what a file makes
itself, the down script, and types and constraints from the migrations before. Those on locks also
look at down scripts, where they are warnings: a rollback is rare, and somebody is watching.
**L1…** are [squawk](https://squawkhq.com)'s, told that the oldest server is PostgreSQL {oldest}.
**M…** are wrong files ([findings.md](findings.md)); `db migrate` refuses them as well.

**To accept a finding**, say why, on the line above the statement or at the end of the line;
`ignore-file` is for all of a file. Codes marked † cannot be ignored.

```sql
-- stockctl: ignore L031 -- the table is a cache
TRUNCATE visits;
```

**A comment changes the checksum**, so what is applied already cannot be mended in its file:
`--since 0042` looks only at that migration and later ones.

The examples are run by the tests: each bad one is found, each good one is clean.

{index}
"""


def lint() -> str:
    """One section for each rule of `db lint`, and what is off of squawk's."""
    index = "| code | | |\n|---|---|---|"
    shown = {code: rule for code, rule in sorted(LINT_RULES.items()) if code[0] == "L"}
    for code, each in shown.items():
        mark = "" if each.ignorable else " †"
        index += f"\n| [{code}](#{code.lower()}){mark} | {each.severity} | {each.what} |"
    source = NOTE.format(source="src/stockctl/db/lint/")
    parts = [source, _LINT.format(index=index, oldest=OLDEST)]
    for code, each in shown.items():
        examples = f"\n\nBad:\n\n{_sql(each.bad)}\nGood:\n\n{_sql(each.good)}"
        below = f", {each.down} in a down script" if each.down not in (None, each.severity) else ""
        said = f"{each.name}, {each.severity}{below}. {each.what}\n\n{each.why}"
        parts.append(f"## {code}\n\n{said}{examples if each.bad else ''}".rstrip() + "\n")
    rows = "\n".join(f"| `{rule}` | {why} |" for rule, why in sorted(OFF.items()))
    parts.append(f"## Rules of squawk that are off\n\n| rule | why |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def _sql(files: Mapping[str, str]) -> str:
    """Without down scripts that say nothing."""
    told = {name: text for name, text in files.items() if text != "SELECT 1;\n"} or dict(files)
    blocks = [f"-- {name}\n{text.rstrip()}" for name, text in told.items()]
    return "```sql\n" + "\n\n".join(blocks) + "\n```\n"


# ------------------------------------------------------------------------------ main

PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "errors.md": errors,
    "commands.md": commands,
    "rules.md": rules,
    "lint.md": lint,
}


def stale(folder: Path = HERE) -> str:
    """What would change, as a diff; empty when nothing would."""
    found: list[str] = []
    for name, page in PAGES.items():
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        was, now = before.splitlines(keepends=True), page().splitlines(keepends=True)
        found += difflib.unified_diff(was, now, f"docs/{name}", f"docs/{name} (from the code)")
    return "".join(found)


def main(arguments: list[str]) -> int:
    """Exit 0: written, or up to date. Exit 1: `--check` found a difference."""
    if arguments == ["--check"]:
        difference = stale()
        sys.stdout.write(difference)
        return 1 if difference else 0
    if arguments:
        sys.stderr.write("usage: python docs/generate.py [--check]\n")
        return 2
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
