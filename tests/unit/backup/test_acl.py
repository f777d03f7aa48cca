"""Privileges taken apart: what pg_dump writes is understood, and nothing else is run."""

from __future__ import annotations

import pytest

from stockctl.backup.acl import NotUnderstood, Privilege, privileges, read
from stockctl.backup.archive import Contents
from stockctl.backup.archive_head import Entry


def entry(sql: str, name: str = "TABLE item", kind: str = "ACL") -> Entry:
    return Entry(1, kind, "public", name, "own", has_data=False, sql=sql)


def texts(sql: str) -> list[str]:
    return [each.text() for each in read(entry(sql))]


WRITTEN = """
GRANT SELECT,INSERT ON TABLE public.item TO app
GRANT SELECT , INSERT ON TABLE "public"."item" TO "app"

GRANT SELECT(id),UPDATE("a;b") ON TABLE s.t TO "x""y" WITH GRANT OPTION
GRANT SELECT ( id ) , UPDATE ( "a;b" ) ON TABLE "s"."t" TO "x""y" WITH GRANT OPTION

REVOKE ALL ON FUNCTION s.f(a integer, VARIADIC x "char"[]) FROM PUBLIC
REVOKE ALL ON FUNCTION "s"."f"( a integer , VARIADIC x "char" [ ] ) FROM PUBLIC

GRANT ALL ON LARGE OBJECT 4711 TO app
GRANT ALL ON LARGE OBJECT 4711 TO "app"

GRANT ALL ON FOREIGN SERVER srv TO app
GRANT ALL ON FOREIGN SERVER "srv" TO "app"

ALTER DEFAULT PRIVILEGES FOR ROLE o IN SCHEMA s GRANT SELECT ON TABLES  TO app
ALTER DEFAULT PRIVILEGES FOR ROLE "o" IN SCHEMA "s" GRANT SELECT ON TABLES TO "app"

ALTER DEFAULT PRIVILEGES FOR ROLE o REVOKE ALL ON FUNCTIONS  FROM PUBLIC
ALTER DEFAULT PRIVILEGES FOR ROLE "o" REVOKE ALL ON FUNCTIONS FROM PUBLIC
"""


@pytest.mark.parametrize("pair", WRITTEN.strip().split("\n\n"))
def test_what_pg_dump_writes(pair: str) -> None:
    sql, expected = pair.splitlines()
    assert texts(f"{sql};\n") == [expected]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER ROLE app SUPERUSER;",
        "GRANT postgres TO app;",
        "GRANT ALL ON TABLE a, pg_catalog.pg_authid TO app;",
        "GRANT ALL ON ALL TABLES IN SCHEMA pg_catalog TO app;",
        "GRANT ALL ON DATABASE d TO app;",
        "GRANT ALL ON PARAMETER log_statement TO app;",
        "GRANT ALL ON TABLE a TO app, b;",
        "GRANT ALL ON TABLE a TO app GRANTED BY postgres;",
        "GRANT ALL ON FUNCTION f(), g() TO app;",
        "GRANT ALL ON FUNCTION f(a integer DEFAULT evil()) TO app;",
        "GRANT ALL ON TABLE a TO app; SELECT evil();",
        "GRANT ALL ON TABLE a TO app -- ;",
        "GRANT ALL ON TABLE a TO 'app';",
        "GRANT ALL ON TABLE a TO app",
        "SET SESSION AUTHORIZATION DEFAULT; GRANT ALL ON TABLE a TO app;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE o GRANT postgres ON x TO app;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE a, b GRANT SELECT ON TABLES TO app;",
        "REVOKE ALL ON TABLE a TO app;",
        "DO $$ BEGIN END $$;",
    ],
)
def test_what_it_does_not_write_is_not_run(sql: str) -> None:
    with pytest.raises(NotUnderstood):
        list(read(entry(sql)))


def test_who_passed_it_on() -> None:
    sql = (
        "GRANT SELECT ON TABLE t TO g WITH GRANT OPTION;\nSET SESSION AUTHORIZATION g;\n"
        "GRANT SELECT ON TABLE t TO x;\nRESET SESSION AUTHORIZATION;\nREVOKE ALL ON TABLE t FROM y;"
    )
    assert [(p.grantor, p.role, p.gives) for p in read(entry(sql))] == [
        ("", "g", True),
        ("g", "x", True),
        ("", "y", False),
    ]


def test_one_entry_for_many_large_objects() -> None:
    """PostgreSQL 17 and later; and one that is not understood is named."""
    entries = (
        entry("4711\n4712\n", "4711..4712", "BLOB METADATA"),
        entry("GRANT SELECT ON LARGE OBJECT 4711 TO app;", "LARGE OBJECTS 4711..4712"),
        entry("GRANT CONNECT ON DATABASE d TO app;", "DATABASE d"),
        entry("DROP TABLE item;"),
    )
    found, strange = privileges(Contents("18", "18", entries, {}))
    assert [each.on for each in found] == ["4711", "4712"]
    assert found[0] == Privilege("GRANT SELECT ON LARGE OBJECT", "4711", "app", "own", gives=True)
    assert strange == ["TABLE item"]
