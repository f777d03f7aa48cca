"""Each rule, with what it lets pass and what not; and all rules over several environments."""

from __future__ import annotations

import os

import pytest
from tests.unit.env.conftest import Write

from stockctl.core.report import Finding, Severity
from stockctl.core.secret import Secret
from stockctl.env import validate as under_test
from stockctl.env.masking import is_secret, is_shown
from stockctl.env.project import Project
from stockctl.env.rules.names import VERBS_OF_DEPLOY
from stockctl.env.variable import Variable


def validate(project: Project, names: list[str], process: dict[str, str]) -> tuple[Finding, ...]:
    return under_test.validate(project, names, process).findings


GOOD = "V4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"
OTHER = "Tz6wQ1nKf8Ys3Lm0Vc5Rb7Jg2Xh9Pd4A"
ENV_FILE = 'env_file = ".env.prod"\n'


def codes(write: Write, declared: str, env: str) -> list[tuple[str, int | None]]:
    """Code and line of what the rules find in one env file."""
    project = write(prod=ENV_FILE + declared, env={"prod": env})
    return placed(validate(project, ["prod"], {}))


def placed(findings: tuple[Finding, ...]) -> list[tuple[str, int | None]]:
    return [(f.code, f.where.line if f.where else None) for f in findings]


def test_what_a_declared_variable_shows(write: Write) -> None:
    shown = Variable()
    hidden = ["SMTP_PASS", "ADMIN_PW", "REDIS_AUTH", "SLACK_WEBHOOK_URL", "STORE_CONNECTION_STRING"]
    for name in hidden:
        assert not is_shown(name, Secret("value"), shown)
        assert is_shown(name, Secret("value"), Variable(secret=False))
    assert is_shown("APP_NAME", Secret("shop"), shown)
    assert not is_shown("APP_NAME", Secret("V4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"), shown)


def test_a_required_variable_is_set_and_not_empty(write: Write) -> None:
    declared = "[variables.A]\nrequired = true\n"
    assert codes(write, declared, "A=x\n") == []
    assert codes(write, declared, "#\n") == [("E003", None)]
    assert codes(write, declared, "#\nA=\n") == [("E004", 2)]


def test_an_optional_variable_may_be_missing_or_empty(write: Write) -> None:
    declared = '[variables.A]\ntype = "secret"\n'
    assert codes(write, declared, "#\n") == []
    assert codes(write, declared, "A=\n") == []


TYPED = {
    "int": (["1", "-5", "007"], ["x", "1.5", "", "٢"]),
    "port": (["1", "65535", "05000"], ["0", "65536", "-1", "x", "9" * 5000, "²"]),
    "bool": (["true", "False", "1", "0"], ["yes", "on", "2"]),
    "email": (["a@b.de"], ["a", "a@b", "a b@c.de"]),
    "url": (["https://a.de", "http://a:1/b"], ["a.de", "ftp://a.de", "http://", "http://a:x"]),
    "postgres_url": (
        ["postgresql://a:b@c:5432/d", "postgres://c/d"],
        ["mysql://a:b@c/d", "postgresql://", "postgresql://c:port/d"],
    ),
    "origins": (
        ["https://a.de", "https://a.de, https://b.de:8443", "https://a.de/"],
        ["a.de", "https://a.de/x", "https://a.de,", "https://a.de?x", "https://a:b@c.de"],
    ),
    "string": (["anything at all"], []),
}


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, (good, _) in TYPED.items() for value in good]
)
def test_a_value_of_its_type_passes(write: Write, kind: str, value: str) -> None:
    assert codes(write, f'[variables.A]\ntype = "{kind}"\n', f"A={value}\n") == []


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, (_, bad) in TYPED.items() for value in bad if value]
)
def test_a_value_of_another_type_is_named_without_itself(
    write: Write, kind: str, value: str
) -> None:
    project = write(
        prod=f'{ENV_FILE}[variables.A]\ntype = "{kind}"\n', env={"prod": f"#\nA={value}\n"}
    )
    (finding,) = validate(project, ["prod"], {})
    assert (finding.code, str(finding.where)) == ("E005", "environments/.env.prod:2:1")
    assert finding.message.startswith("A: expected ")
    (as_if_empty,) = validate(write(env={"prod": "#\nA=°\n"}), ["prod"], {})
    assert finding.message == as_if_empty.message  # whatever the value was


def test_only_the_allowed_values_pass(write: Write) -> None:
    declared = '[variables.A]\nallowed = ["debug", "info"]\n'
    assert codes(write, declared, "A=info\n") == []
    assert codes(write, declared, "A=INFO\n") == [("E009", 1)]


def test_a_secret_is_long_and_made_of_different_characters(write: Write) -> None:
    declared = '[variables.A]\ntype = "secret"\n'
    assert codes(write, declared, f"A={GOOD}\n") == []
    assert codes(write, declared, f"A={GOOD[:31]}\n") == [("E010", 1)]
    assert codes(write, declared, "A=" + "ab12" * 10 + "\n") == [("E012", 1)]


def test_the_shortest_length_may_be_declared(write: Write) -> None:
    declared = '[variables.A]\ntype = "secret"\nmin_length = 12\n'
    assert codes(write, declared, f"A={GOOD[:12]}\n") == []
    assert codes(write, declared, f"A={GOOD[:11]}\n") == [("E010", 1)]
    assert codes(write, "[variables.A]\nmin_length = 3\n", "A=ab\n") == [("E010", 1)]


@pytest.mark.parametrize(
    "word", ["change-me", "changeme", "your-secret", "placeholder", "-test-", "<fill in>", "xxxx"]
)
def test_a_placeholder_is_no_secret(write: Write, word: str) -> None:
    declared = '[variables.A]\ntype = "secret"\n'
    assert codes(write, declared, f"A='so-long-and-{word}-thanks-for-the-fish'\n") == [("E014", 1)]


def test_a_word_inside_random_letters_is_no_placeholder(write: Write) -> None:
    declared = '[variables.A]\ntype = "secret"\n'
    assert codes(write, declared, f"A={GOOD}contestdevices\n") == []


def test_two_secrets_of_one_environment_differ(write: Write) -> None:
    declared = '[variables.A]\ntype = "secret"\n[variables.B]\ntype = "secret"\n'
    assert codes(write, declared, f"A={GOOD}\nB={OTHER}\n") == []
    assert codes(write, declared, f"A={GOOD}\nB={GOOD}\n") == [("E015", 2)]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_an_env_file_is_for_its_owner_only(write: Write, mode: int) -> None:
    project = write(prod=ENV_FILE, env={"prod": "A=1\n"})
    assert validate(project, ["prod"], {}) == ()
    (project.folder / ".env.prod").chmod(mode)
    (finding,) = validate(project, ["prod"], {})
    assert finding.code == "E020"
    assert finding.fix == "chmod 600 environments/.env.prod"


def test_no_finding_of_any_rule_holds_a_value(write: Write) -> None:
    canary = "c4n4ry7f3a91x"
    kinds = [*TYPED, "secret"]
    declared = "".join(f'[variables.V{i}]\ntype = "{kind}"\n' for i, kind in enumerate(kinds))
    declared += '[variables.W]\nallowed = ["x"]\n[variables.L]\nmin_length = 99\n'
    env = "".join(f"V{i}={canary}\n" for i in range(len(kinds)))
    env += f"W={canary}\nL={canary}\nV1={canary}\nD=postgresql://a:{canary}@h:x/d\n"
    declared += '[variables.D]\ntype = "postgres_url"\n'
    project = write(prod=ENV_FILE + declared, env={"prod": env})
    findings = validate(project, ["prod"], {})
    assert len(findings) > 8
    assert canary not in repr(findings)


# ------------------------------------------------------ over several environments


def two(write: Write, staging: str, prod: str, toml: str = "") -> Project:
    declared = '[variables.KEY]\ntype = "secret"\n' + toml
    return write(
        base=declared,
        staging='extends = "base"\nenv_file = ".env.staging"\n',
        prod='extends = "base"\nenv_file = ".env.prod"\n',
        env={"staging": staging, "prod": prod},
    )


def test_two_environments_share_no_secret(write: Write) -> None:
    assert validate(two(write, f"KEY={GOOD}\n", f"KEY={OTHER}\n"), ["prod", "staging"], {}) == ()
    project = two(write, f"KEY={GOOD}\n", f"KEY={GOOD}\n")
    (finding,) = validate(project, ["prod", "staging"], {})
    assert finding.code == "E016"


@pytest.mark.parametrize(("name", "other"), [("prod", "staging"), ("staging", "prod")])
def test_a_shared_secret_is_found_from_either_side(write: Write, name: str, other: str) -> None:
    project = two(write, f"KEY={GOOD}\n", f"KEY={GOOD}\n")
    (finding,) = validate(project, [name], {})
    assert (finding.code, str(finding.where)) == ("E016", f"environments/.env.{name}:1:1")
    assert finding.message == f"KEY is the same as KEY of {other}"
    assert GOOD not in repr(finding)


@pytest.mark.parametrize(("name", "other"), [("prod", "staging"), ("staging", "prod")])
def test_a_shared_database_is_found_from_either_side(write: Write, name: str, other: str) -> None:
    url = "URL=postgresql://{}:pw@db:5432/shop\n"
    toml = '[database]\nurl = "${URL}"\n'  # in the file that both extend
    project = two(write, url.format("a"), url.format("b").replace(":5432", ""), toml)
    (finding,) = validate(project, [name], {})
    assert finding.code == "E017"
    assert finding.message == f"database.url of {name} is the database of {other}"


def test_different_databases_on_one_server_are_fine(write: Write) -> None:
    url = "URL=postgresql://a:pw@db:5432/{}\n"
    toml = '[database]\nurl = "${URL}"\n'
    assert validate(two(write, url.format("a"), url.format("b"), toml), ["prod"], {}) == ()


def test_what_is_wrong_inside_another_one_is_not_told(write: Write) -> None:
    project = two(write, "KEY=short\n", f"KEY={OTHER}\n")
    assert validate(project, ["prod"], {}) == ()
    assert placed(validate(project, ["staging"], {})) == [("E010", 1)]


def test_another_one_that_cannot_be_read_does_not_get_in_the_way(write: Write) -> None:
    project = write(prod="", broken="= =\n")
    assert validate(project, ["prod"], {}) == ()


def test_what_two_of_them_extend_is_told_once(write: Write) -> None:
    project = write(base="wrong = 1\n", a='extends = "base"\n', b='extends = "base"\n')
    assert placed(validate(project, ["a", "b"], {})) == [("C002", 1)]


@pytest.mark.parametrize("name", sorted(VERBS_OF_DEPLOY))
def test_a_name_that_is_a_verb_of_deploy_is_an_error(write: Write, name: str) -> None:
    (finding,) = validate(write(**{name: ""}), [name], {})
    assert (finding.code, finding.severity) == ("C008", Severity.ERROR)


# --------------------------------------------------------------------- masking


@pytest.mark.parametrize(
    ("name", "value", "declared", "expected"),
    [
        ("JWT_SECRET", "x", None, True),
        ("API_KEY", "x", None, True),
        ("DB_PASSWORD", "x", None, True),
        ("SENTRY_DSN", "x", None, True),
        ("LINK", "https://a:b@c", None, True),
        ("LOG_LEVEL", "info", None, False),
        ("LOG_LEVEL", "info", Variable(secret=True), True),
        ("PUBLIC_KEY", "x", Variable(secret=False), False),
        ("ANY", "x", Variable(type="secret"), True),
        ("ANY", "x", Variable(type="postgres_url"), True),
    ],
)
def test_what_is_a_secret(name: str, value: str, declared: Variable | None, expected: bool) -> None:
    assert is_secret(name, Secret(value), declared) is expected


def test_only_a_declared_value_that_is_no_secret_is_shown() -> None:
    assert is_shown("LOG_LEVEL", Secret("info"), Variable())
    assert not is_shown("LOG_LEVEL", Secret("info"), None)
    assert not is_shown("API_KEY", Secret("x"), Variable())


# Python refuses to make a number of more than 4300 digits
@pytest.mark.parametrize("value", ["0" * 5000 + "1", "9" * 5000, "9" * 40_000 + "s", "\u0661"])
def test_a_number_that_is_none_is_a_finding(write: Write, value: str) -> None:
    compose = 'services:\n  app:\n    image: shop\n    ports: ["${P}:80"]\n'
    service = (
        '[service]\nname = "shop"\ncompose = ["compose.yaml"]\nrelease = ["app"]\nweb = "app"\n'
        'port = 80\nimage = "shop"\nurl = "http://127.0.0.1"\n'
    )
    declared = '[variables.P]\ntype = "port"\n[variables.D]\ntype = "duration"\n'
    project = write(prod=ENV_FILE + service + declared, env={"prod": f"P={value}\nD={value}\n"})
    (project.folder / "compose.yaml").write_text(compose)
    assert {f.code for f in validate(project, ["prod"], {})} == {"E005"}


def test_an_env_file_that_is_a_pipe_or_a_device_holds_nobody_up(write: Write) -> None:
    project = write(prod=ENV_FILE, staging='env_file = "/dev/zero"\n')
    os.mkfifo(project.folder / ".env.prod")
    found = validate(project, ["prod", "staging"], {})
    assert [each.code for each in found] == ["E000", "E000"]
