"""What stands in the env file: is each line a statement, and does everybody read it alike?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.dotenv import Binding
from stockctl.env.portable import FIX, differs
from stockctl.env.rules.base import Subject, found, prod, rule

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEGINS = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
# a line inside a quoted value that was meant to be a statement; base64 ends in `=`, too
_SWALLOWED = re.compile(r"^(?:export\s+)?([A-Z_][A-Z0-9_]*)=(?!=?$)", re.MULTILINE)
# nothing in it that any reader could take for more than it is
_ORDINARY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[A-Za-z0-9_./:@%+,=?&~!*;()<>|^-]*")
_ODD = re.compile(r"\r(?!\n)|^[^\S\n]*[\x1c-\x1f]", re.MULTILINE)
_OPENS = re.compile(r"(?:export\s+)?\S+\s*=\s*(?P<quote>[\"'])")


@rule(
    "E001",
    Severity.ERROR,
    bad=prod('GREETING="hello\nPORT=5000\n'),
    good=prod('GREETING="hello"\nPORT=5000\n'),
)
def not_a_statement(subject: Subject) -> Iterator[Finding]:
    """A line is not `KEY=value`: a quote that does not close, text behind a closing quote, a key
    without `=`, a name with other characters than letters, digits and `_`.

    python-dotenv drops such a line with a warning in a log, and an unclosed quote takes the lines
    up to the next quote along. The place is where the quote opens.
    """
    for broken in subject.env.broken:
        yield found("E001", broken.where, *what_is_wrong(broken.written.reveal()))
    for binding in subject.env.bindings:
        if not NAME.fullmatch(binding.key):
            fix = "Letters, digits and _ only, not a digit first."
            yield found("E001", binding.where, "not the name of a variable", fix)
        elif swallowed := swallowed_keys(binding):
            message = f"the quote that opens here closes lines later, behind {', '.join(swallowed)}"
            yield found("E001", binding.where, message, "Close the quote on its line.")


def what_is_wrong(written: str) -> tuple[str, str]:
    """Of a line that is no statement: what, and what to do; without its value."""
    name = _BEGINS.match(written)
    opens = _OPENS.match(written)
    if opens and written.count(opens["quote"]) == 1:
        return f"{name[1] if name else 'a value'}: the quote is not closed", "Close it on its line."
    if opens:
        what = f"{name[1] if name else 'a value'}: text behind the closing quote"
        return what, "Put all of the value inside the quotes."
    return "not a KEY=value statement", "Write KEY=value on one line, or # before a comment."


def swallowed_keys(binding: Binding) -> list[str]:
    """The keys of the lines that a multi-line value has probably taken in."""
    written = binding.written.reveal()
    if "\n" not in written:
        return []
    inside = written.partition("\n")[2]
    return [name for name in _SWALLOWED.findall(inside) if not inside.startswith("-----")]


def named_anyhow(subject: Subject) -> set[str]:
    """Keys that somebody meant to set: it is their line that is reported, not that they miss."""
    lines = (broken.written.reveal() for broken in subject.env.broken)
    begun = {found[1] for line in lines if (found := _BEGINS.match(line))}
    return begun.union(*(swallowed_keys(binding) for binding in subject.env.bindings))


@rule("E002", Severity.ERROR, bad=prod("PORT=5000\nPORT=5001\n"), good=prod("PORT=5000\n"))
def duplicate_key(subject: Subject) -> Iterator[Finding]:
    """A key is set a second time.

    The last one wins without a word, and people read the first one.
    """
    lines: dict[str, int | None] = {}
    for binding in subject.env.bindings:
        if binding.key in lines:
            message = f"{binding.key} is set a second time, first on line {lines[binding.key]}"
            yield found("E002", binding.where, message, "Keep the one that is meant.")
        lines.setdefault(binding.key, binding.where.line)


@rule(
    "E006",
    Severity.ERROR,
    bad=prod("URL=http://127.0.0.1:${PORT}\nPORT=5000\n"),
    good=prod("PORT=5000\nURL=http://127.0.0.1:${PORT}\n"),
)
def unresolved_reference(subject: Subject) -> Iterator[Finding]:
    """`${X}` in a value, and X is not set on an earlier line nor in the process.

    It becomes an empty string.
    """
    for binding in subject.env.bindings:
        for name in dict.fromkeys(binding.unset):
            later = name in subject.values
            fix = (
                f"Move {name} above this line."
                if later
                else f"Set {name}, or ${{{name}:-default}}."
            )
            yield found("E006", binding.where, f"{binding.key}: ${{{name}}} is not set", fix)


@rule(
    "E007",
    Severity.ERROR,
    bad=prod("PRICE=cost$def\n"),
    good=prod("PRICE='cost$def'\n"),
)
def read_differently(subject: Subject) -> Iterator[Finding]:
    """python-dotenv and Docker Compose read the value differently.

    Both have their own rules for `$`, quotes, escapes and `#`. The application would get one value
    and the container another.
    """
    known = dict(subject.process)
    yield from _odd_line_ends(subject)
    for binding in subject.env.bindings:
        written = binding.written.reveal()
        if not _ORDINARY.fullmatch(written) and not _is_told(binding):
            why = differs(written, known, subject.bound.keys())
            if why:
                yield found("E007", binding.where, f"{binding.key}: {why}", FIX)
        known[binding.key] = binding.value.reveal()


def _is_told(binding: Binding) -> bool:
    """Whether another rule has something to say about the statement."""
    return not NAME.fullmatch(binding.key) or bool(binding.unset or swallowed_keys(binding))


def _odd_line_ends(subject: Subject) -> Iterator[Finding]:
    """What parsing has already evened out: line ends that only one of the two takes for such."""
    text, label = subject.env.text.reveal(), subject.env.label
    for match in _ODD.finditer(text):
        where = Where(label, text.count("\n", 0, match.start()) + 1, 1)
        yield found("E007", where, "a control character that ends a line for python-dotenv only")
    lines = text.split("\n") if "\r\n" in text else []
    for binding in subject.env.bindings if lines else ():
        first, more = (binding.where.line or 1) - 1, binding.written.reveal().count("\n")
        if any(line.endswith("\r") for line in lines[first : first + more]):
            why = "Compose keeps the CR of lines that end in CR LF, python-dotenv does not"
            yield found("E007", binding.where, f"{binding.key}: {why}", "Line ends: LF.")
