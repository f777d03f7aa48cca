"""Every bad input comes with its file, line, column and code; values of secrets with none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.env.conftest import Write

from stockctl.core.errors import ConfigurationError
from stockctl.env.document import dotted
from stockctl.env.load import Loaded, load, try_load
from stockctl.env.project import Project

CANARY = "c4n4ry7f3a91x"
SERVICE = """
[service]
name = "shop"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 5000
image = "shop"
url = "http://127.0.0.1:5000"
"""


def found(project: Project, name: str = "prod", **process: str) -> list[tuple[str, str]]:
    """Code and place of every finding."""
    return [(f.code, str(f.where)) for f in try_load(project, name, process).findings]


def loaded(project: Project, name: str = "prod", **process: str) -> Loaded:
    return load(project, name, process)


def test_an_empty_file_is_an_environment_with_defaults(write: Write) -> None:
    project = write(prod="")
    environment = loaded(project).environment
    assert environment.name == "prod"
    assert not environment.protected
    directory = project.root / ".stockctl" / "prod"
    assert environment.host.directory == directory
    assert environment.backup.store == f"{directory}/backups"


def test_a_whole_service_is_read(write: Write) -> None:
    environment = loaded(write(prod=SERVICE)).environment
    assert environment.service is not None
    assert environment.service.health == "/health"
    assert environment.project == "shop-prod"


BAD = {
    "broken TOML": ("a = 1\nb = = 2\n", [("C001", "environments/prod.toml:2:5")]),
    "a table twice": ("[host]\n[host]\n", [("C001", "environments/prod.toml:2:6")]),
    "an unclosed string": ('a = "x\n', [("C001", "environments/prod.toml:1:7")]),
    "an unknown key": ("protect = true\n", [("C002", "environments/prod.toml:1:1")]),
    "an unknown key in a table": (
        "[backup]\nkeep = { lst = 3 }\n",
        [("C002", "environments/prod.toml:2:1")],
    ),
    "a wrong type": ('protected = "maybe"\n', [("C003", "environments/prod.toml:1:1")]),
    "a value where a table belongs": ("host = 3\n", [("C003", "environments/prod.toml:1:1")]),
    "a duration without a unit": (
        '[database]\nembedded = true\nlock_timeout = "2"\n',
        [("C003", "environments/prod.toml:3:1")],
    ),
    "a duration that is a number": (
        "[database]\nembedded = true\nlock_timeout = 2\n",
        [("C003", "environments/prod.toml:3:1")],
    ),
    "url and embedded": (
        '[database]\nembedded = true\nurl = "postgresql://a:b@c/d"\n',
        [("C003", "environments/prod.toml:1:1")],
    ),
    "neither url nor embedded": ("[database]\n", [("C003", "environments/prod.toml:1:1")]),
    "embedded with a service": (
        '[database]\nembedded = true\nservice = "postgres"\n',
        [("C003", "environments/prod.toml:1:1")],
    ),
    "web is not released": (
        SERVICE.replace('web = "app"', 'web = "nginx"'),
        [("C003", "environments/prod.toml:6:1")],
    ),
    "a port out of range": (
        SERVICE.replace("5000\n", "70000\n"),
        [("C003", "environments/prod.toml:7:1")],
    ),
    "required and missing": (
        SERVICE.replace('image = "shop"\n', ""),
        [("C004", "environments/prod.toml:2:1")],
    ),
    "a missing compose file": (
        SERVICE.replace("compose.yaml", "gone.yaml"),
        [("C006", "environments/prod.toml:4:1")],
    ),
    "a missing build folder": (
        SERVICE + 'build = "../gone"\n',
        [("C006", "environments/prod.toml:10:1")],
    ),
    "a missing migrations folder": (
        '[database]\nembedded = true\nmigrations = "gone"\n',
        [("C006", "environments/prod.toml:3:1")],
    ),
    "a name that no file system takes": (
        f'env_file = "{"x" * 300}"\n',
        [("C006", "environments/prod.toml:1:1")],
    ),
    "a home of nobody": (
        'env_file = "~no-such-user/x"\n',
        [("C001", "environments/prod.toml")],
    ),
    "a NUL byte in a path": ('env_file = "a\\u0000b"\n', [("C001", "environments/prod.toml")]),
    "a smoke check without a name": (
        '[[smoke]]\nname = "a"\npath = "/"\n[[smoke]]\npath = "/"\n',
        [("C004", "environments/prod.toml:4:1")],
    ),
    "extends nothing": ('extends = "gone"\n', [("C007", "environments/prod.toml:1:1")]),
    "extends itself": ('extends = "prod"\n', [("C007", "environments/prod.toml:1:1")]),
    "extends a number": ("\nextends = 3\n", [("C003", "environments/prod.toml:2:1")]),
    "a reference that is not set": (
        '[database]\nurl = "${GONE}"\n',
        [("C005", "environments/prod.toml:2:1")],
    ),
    "a reference that is not set where a form is wanted": (
        SERVICE.replace("http://127.0.0.1:5000", "${PUBLIC_URL}"),
        [("C005", "environments/prod.toml:9:1")],
    ),
    "nested too deeply": (f"a = {'[' * 5000}{']' * 5000}\n", [("C001", "environments/prod.toml")]),
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[host]\nssh = "ada@"\ndirectory = "/srv"\n', 'expected "user@host"'),
        ('[[smoke]]\nname = "a"\npath = "b"\n', 'expected a path that begins with "/"'),
        ('[[smoke]]\nname = "a"\npath = "/"\nmethod = "get"\n', "value that matches '^[A-Z]+$'"),
        ("[backup]\nminimum = 0\n", "expected a value greater than or equal to 1"),
    ],
)
def test_what_is_expected_is_said_in_the_words_of_the_file(
    write: Write, text: str, words: str
) -> None:
    (finding,) = try_load(write(prod=text), "prod", {}).findings
    assert words in finding.message


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_finding_at_its_place(write: Write, case: str) -> None:
    text, expected = BAD[case]
    assert found(write(prod=text)) == expected


def test_all_errors_come_at_once_and_in_order(write: Write) -> None:
    project = write(prod='protect = 1\n[host]\nfolder = "x"\n[deploy]\nkeep = 0\n')
    assert [place for _, place in found(project)] == [
        "environments/prod.toml:1:1",
        "environments/prod.toml:3:1",
        "environments/prod.toml:5:1",
    ]
    with pytest.raises(ConfigurationError, match="3 errors") as caught:
        loaded(project)
    assert len(caught.value.findings) == 3
    assert caught.value.hint == "stockctl env validate prod"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("protect = true\n", "Did you mean protected?"),
        ("[databse]\nembedded = true\n", "Did you mean database?"),
        ("[backup]\nkeep = { dayly = 3 }\n", "Did you mean daily?"),
        ('[[smoke]]\nname = "a"\npaht = "/"\npath = "/"\n', "Did you mean path?"),
        ("[variables.A]\nrequird = true\n", "Did you mean required?"),
    ],
)
def test_an_unknown_key_comes_with_a_guess(write: Write, text: str, fix: str) -> None:
    findings = try_load(write(prod=text), "prod", {}).findings
    assert [f.fix for f in findings if f.code == "C002"] == [fix]


def test_an_unknown_key_without_a_near_one_lists_what_is_known(write: Write) -> None:
    (finding,) = try_load(write(prod="[host]\nzzz = 1\n"), "prod", {}).findings
    assert finding.fix == "Known here: ssh, known_hosts, identity_file, jump, directory."


def test_a_missing_env_file_is_one_finding_and_says_how_to_make_it(write: Write) -> None:
    text = 'env_file = ".env.prod"\n[database]\nurl = "${DATABASE_URL}"\n' + SERVICE.replace(
        "http://127.0.0.1:5000", "${PUBLIC_URL}"
    )
    project = write(prod=text)
    (project.folder / ".env.prod.example").touch()
    (finding,) = try_load(project, "prod", {}).findings
    assert (finding.code, str(finding.where)) == ("C006", "environments/prod.toml:1:1")
    assert finding.fix.startswith("stockctl env generate")


def test_a_circle_names_its_members(write: Write) -> None:
    project = write(prod='extends = "a"\n', a='extends = "b"\n', b='extends = "prod"\n')
    (finding,) = try_load(project, "prod", {}).findings
    assert finding.code == "C007"
    assert "prod → a → b → prod" in finding.message
    assert str(finding.where) == "environments/b.toml:1:1"


def test_an_error_below_is_told_where_it_was_written(write: Write) -> None:
    project = write(prod='extends = "base"\n', base='[host]\nfolder = "x"\n')
    assert found(project) == [("C002", "environments/base.toml:2:1")]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xef\xbb\xbfa = 1\n"])
def test_bytes_that_are_no_toml_are_told(write: Write, content: bytes) -> None:
    project = write(prod="")
    project.file("prod").write_bytes(content)
    assert [code for code, _ in found(project)] == ["C001"]


def test_a_folder_in_the_place_of_a_file_is_told(write: Write) -> None:
    project = write()
    project.file("prod").mkdir()
    assert found(project) == [("C001", "environments/prod.toml")]


# -------------------------------------------------------------------- merging


def test_tables_merge_key_by_key_and_the_nearer_file_wins(write: Write) -> None:
    project = write(
        base="protected = true\n[backup]\nminimum = 5\ncompression = 9\n",
        middle='extends = "base"\n[backup]\nminimum = 4\n',
        prod='extends = "middle"\n[backup]\ncompression = 1\n',
    )
    found = loaded(project)
    assert found.environment.protected
    assert (found.environment.backup.minimum, found.environment.backup.compression) == (4, 1)
    where = found.layers.where(("backup", "minimum"))
    assert str(where) == "environments/middle.toml:3:1"


def test_lists_are_replaced_and_not_joined(write: Write) -> None:
    smoke = '[[smoke]]\nname = "{}"\npath = "/"\n'
    project = write(
        base=smoke.format("a") + smoke.format("b"),
        prod='extends = "base"\n' + smoke.format("c"),
    )
    found = loaded(project)
    assert [check.name for check in found.environment.smoke] == ["c"]
    assert ("smoke", 1) not in found.layers.sources


def test_protection_may_be_taken_back_only_in_words(write: Write) -> None:
    project = write(base="protected = true\n", prod='extends = "base"\n')
    assert loaded(project).environment.protected


def test_paths_are_relative_to_the_file_that_names_them(write: Write) -> None:
    project = write()
    shared = project.root / "shared"
    (shared / "migrations").mkdir(parents=True)
    (shared / "base.toml").write_text(
        '[database]\nembedded = true\nmigrations = "migrations"\n[backup]\nstore = "kept"\n'
    )
    project = write(prod='extends = "../shared/base"\n[host]\ndirectory = "state"\n')
    environment = loaded(project).environment
    assert environment.database is not None
    assert environment.database.migrations == shared / "migrations"
    assert environment.backup.store == str(shared / "kept")
    assert environment.host.directory == project.folder / "state"


def test_home_and_absolute_paths_stay(write: Write) -> None:
    project = write(prod='[host]\ndirectory = "~/x"\n[backup]\nstore = "/srv/b"\n')
    environment = loaded(project).environment
    assert environment.host.directory == Path.home() / "x"
    assert environment.backup.store == "/srv/b"


def test_a_store_that_is_a_url_is_no_path(write: Write) -> None:
    assert (
        loaded(write(prod='[backup]\nstore = "s3://bkt/p"\n')).environment.backup.store
        == "s3://bkt/p"
    )


@pytest.mark.parametrize(
    ("value", "becomes"), [("/mnt/b", "/mnt/b"), ("rel", "{folder}/rel"), ("s3://bkt", "s3://bkt")]
)
def test_a_path_from_a_variable_is_absolute_when_that_is(
    write: Write, value: str, becomes: str
) -> None:
    project = write(prod='[backup]\nstore = "${STORE}"\n')
    store = loaded(project, STORE=value).environment.backup.store
    assert store == becomes.format(folder=project.folder)


def test_a_variable_inside_a_path_is_filled(write: Write) -> None:
    project = write(prod='[backup]\nstore = "/mnt/${STORE}/x"\n')
    assert loaded(project, STORE="b").environment.backup.store == "/mnt/b/x"


# ------------------------------------------------------------------ variables


def test_the_env_file_wins_over_the_process(write: Write) -> None:
    text = 'env_file = ".env.prod"\n[database]\nurl = "${URL}"\n[backup]\nstore = "/${OTHER}"\n'
    project = write(prod=text, env={"prod": "URL=postgresql://a:b@file/d\n"})
    environment = loaded(project, URL="postgresql://a:b@process/d", OTHER="o").environment
    assert environment.database is not None
    assert environment.database.url is not None
    assert "file" in environment.database.url.reveal()
    assert environment.backup.store == "/o"


def test_a_value_is_not_looked_at_for_references_again(write: Write) -> None:
    project = write(prod='[backup]\nstore = "/${A}"\n')
    assert loaded(project, A="${B}", B="b").environment.backup.store == "/${B}"


def test_each_name_that_is_not_set_is_one_finding(write: Write) -> None:
    project = write(prod='[backup]\nstore = "/${A}/${A}/${B}"\n')
    assert [code for code, _ in found(project)] == ["C005", "C005"]


# -------------------------------------------------------------------- secrets

CANARIES = """
protected = "${SECRET}"
[service]
name = "${SECRET}"
compose = ["${SECRET}"]
release = ["${SECRET}"]
web = "x${SECRET}"
port = "${SECRET}"
image = "!${SECRET}"
url = "${SECRET}"
health = "${SECRET}"
[database]
embedded = "${SECRET}"
lock_timeout = "${SECRET}"
statement_timeout = "${SECRET}"
[backup]
compression = "${SECRET}"
keep = { within = "${SECRET}", last = "${SECRET}" }
[deploy]
strategy = "${SECRET}"
[[smoke]]
name = "a"
method = "${SECRET}"
path = "${SECRET}"
headers = "${SECRET}"
status = ["${SECRET}"]
[variables.X]
type = "${SECRET}"
"""


def test_no_finding_holds_a_value_of_the_env_file(write: Write) -> None:
    project = write(
        prod=f'env_file = ".env.prod"\n{CANARIES}', env={"prod": f"SECRET={CANARY}\nX={CANARY}\n"}
    )
    findings = try_load(project, "prod", {}).findings
    assert len(findings) > 15
    assert CANARY not in repr(findings)
    with pytest.raises(ConfigurationError) as caught:
        loaded(project)
    assert CANARY not in f"{caught.value}{caught.value.findings}{caught.value.details}"


def test_the_web_of_a_service_is_not_told_when_it_is_a_value(write: Write) -> None:
    text = SERVICE.replace('web = "app"', 'web = "${SECRET}"')
    project = write(prod=f'env_file = ".env.prod"\n{text}', env={"prod": f"SECRET={CANARY}\n"})
    findings = try_load(project, "prod", {}).findings
    assert [f.code for f in findings] == ["C003"]
    assert CANARY not in repr(findings)


URL = f"postgresql://app:{CANARY}@127.0.0.1:5432/shop"


def test_a_database_url_is_never_shown(write: Write) -> None:
    project = write(prod=f'[database]\nurl = "{URL}"\nlock_timeout = "x"\n')
    assert CANARY not in repr(try_load(project, "prod", {}).findings)
    project = write(prod=f'[database]\nurl = "{URL}"\n')
    environment = loaded(project).environment
    assert CANARY not in f"{environment!r} {environment.model_dump()} {environment}"
    assert CANARY not in environment.model_dump_json()


def revealed(found: Loaded) -> set[str]:
    return {secret.reveal() for secret in found.secrets()}


def test_the_redactor_learns_the_url_and_the_password_in_it(write: Write) -> None:
    project = write(prod='[database]\nurl = "postgresql://app:p%40ss7f3a91@h/d"\n')
    known = revealed(loaded(project))
    assert {"postgresql://app:p%40ss7f3a91@h/d", "p@ss7f3a91", "p%40ss7f3a91"} <= known


def test_the_redactor_learns_what_the_env_file_holds(write: Write) -> None:
    env = (
        f"JWT_SECRET={CANARY}\nLOG_LEVEL=information\nSENTRY=https://k:{CANARY}2@s/1\nCODE=pinpin\n"
    )
    text = 'env_file = ".env.prod"\n[variables.CODE]\nsecret = true\n'
    known = revealed(loaded(write(prod=text, env={"prod": env})))
    assert {CANARY, f"{CANARY}2", "pinpin"} <= known
    assert "information" not in known


def test_the_redactor_learns_what_comes_from_the_process(write: Write) -> None:
    text = '[[smoke]]\nname = "a"\npath = "/"\nheaders = { X-Key = "${API_KEY}" }\n'
    found = loaded(write(prod=text), API_KEY=CANARY, UNUSED_KEY="unused-value")
    assert CANARY in revealed(found)
    assert "unused-value" not in revealed(found)


@given(st.lists(st.one_of(st.integers(0, 99), st.from_regex(r"[a-z]{1,4}", fullmatch=True))))
def test_a_dotted_path_has_no_empty_parts(path: list[str | int]) -> None:
    assert not dotted(tuple(path)).startswith(".")


def test_a_name_is_that_of_the_file_and_no_key(write: Write) -> None:
    attempt = try_load(write(prod='name = "shop"\n'), "prod", {})
    assert [(f.code, str(f.where)) for f in attempt.findings] == [
        ("C002", "environments/prod.toml:1:1")
    ]


def test_true_is_no_port(write: Write) -> None:
    attempt = try_load(write(prod=SERVICE.replace("port = 5000", "port = true")), "prod", {})
    assert [f.code for f in attempt.findings] == ["C003"]


def test_a_value_of_the_process_is_in_no_message(write: Write) -> None:
    toml = '[service]\nrelease = ["app"]\nweb = "${PASSWORD}"\n'
    attempt = try_load(write(prod=toml), "prod", {"PASSWORD": "V4s0nJq8Lk2PzXw7"})
    assert "web" in str(attempt.findings)
    assert "V4s0nJq8Lk2PzXw7" not in str(attempt.findings)
