"""Changes to an env file's text that leave every other byte as it is.

Statements are found by python-dotenv's own parser, so that what is changed is what is read.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from stockctl.core.errors import ConfigurationError

Span = tuple[int, int]

BOM = "\ufeff"
_NEWLINE = re.compile(r"\r\n|\n|\r")
# What nearly all of them are like: no quote, no #, no white space around `=`. python-dotenv takes
# longer for each, and without end for a line of white space.
_ABOVE = re.compile(r"(?:[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n|\n|\r))*")
_SIMPLE = re.compile(
    r"(?P<whole>(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)="
    r"(?P<value>(?:[^\s\"'#][^\r\n#]*)?)(?:\r\n|\n|\r|\Z))"
)
_HEAD = re.compile(r"\s*(?:export[^\S\r\n]+)?(?P<key>'[^']+'|[^=\#\s]+)[^\S\r\n]*=[^\S\r\n]*")
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_UNQUOTED = re.compile(r"[^\r\n]*")
_INLINE_COMMENT = re.compile(r"\s+#.*")


@dataclass(frozen=True, slots=True)
class Statement:
    """Where one `KEY=value` and its parts stand in the text. `value` includes the quotes."""

    key: str
    whole: Span  # with the line's end, without blank lines before it
    name: Span
    value: Span
    inner: Span


def find_statements(text: str) -> tuple[Statement, ...]:
    """All of them. Raises ConfigurationError, naming the line, where one does not parse: what it
    swallows is not known, so nothing can be changed safely."""
    from dotenv.parser import Reader, parse_binding

    reader = Reader(io.StringIO(text, newline=""))
    offset = len(text) - len(reader.string)  # of the byte order mark
    found = []
    while reader.has_next():
        above = _ABOVE.match(reader.string, reader.position.chars)
        begin = reader.position.chars = above.end() if above else 0
        simple = _SIMPLE.match(reader.string, begin)
        if simple is not None:
            found.append(_simple(simple, offset))
            reader.position.chars = simple.end()
            continue
        binding = parse_binding(reader)
        if binding.error or (binding.key is not None and binding.value is None):
            line = text[: begin + offset].count("\n") + 1
            raise ConfigurationError(f"a statement at line {line} or below does not parse")
        if binding.key is not None:
            found.append(_statement(binding.key, binding.original.string, begin + offset))
    return tuple(found)


def find(text: str, key: str) -> Statement | None:
    """The statement that counts for `key`: the last one."""
    return next((s for s in reversed(find_statements(text)) if s.key == key), None)


def set_value(text: str, key: str, value: str) -> str:
    """`key` with another value, within the quotes that it has; added at the end where there is no
    such key. `value` is letters and digits: they mean themselves everywhere."""
    if not re.fullmatch(r"[A-Za-z0-9]+", value):
        raise ValueError("only letters and digits can be written unquoted and in any quotes")
    statement = find(text, key)
    if statement is None:
        return append(text, f"{key}={value}")
    return _put(text, statement.inner, value)


def append(text: str, line: str) -> str:
    """One more line at the end; a last line without an end gets one."""
    end = newline_of(text)
    apart = end if text not in ("", BOM) and not text.endswith(("\n", "\r")) else ""
    return f"{text}{apart}{line}{end}"


def copy_value(text: str, key: str, other: str) -> str:
    """`other` gets the value of `key` as it is written there; as the next line where it has none.

    Whether `${…}` in it means the same at its new place is for the caller to see.
    """
    statements = {statement.key: statement for statement in find_statements(text)}
    source, target = statements[key], statements.get(other)
    written = text[slice(*source.value)]
    if target is not None:
        return _put(text, target.value, written)
    begin, end = source.whole
    line = text[begin : source.name[0]] + other + text[source.name[1] : source.value[0]] + written
    eol = newline_of(text)
    ended = text[begin:end].endswith(("\n", "\r"))
    return _put(text, (end, end), line + eol if ended else eol + line)


def newline_of(text: str) -> str:
    """How its lines end."""
    found = _NEWLINE.search(text)
    return found.group() if found else "\n"


def _simple(found: re.Match[str], offset: int) -> Statement:
    begin = found.start("value")
    value = (begin, begin + len(found["value"].rstrip()))
    spans = (found.span("whole"), found.span("key"), value)
    whole, name, value = ((left + offset, right + offset) for left, right in spans)
    return Statement(found["key"], whole, name, value, value)


def _statement(key: str, written: str, begin: int) -> Statement:
    head = _HEAD.match(written)
    if head is None:  # python-dotenv has read it by the same rules
        raise ConfigurationError(f"{key} is written in a way that stockctl cannot change")
    start = head.end()
    indent = len(written) - len(written.lstrip())
    quoted = _QUOTED.match(written, start)
    if quoted is not None:
        value, inner = quoted.span(), (start + 1, quoted.end() - 1)
    else:
        value = inner = _unquoted(written, start)
    spans = ((indent, len(written)), head.span("key"), value, inner)
    whole, name, value, inner = ((begin + left, begin + right) for left, right in spans)
    return Statement(key, whole, name, value, inner)


def _unquoted(written: str, start: int) -> Span:
    before = written[start - 1]
    if written[start : start + 1] == "#" and before != "=":  # `KEY= # comment`: nothing is set
        start = written.rindex("=", 0, start) + 1
        return start, start
    found = _UNQUOTED.match(written, start)
    part = found.group() if found else ""
    return start, start + len(_INLINE_COMMENT.sub("", part).rstrip())


def _put(text: str, span: Span, new: str) -> str:
    return text[: span[0]] + new + text[span[1] :]
