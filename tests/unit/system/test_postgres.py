"""Addresses and client tools as values: nothing of a password where others can see it."""

from __future__ import annotations

import stat
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.core.secret import Secret
from stockctl.system.postgres import ClientTools, Database, Dsn

CANARY = "c4n4ry7f3a91x"


def parse(url: str) -> Dsn:
    return Dsn.parse(Secret(url))


def dsn(password: str = CANARY, database: str = "shop", **more: str) -> Dsn:
    return Dsn("db", 5432, "app", Secret(password), database, tuple(more.items()))


def test_all_parts_are_read() -> None:
    found = parse("postgresql://app:pw@db.example.com:6543/shop?sslmode=require&a=b%20c")
    options = (("sslmode", "require"), ("a", "b c"))
    assert found == Dsn("db.example.com", 6543, "app", Secret("pw"), "shop", options)


def test_the_short_scheme_and_the_usual_port_are_known() -> None:
    assert parse("postgres://app@db/shop") == Dsn("db", 5432, "app", Secret(""), "shop")


def test_parts_are_percent_decoded() -> None:
    found = parse("postgresql://a%40b:p%40ss%23w%3Ao%2Frd%25@db/my%20shop%2Fx")
    assert (found.user, found.password.reveal(), found.database) == (
        "a@b",
        "p@ss#w:o/rd%",
        "my shop/x",
    )


def test_a_socket_is_named_by_the_host_option() -> None:
    found = parse("postgresql://app:pw@/shop?host=%2Frun%2FPostgres")
    assert (found.host, found.port, found.options) == ("/run/Postgres", 5432, ())


def test_a_plus_in_an_option_is_a_space_and_an_escaped_one_a_plus() -> None:
    assert parse("postgresql://a:b@c/d?options=-c+x%2By").options == (("options", "-c x+y"),)


BROKEN = [
    f"postgresql://app:{CANARY}@{CANARY}#{CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}#{CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}/{CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}?{CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}@{CANARY}/{CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}@{CANARY}/{CANARY}?{CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}@{CANARY}/x#{CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}@{CANARY}/x?y={CANARY}@db:5432/shop",
    f"postgresql://app:{CANARY}[x@db/shop",
    f"postgresql://app:{CANARY}@db:{CANARY}/shop",
    f"postgresql://app:{CANARY}@db:99999/shop",
    f"postgresql://app:{CANARY}@db/",
    f"postgresql://app:{CANARY}@db",
    f"postgresql://:{CANARY}@db/shop",
    f"postgresql://{CANARY}/shop",
    f"mysql://app:{CANARY}@db/shop",
    f"app:{CANARY}@db/shop",
    f"{CANARY}",
    "",
]


@pytest.mark.parametrize("url", BROKEN)
def test_what_is_no_address_is_refused_without_any_part_of_it(url: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse(url)
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in str(caught.value)
    assert CANARY not in shown.replace(repr(url), "").replace(url, "") or not url
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_unescaped_at_sign_in_a_password_is_understood() -> None:
    assert parse("postgresql://app:p@ss@db/shop").password.reveal() == "p@ss"


TEXT = st.text(min_size=1, max_size=12).filter(lambda t: "\0" not in t)
HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z]{2,4})?", fullmatch=True),
    st.from_regex(r"/[A-Za-z0-9 _./-]{1,20}", fullmatch=True),
    st.sampled_from(["127.0.0.1", "::1", "fe80::1"]),
)


@given(
    st.builds(
        Dsn,
        host=HOSTS,
        port=st.integers(1, 65535),
        user=TEXT,
        password=TEXT.map(Secret),
        database=TEXT,
        options=st.dictionaries(
            st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda k: k != "host"), TEXT
        ).map(lambda found: tuple(found.items())),
    ),
    st.sampled_from(["postgresql", "postgres"]),
)
def test_an_address_comes_back_from_its_url(written: Dsn, scheme: str) -> None:
    url = written.url(scheme)
    assert Dsn.parse(url) == written
    assert written.password.reveal() not in str(url)


def test_an_address_is_shown_without_user_and_password() -> None:
    assert str(dsn()) == "shop on db:5432"
    assert CANARY not in f"{dsn()} {dsn()!r}"


def test_another_database_on_the_same_server() -> None:
    assert Database(dsn(), ClientTools()).to("other").dsn == dsn(database="other")


def test_psycopg_gets_every_part() -> None:
    found = dsn(sslmode="require").parameters()
    assert found["dbname"] == "shop"
    assert found["password"] == CANARY
    assert found["sslmode"] == "require"
    assert found["hostaddr"] == ""
    assert dsn("").parameters()["password"] is None


# ----------------------------------------------------------------- client tools


def test_a_tool_gets_its_password_in_a_private_file_that_goes(tmp_path: Path) -> None:
    with ClientTools(folder=tmp_path).command("pg_dump", "-Fc", dsn=dsn()) as command:
        assert command.argv == (
            *(str(tmp_path / "pg_dump"), "-h", "db", "-p", "5432", "-U", "app", "-w"),
            *("-d", "dbname='shop'", "-Fc"),
        )
        assert CANARY not in repr(command)
        passfile = Path(command.environment["PGPASSFILE"])
        assert passfile.read_text() == f"*:*:*:*:{CANARY}\n"
        assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
        assert stat.S_ISREG(passfile.stat().st_mode)
        assert not passfile.readlink().exists()  # on no disk
    assert not passfile.exists()


def test_the_password_file_goes_also_when_the_block_fails() -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        ClientTools().command("psql", dsn=dsn()) as command,
    ):
        passfile = Path(command.environment["PGPASSFILE"])
        raise KeyboardInterrupt
    assert not passfile.exists()


@pytest.mark.parametrize(
    ("password", "written"),
    [("a:b", r"a\:b"), ("a\\b", r"a\\b"), (r"\:", r"\\\:"), ("ü #'\"", "ü #'\""), ("", "")],
)
def test_a_password_is_escaped_in_its_file(password: str, written: str) -> None:
    with ClientTools().command("psql", dsn=dsn(password)) as command:
        text = Path(command.environment["PGPASSFILE"]).read_text()
    assert text == f"*:*:*:*:{written}\n"


def test_timeouts_of_the_role_do_not_hit_the_tools() -> None:
    with ClientTools().command("pg_dump", dsn=dsn()) as command:
        assert "statement_timeout=0" in command.environment["PGOPTIONS"]


def test_encryption_options_reach_the_tools() -> None:
    with ClientTools().command("psql", dsn=dsn(sslmode="require", x="y")) as command:
        assert command.environment["PGSSLMODE"] == "require"
        assert "PGX" not in command.environment


def test_the_operator_s_own_variables_do_not_redirect_a_tool() -> None:
    with ClientTools().command("psql", dsn=dsn()) as command:
        assert command.environment["PGPASSWORD"] == ""
        assert command.environment["PGHOSTADDR"] == ""


@pytest.mark.parametrize(
    ("database", "argument"),
    [
        ("a=b", "dbname='a=b'"),
        ("postgres://x", "dbname='postgres://x'"),
        ("it's", r"dbname='it\'s'"),
        ("back\\slash", r"dbname='back\\slash'"),
        ("two words", "dbname='two words'"),
    ],
)
def test_a_database_s_name_is_a_name_whatever_it_looks_like(database: str, argument: str) -> None:
    with ClientTools().command("psql", dsn=dsn(database=database)) as command:
        assert command.argv[command.argv.index("-d") + 1] == argument


PREFIX = ("docker", "compose", "-p", "shop-prod", "exec", "-T", "postgres")


@pytest.mark.parametrize(("program", "holds"), [("pg_dump", True), ("pg_restore", False)])
def test_inside_a_container_the_password_is_the_first_line_of_input(
    program: str, holds: bool
) -> None:
    with ClientTools(prefix=PREFIX).command(program, "--x", dsn=dsn()) as command:
        assert command.argv[: len(PREFIX)] == PREFIX
        assert command.argv[len(PREFIX) :][:2] == ("sh", "-c")
        assert command.argv[-11:] == (
            *(program, "-h", "127.0.0.1", "-p", "5432", "-U", "app", "-w"),
            *("-d", "dbname='shop'", "--x"),
        )
        assert command.input == Secret(f"{CANARY}\n")
        assert CANARY not in repr(command)
        assert command.environment == {}
        assert command.holds_input is holds


def test_inside_a_container_what_reads_a_file_ends_with_us_all_the_same() -> None:
    tools = ClientTools(prefix=PREFIX)
    with tools.command("pg_restore", "/f", dsn=dsn(), reads_input=False) as command:
        assert command.holds_input
        assert 'kill "$child"' in command.argv[len(PREFIX) + 2]


@pytest.mark.parametrize("prefix", [(), PREFIX])
def test_settings_come_beside_the_timeouts(prefix: tuple[str, ...]) -> None:
    with ClientTools(prefix=prefix).command("psql", dsn=dsn(), settings="-c jit=off") as command:
        said = command.environment.get("PGOPTIONS") or command.argv[len(PREFIX) + 2]
        assert "-c statement_timeout=0 -c lock_timeout=0 -c jit=off" in said


def test_a_tool_without_a_server_needs_no_address(tmp_path: Path) -> None:
    version = ("pg_dump", "--version")
    assert ClientTools().local(*version).argv == version
    found = ClientTools(folder=tmp_path).local(*version).argv
    assert found == (str(tmp_path / "pg_dump"), "--version")
    assert ClientTools(prefix=PREFIX).local(*version).argv == (*PREFIX, *version)
