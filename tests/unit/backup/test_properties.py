"""The SQL that carries properties over, as text: what no server of the tests can run."""

from __future__ import annotations

from stockctl.backup.properties import Grant, Properties, Setting, _locale, statements
from stockctl.backup.swap import Mark

LIVE = Properties(
    name="stock",
    owner="o",
    encoding="UTF8",
    tablespace="pg_default",
    locale=(("LC_COLLATE", "C"),),
    connection_limit=-1,
    is_template=False,
    allows_connections=True,
    comment=None,
    grants=frozenset(),
    settings=frozenset(),
)
OLD = {"datcollate": "C", "datctype": "C"}


def test_locale_of_each_catalogue_version() -> None:
    base = (("LC_COLLATE", "C"), ("LC_CTYPE", "C"))
    icu = (*base, ("LOCALE_PROVIDER", "icu"), ("ICU_LOCALE", "de"))
    assert _locale(OLD) == base
    assert _locale(OLD | {"datlocprovider": "c", "daticulocale": None}) == base
    assert _locale(OLD | {"datlocprovider": "i", "daticulocale": "de"}) == icu
    assert _locale(OLD | {"datlocprovider": "i", "datlocale": "de", "daticurules": "&a<b"}) == (
        *icu,
        ("ICU_RULES", "&a<b"),
    )


def test_create_is_closed_at_birth() -> None:
    assert LIVE.create('n"').as_string(None) == (
        'CREATE DATABASE "n""" TEMPLATE template0 ALLOW_CONNECTIONS false'
        " OWNER \"o\" ENCODING 'UTF8' LC_COLLATE 'C'"
    )


def test_statements() -> None:
    live = Properties(
        **{name: getattr(LIVE, name) for name in Properties.__slots__}  # type: ignore[attr-defined]
        | {
            "grants": frozenset(
                {Grant("a", "r", "CONNECT", False), Grant("o", "", "TEMPORARY", True)}
            ),
            "settings": frozenset({Setting("", 'search_path="$user", public, ""')}),
        }
    )
    assert [" ".join(each.as_string(None).split()) for each in statements(live, "n")] == [
        'ALTER DATABASE "n" CONNECTION LIMIT -1',
        'REVOKE ALL ON DATABASE "n" FROM PUBLIC, "o"',
        'GRANT TEMPORARY ON DATABASE "n" TO PUBLIC WITH GRANT OPTION',
        'SET LOCAL ROLE "a"',
        'GRANT CONNECT ON DATABASE "n" TO "r"',
        "RESET ROLE",
        "ALTER DATABASE \"n\" SET \"search_path\" TO '$user', 'public', ''",
    ]


def test_marks() -> None:
    mark = Mark("restoring", 'a "b"', "id", closed=True)
    assert Mark.parse(mark.text()) == mark
    for text in (None, "", "mine", "[]", "3", '{"stockctl": "other"}', '{"live": "x"}'):
        assert Mark.parse(text) is None
