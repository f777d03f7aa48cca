"""How good a secret is: pure functions on its text."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

# Words that are hardly ever in a random value, also written in leet … In lower case, and each
# begins with a letter: then `re` looks at the places of these letters only, ten times as fast.
_LONG = re.compile(
    r"change.?(?:me|this|it)|secret|passw(?:or)?[dt]|replace.?(?:me|this|with)|placeholder|example"
    r"|development|default|please|temporary|not.?a.?real|random.?(?:string|value|key)|insecure"
    r"|not.?(?:so.?)?secure|unsafe|keyboard.?cat|foo.?bar|lorem.?ipsum|only.?for.?(?:test|dev)"
    r"|openssl.rand|redacted|censored|quick.?brown|geheim|kennwort|bitte.?"
    r"|ae?ndern|äe?ndern|mot.?de.?passe|contrase"
)
# … and those that count only where they stand alone, and nothing else in the value is random:
# `re` compiles it, which takes a millisecond, when there is such a value.
_SHORT = (
    r"(?i)x{6,}|\*{4,}|\.{4,}|^\.{3}|\.{3}$|…|fill.?(?:me|in|this)|insert[-_ ].*here|put[-_ ].*here"
    r"|[-_ ]here$|set.?me.?(?:to|up|$)|generate[-_ ]|enter[-_ ](?:the|a|your)|this[-_ ]?is"
    r"|^(?:test|dev|sample|demo|fake)(?:key|token|pass|value|jwt|session)|^<[a-z _-]+>$"
    r"|(?<![A-Za-z0-9])(?:test|testing|dev|devel|demo|fake|local|sample|staging|todo|tbd|fixme"
    r"|x{4,}|dummy|your[-_ .]?[a-z]+|my[-_ ]?(?:key|token))(?![A-Za-z])"
)
_BRACKETS = re.compile(r"<[a-z][a-z _-]{4,}>|<[A-Z][A-Z _-]{4,}>|\$\([a-z]{3,} ")
_CHUNK = re.compile(r"[A-Za-z0-9+/]{20,}")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_NOTHING = re.compile(r"(?:none|null|nil|undefined|n/?a|unset|empty|-+|_+|\?+|x+)", re.IGNORECASE)
_WHOLE = re.compile(
    r"change.?(?:me|this|it).*|replace.?(?:me|this|with).*|placeholder|todo|tbd|fixme|x{3,40}|<[^<>]+>"
    r"|\[your[^\]]*\]|your[-_ ].+|insert[-_ ].+|put[-_ ].+here|\.{3}|…|fill.?me.*|set.?me.*",
    re.IGNORECASE,
)

# Stems of what tops every list of leaked passwords, and what databases come with.
_LIST = """
password passwd passwort pass passw pwd secret admin administrator root user guest login welcome
letmein qwerty qwertz azerty abc abcd iloveyou monkey dragon master football baseball shadow
superman batman trustno sunshine princess flower hello freedom whatever ninja mustang access
michael jordan harley hunter ranger thomas robert daniel charlie andrew michelle jessica pepper
ginger summer winter spring autumn computer internet starwars cheese killer soccer hockey george
liverpool chelsea arsenal postgres postgresql mysql mongo mongodb redis rabbitmq elastic oracle
docker server database
correcthorsebatterystaple opensesame zaq qazwsx asdf asdfgh zxcvbn google facebook company
production staging
"""
COMMON = frozenset(_LIST.split())
_AROUND = "0123456789!?.*#$@-_+ "
_LEET = str.maketrans("@0134$57!", "aoieassti")
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "!@#$%^&*()",
)
SHORT_RUN = 4  # characters; runs this short count where they make up two thirds of a value
_WALKS = frozenset(
    way[i : i + SHORT_RUN]
    for row in _ROWS
    for way in (row, row[::-1])
    for i in range(len(row) - SHORT_RUN + 1)
)
LOOKED_AT = 4096  # characters; a certificate is no longer
LONG_RUN = 8
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{20,}")
LOW_BITS = 2.7  # per character; random hexadecimal digits have more than 3.2 from 20 of them on


def is_placeholder(value: str) -> bool:
    """A secret that somebody means to replace, or made up for a test.

    `sk_test_` or `secret_` before a random part are what a service writes in front of its keys.
    """
    value = value[:LOOKED_AT]
    random = [chunk for chunk in _CHUNK.findall(value) if _is_random(chunk)]
    for text in random or [value]:
        lower = text.lower()
        spelt = text if _HEX.fullmatch(text.replace("-", "")) else lower.translate(_LEET)
        if _LONG.search(lower) or (spelt != text and _LONG.search(spelt)):
            return True
    if random:
        return False
    return bool(re.search(_SHORT, value) or _BRACKETS.search(value) or _NOTHING.fullmatch(value))


def _is_random(chunk: str) -> bool:
    """As a generator makes it: digits among the letters, and no words."""
    mixed = chunk != chunk.lower() and chunk != chunk.upper()
    digits = re.findall(r"[0-9]+", chunk)
    scattered = mixed or bool(_HEX.fullmatch(chunk)) or len(digits) > 2
    return len("".join(digits)) >= 2 and scattered and not is_walk(chunk)


def is_plain_placeholder(value: str) -> bool:
    """The same for a value that may be an ordinary word: only what cannot be meant."""
    return bool(_WHOLE.fullmatch(value))


def is_common(value: str) -> bool:
    """A password of the lists: also with digits around it, in leet, or repeated."""
    whole = value[:LOOKED_AT].lower()
    for text in (whole, whole.strip(_AROUND)):
        part = text[: _period(text)]
        bare = part.strip(_AROUND)
        if COMMON & {part, bare, part.translate(_LEET), bare.translate(_LEET)}:
            return True
    return value.isdigit() and len(value) < 16


@lru_cache(maxsize=1024)  # three rules ask, mostly about the same values
def is_walk(value: str) -> bool:
    """Letters or digits in order, or neighbours on a keyboard; also two such in turn (`a1b2c3d4`,
    `abc123def456`) and with each character several times."""
    value = value[:LOOKED_AT].lower()
    once = re.sub(r"(.)\1+", r"\1", value)
    if _follows(value) or (once != value and len(once) >= LONG_RUN and _follows(once)):
        return True
    if len(value) < 2 * LONG_RUN or len(set(value)) < LONG_RUN:
        return False
    in_turn = (value[::2], value[1::2])
    by_kind = ("".join(filter(str.isalpha, value)), "".join(filter(str.isdigit, value)))
    return any(
        all(_follows(part) or len(set(part)) < 3 for part in way) for way in (in_turn, by_kind)
    )


def _follows(value: str) -> bool:
    quads = {value[i : i + SHORT_RUN] for i in range(len(value) - SHORT_RUN + 1)}
    if quads.isdisjoint(_WALKS):  # as in nearly every secret
        return False
    runs = _runs(value)
    longest = max(runs, default=0)
    return longest >= LONG_RUN or (len(value) >= SHORT_RUN and 3 * sum(runs) >= 2 * len(value))


def is_thin(value: str) -> bool:
    """Looks generated, and is not: too little in it for its length, or one part repeated."""
    value = value[:LOOKED_AT]
    if not _TOKEN.fullmatch(value) or not (re.search(r"[0-9]", value) or len(value) >= 32):
        return False
    return bits_per_character(value) < LOW_BITS or 2 * _period(value) <= len(value)


def bits_per_character(value: str) -> float:
    """Shannon's entropy of the characters in it."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def _runs(text: str) -> list[int]:
    """Lengths, in characters, of the stretches that follow one row, in either direction."""
    runs, run = [], 0
    for i in range(len(text) - SHORT_RUN + 1):
        if text[i : i + SHORT_RUN] in _WALKS:
            run = run + 1 if run else SHORT_RUN
        elif run:
            runs.append(run)
            run = 0
    return [*runs, run]


def _period(text: str) -> int:
    """The length of the shortest part that, repeated, gives the text."""
    return next((n for n in range(1, len(text) // 2 + 1) if text.startswith(text[n:])), len(text))
