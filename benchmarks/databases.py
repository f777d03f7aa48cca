"""The two databases that backups and restores are measured with.

`stockmind` is what this tool is for: the tables and indexes of migrations/, filled as the service
fills them. Nearly all of it is instagram_items: keys, a caption of words, metrics as JSON, a time.
Words come as often as words do (the second half as often as the first, the third a third: Zipf's
law), captions have 20 to 300 characters, likes and reach go over five powers of ten. Sources are
not equally busy. Rows lie in the order in which they were made.

`wide` is the hardest: 500 bytes a row in few columns, half of them noise. The server's COPY hardly
computes there, so that nothing else has time either; and what does not compress is written in full.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from stockctl.system.postgres import Database

ITEMS = 2_500_000  # 1.1 GB with indexes
WIDE_MB = 1000
_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_USERS, _SOURCES = 20_000, 100_000
_BLOCK = 5_000  # rows
_WORDS = 3_000_000
_BEGAN_S = 1_700_000_000
_SPAN_S = 2 * 365 * 86_400

_SMALL = f"""
    SELECT setseed(0.5);
    INSERT INTO users (email, password_hash, first_name, last_name, created_at)
    SELECT 'user' || n || '@example.com',
      '$argon2id$v=19$m=65536,t=3,p=4$' || encode(sha256(('s' || n)::bytea), 'base64'),
      initcap(substr(md5('f' || n), 1, 6)), initcap(substr(md5('l' || n), 1, 9)),
      to_timestamp({_BEGAN_S} + n * 100.25)
    FROM generate_series(1, {_USERS}) AS n;
    INSERT INTO projects (user_id, name, description, created_at)
    SELECT 1 + n % {_USERS}, 'Project ' || n, 'Campaign of quarter ' || n % 4,
      to_timestamp({_BEGAN_S} + n * 300.125)
    FROM generate_series(1, {_USERS * 3}) AS n;
    INSERT INTO instagram_sources (user_id, handle, created_at)
    SELECT 1 + n % {_USERS}, 'account.' || n, to_timestamp({_BEGAN_S} + n * 200.5)
    FROM generate_series(1, {_SOURCES}) AS n;
    INSERT INTO api_keys (user_id, provider, encrypted_key, key_hint, created_at)
    SELECT 1 + n % {_USERS}, (ARRAY['openai', 'anthropic', 'apify'])[1 + n % 3],
      encode(sha512(n::text::bytea), 'base64'), substr(md5(n::text), 1, 4),
      to_timestamp({_BEGAN_S} + n * 400.75)
    FROM generate_series(1, {_USERS * 3 // 2}) AS n
"""
_COPY = (
    "COPY instagram_items (source_id, user_id, caption, metrics, ai_score, created_at) FROM STDIN"
)
_WIDE = """
    CREATE TABLE {name} AS SELECT n AS id, repeat('a caption that repeats ', 9) || (n % 1000) AS a,
    md5(n::text) || md5('a' || n) || md5('b' || n) || md5('c' || n) AS token,
    repeat(md5((n % 100)::text), 3) AS b, now() - n * interval '1 second' AS created_at
    FROM generate_series(1, {rows}) AS n
"""


def stockmind(database: Database, items: int = ITEMS) -> int:
    """Its tables, their rows, then their indexes; how large the database is then, in bytes."""
    tables, *indexes = sorted(
        file for file in _MIGRATIONS.glob("*.sql") if not file.name.endswith(".rollback.sql")
    )
    with database.connect() as connection:
        connection.execute(tables.read_bytes())
        connection.execute(_SMALL.encode())
        with connection.cursor().copy(_COPY) as copy:
            for block in _items(items):
                copy.write(block)
        for index in indexes:
            connection.execute(index.read_bytes())
        return _settled(connection)


def wide(database: Database, size_mb: int = WIDE_MB, tables: int = 2) -> int:
    """Tables of the same size, 500 bytes a row, of which half compresses; bytes, as above."""
    with database.connect() as connection:
        for number in range(tables):
            rows = size_mb * 1_950 // tables
            connection.execute(_WIDE.format(name=f"items_{number}", rows=rows).encode())
            connection.execute(f"ALTER TABLE items_{number} ADD PRIMARY KEY (id)".encode())
            connection.execute(f"CREATE INDEX ON items_{number} (token)".encode())
        return _settled(connection)


def _settled(connection: Any) -> int:
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0])


def _items(count: int) -> Iterator[bytes]:
    """Rows as COPY takes them, always the same ones."""
    chance = random.Random(20_261_126)
    text = _text(chance)
    for start in range(0, count, _BLOCK):
        rows = range(start, min(start + _BLOCK, count))
        yield "".join(_item(number / count, text, chance) for number in rows).encode()


def _item(age: float, text: Iterator[str], chance: random.Random) -> str:
    at = _BEGAN_S + _SPAN_S * age + chance.random()
    moment = datetime.fromtimestamp(at, UTC).isoformat(" ", "microseconds")
    source = 1 + int(_SOURCES * chance.random() ** 2)
    reach = int(10 ** chance.uniform(1, 6))
    likes = int(reach * chance.uniform(0.005, 0.2))
    comments, shares = int(likes * chance.uniform(0, 0.1)), int(likes * chance.uniform(0, 0.05))
    metrics = f'{{"likes": {likes}, "comments": {comments}, "shares": {shares}, "reach": {reach}}}'
    score = int(101 * chance.random()) if chance.random() < 0.6 else r"\N"
    return f"{source}\t{1 + source % _USERS}\t{next(text)}\t{metrics}\t{score}\t{moment}\n"


def _text(chance: random.Random) -> Iterator[str]:
    """Captions out of one long text. It begins again after 15 MB, which is further back than a
    compressor at these levels looks, and is cut elsewhere each time."""
    words = _vocabulary(chance)
    often = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    text = " ".join(chance.choices(words, cum_weights=often, k=_WORDS))
    at = 0
    while True:
        end = text.rfind(" ", at, at + 20 + int(281 * chance.random()))
        if end <= at:
            at = text.index(" ", int(1000 * chance.random())) + 1
            continue
        yield text[at:end]
        at = end + 1


def _vocabulary(chance: random.Random) -> list[str]:
    """Words made of syllables, and a hashtag among ten; short ones are the frequent ones."""
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "ar", "en")]
    words = {
        "".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3, 3, 4))))
        for _ in range(20_000)
    }
    ranked = sorted(sorted(words), key=lambda word: len(word) + chance.uniform(0, 6))
    return [f"#{word}" if number % 10 == 9 else word for number, word in enumerate(ranked)]
