"""What `env init` makes of what Compose printed. The real Compose: tests/integration/env."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.core.errors import HostFailed, Refused, UsageError, Where
from stockctl.core.secret import Secret
from stockctl.env.compose_file import Reference
from stockctl.env.dotenv import parse_env_file
from stockctl.env.init.answers import Answers, Unanswered, given_values
from stockctl.env.init.creation import create
from stockctl.env.init.images import kind_of
from stockctl.env.init.plan import Around, BaseNeeds, InitPlan, plan
from stockctl.env.init.survey import Survey, project_name, survey
from stockctl.env.init.text import NewFile, env_files, ignore_lines, quoted
from stockctl.env.init.values import Declared, Line, strong
from stockctl.env.interpolation import names_in
from stockctl.env.portable import differs

STRONG = "V4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"
POSTGRES = {
    "image": "postgres:16",
    "environment": {"POSTGRES_PASSWORD": "${POSTGRES_PASSWORD:?}"},
    "ports": ["127.0.0.1:${DB_PORT:-5432}:5432"],
}


def surveyed(
    services: Mapping[str, Any], env: Mapping[str, str] | None = None, **more: Any
) -> Survey:
    """As `docker compose config` would have printed it."""
    text = repr(services)
    variables = {}
    for name in names_in(text):
        default = text.partition(f"${{{name}:-")[2].partition("}")[0]
        required = f"${{{name}:?" in text
        variables[name] = {"Name": name, "DefaultValue": default, "Required": required}
    bare = [Reference(name, Where("compose.yaml"), f"${{{name}:-" in text) for name in variables]
    return survey({"services": services, **more}, "shop", variables, bare, env or {})


def planned(
    services: Mapping[str, Any],
    *names: str,
    answers: Answers | None = None,
    env: Mapping[str, str] | None = None,
    process: Mapping[str, str] | None = None,
    others: Mapping[str, Mapping[str, Secret]] | None = None,
    base: BaseNeeds | None = None,
    read: Mapping[str, Mapping[str, Secret]] | None = None,
    **more: Any,
) -> InitPlan:
    around = Around(
        compose=("../compose.yaml",),
        prefix="..",
        dotenv={key: Secret(value) for key, value in (env or {}).items()},
        read=read or {},
        process=process or {},
        others=others or {},
        base=base,
    )
    numbers = count()
    found = surveyed(services, env, **more)
    make = lambda: Secret(f"{next(numbers)}{STRONG}")  # noqa: E731
    return plan(found, names or ("prod",), answers or Answers(), around, make)


def text(made: InitPlan, name: str) -> str:
    return next(file.text.reveal() for file in made.files if file.name == name)


def toml(made: InitPlan, name: str = "base.toml") -> Any:
    return tomllib.loads(text(made, name))


def values(made: InitPlan, name: str = "prod") -> dict[str, str]:
    parsed = parse_env_file(Path(), "", text(made, f".env.{name}").encode(), {})
    assert not parsed.broken
    return {key: value.reveal() for key, value in parsed.values().items()}


def asked(services: Mapping[str, Any], **more: Any) -> list[tuple[str, tuple[str, ...]]]:
    with pytest.raises(Unanswered) as unanswered:
        planned(services, **more)
    return [(each.answer, each.candidates) for each in unanswered.value.questions]


APP = {"build": {"context": "."}, "ports": ["${PORT:-3000}:3000"]}


# ------------------------------------------------------------------------- which service


@pytest.mark.parametrize(
    ("image", "name", "built", "kind"),
    [
        ("postgres:16-alpine", "x", False, "postgres"),
        ("registry.acme.dev:5000/postgis/postgis:16-3.4", "x", False, "postgres"),
        ("timescale/timescaledb:latest-pg16", "x", False, "postgres"),
        ("postgres@sha256:abc", "x", False, "postgres"),
        ("prometheuscommunity/postgres-exporter", "x", False, "beside"),
        ("postgrest/postgrest", "x", False, "app"),
        ("", "db", True, "postgres"),
        ("acme/db-api", "db", False, "app"),
        ("redis:7", "x", False, "beside"),
        ("nginx", "x", False, "proxy"),
        ("", "nginx", True, "proxy"),
        ("acme/shop", "nginx", False, "app"),
        ("acme/shop:1", "x", False, "app"),
    ],
)
def test_what_a_service_is(image: str, name: str, built: bool, kind: str) -> None:
    assert kind_of(image, name, built=built) == kind


def test_the_one_that_publishes_a_port_takes_requests() -> None:
    made = planned({"db": POSTGRES, "api": APP, "worker": {"image": "acme/worker:1"}})
    service = toml(made)["service"]
    assert (service["web"], service["port"], service["release"]) == ("api", 3000, ["api"])


def test_two_that_publish_are_asked_about() -> None:
    two = {"front": APP, "api": {"build": {"context": "./api"}, "ports": ["4000:4000"]}}
    assert asked(two) == [("web", ("front", "api"))]
    assert toml(planned(two, answers=Answers(web="api")))["service"]["web"] == "api"


def test_behind_a_proxy_it_is_the_one_the_proxy_waits_for() -> None:
    services = {
        "web": {"build": {"context": "."}, "expose": ["8000"]},
        "worker": {"build": {"context": "."}},
        "other": {"build": {"context": "./other"}, "expose": ["9000"]},
        "nginx": {"image": "nginx:1", "depends_on": {"web": {}}, "ports": ["80:80", "443:443"]},
    }
    service = toml(planned(services))["service"]
    assert (service["web"], service["release"]) == ("web", ["web", "worker"])
    assert (service["port"], service["url"]) == (8000, "http://127.0.0.1")


def test_unknown_services_get_a_suggestion() -> None:
    with pytest.raises(UsageError) as wrong:
        planned({"api": APP}, answers=Answers(web="apy"))
    assert "Did you mean api?" in wrong.value.hint


def test_a_service_of_a_profile_is_none() -> None:
    services = {"api": APP, "tool": {"image": "acme/t:1", "profiles": ["x"], "ports": ["1:1"]}}
    made = planned(services)
    assert toml(made)["service"]["web"] == "api"
    assert any("tool" in note for note in made.notes)
    with pytest.raises(UsageError, match="tool that runs without a profile"):
        planned(services, answers=Answers(web="tool"))


# ------------------------------------------------------------------------- ports and URLs


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("3000:3000", "http://127.0.0.1:3000"),
        ("${PORT:-3000}:3000", "http://127.0.0.1:${PORT}"),
        ("$PORT:3000", "http://127.0.0.1:${PORT}"),
        ("80:3000", "http://127.0.0.1"),
        ("0.0.0.0:81:3000/tcp", "http://127.0.0.1:81"),
        ("10.0.0.5:81:3000", "http://10.0.0.5:81"),
        ("[::1]:81:3000", "http://[::1]:81"),
        ("${ADDRESS:-127.0.0.1}:${PORT:?set it: now}:3000", "http://127.0.0.1:${PORT}"),
        ({"target": 3000, "published": "81", "host_ip": "127.0.0.1"}, "http://127.0.0.1:81"),
        ({"target": 3000, "published": "${PORT}"}, "http://127.0.0.1:${PORT}"),
    ],
)
def test_every_way_to_write_a_port(written: Any, url: str) -> None:
    api = {"build": {"context": "."}, "ports": [written]}
    given = Answers(values={"PORT": Secret("3000")})
    service = toml(planned({"api": api}, answers=given))["service"]
    assert (service["url"], service["port"]) == (url, 3000)


@pytest.mark.parametrize("written", ["3000", "53:53/udp", "3000-3005:3000-3005", {"target": 80}])
def test_what_is_not_one_published_port_is_none(written: Any) -> None:
    questions = asked({"api": {"build": {"context": "."}, "ports": [written]}})
    assert "url" in [answer for answer, _ in questions]


def test_a_port_that_is_put_together_is_what_it_comes_to() -> None:
    api = {"image": "a:1", "ports": ["${PREFIX:-80}${SUFFIX:-80}:3000"]}
    assert toml(planned({"api": api}))["service"]["url"] == "http://127.0.0.1:8080"


@pytest.mark.parametrize("wrong", [Answers(url="shop.acme.dev"), Answers(health="up")])
def test_what_the_model_would_refuse_is_refused_before(wrong: Answers) -> None:
    with pytest.raises(UsageError):
        planned({"api": APP}, answers=wrong)


def test_of_two_ports_the_health_check_tells() -> None:
    api = {"image": "a:1", "ports": ["80:80", "90:90"]}
    assert asked({"api": api}) == [("port", ("80", "90"))]
    test = ["CMD-SHELL", "wget -qO- http://127.0.0.1:90/ping?x=1 || exit 1"]
    service = toml(planned({"api": {**api, "healthcheck": {"test": test}}}))["service"]
    assert (service["port"], service["health"]) == (90, "/ping?x=1")


def test_ports_of_environments_differ_also_from_those_that_are_there() -> None:
    there = {"old": {"PORT": Secret("3001"), "DB_PORT": Secret("5432")}}
    made = planned({"db": POSTGRES, "api": APP}, "staging", "prod", others=there)
    assert (values(made, "staging")["PORT"], values(made, "prod")["PORT"]) == ("3000", "3002")
    assert (values(made, "staging")["DB_PORT"], values(made, "prod")["DB_PORT"]) == ("5433", "5434")


# ------------------------------------------------------------------------- image and build


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("acme/shop:1.2", "acme/shop"),
        ("r.acme.dev:5000/shop", "r.acme.dev:5000/shop"),
        ("r.acme.dev:5000/shop:${TAG:-latest}", "r.acme.dev:5000/shop"),
        ("acme/shop@sha256:abc", "acme/shop"),
        ("", "shop"),
    ],
)
def test_the_image_without_its_tag(image: str, name: str) -> None:
    made = planned({"api": {"image": image, "build": {"context": "."}, "ports": ["1:1"]}})
    assert toml(made)["service"]["image"] == name


def test_what_the_builder_would_leave_out_is_said() -> None:
    build = {"context": "./api", "dockerfile": "Dockerfile.prod", "target": "x"}
    made = planned({"api": {**APP, "build": build}})
    assert toml(made)["service"]["build"] == "../api"
    assert any("build.target, build.dockerfile" in note for note in made.notes)


def test_a_repository_is_not_a_folder() -> None:
    build = {"context": "https://git.acme.dev/shop.git"}
    assert "build" not in toml(planned({"api": {**APP, "build": build}}))["service"]


# ------------------------------------------------------------------------- the database


def test_its_url_as_seen_from_the_host() -> None:
    made = planned({"db": POSTGRES, "api": APP})
    assert toml(made)["database"] == {
        "url": "postgresql://postgres:${POSTGRES_PASSWORD}@127.0.0.1:${DB_PORT}/postgres",
        "service": "db",
    }
    assert values(made)["DB_PORT"] == "5432"


def test_it_gets_a_port_where_it_has_none() -> None:
    db = {key: value for key, value in POSTGRES.items() if key != "ports"}
    made = planned({"db": db, "api": APP})
    assert toml(made)["service"]["compose"] == ["../compose.yaml", "compose.database.yaml"]
    assert 'ports: ["127.0.0.1:${POSTGRES_PORT:?}:5432"]' in text(made, "compose.database.yaml")
    assert values(made)["POSTGRES_PORT"] == "54320"
    taken = {**APP, "environment": {"POSTGRES_PORT": "${POSTGRES_PORT:-5432}"}}
    assert values(planned({"db": db, "api": taken}))["POSTGRES_HOST_PORT"] == "54320"


def test_user_and_name_may_be_variables() -> None:
    environment = {
        "POSTGRES_USER": "${DB_USER}",
        "POSTGRES_DB": "${DB_NAME:-my shop}",
        "POSTGRES_PASSWORD": "${DB_PASSWORD:?}",
    }
    made = planned({"db": {**POSTGRES, "environment": environment}, "api": APP})
    assert toml(made)["database"]["url"].startswith("postgresql://${DB_USER}:${DB_PASSWORD}@")
    assert values(made)["DB_USER"] == "shop"
    assert values(made)["DB_NAME"] == "my shop"


def test_a_password_in_the_compose_file_is_said_and_not_shared() -> None:
    db = {**POSTGRES, "environment": {"POSTGRES_PASSWORD": "hunter2"}}
    made = planned({"db": db, "api": APP})
    assert values(made)["POSTGRES_PASSWORD"] == "hunter2"
    assert any("the password stands in the compose file" in note for note in made.notes)
    assert "hunter2" not in str([(file.shown, made.notes) for file in made.files])
    with pytest.raises(Refused, match="two environments"):
        planned({"db": db, "api": APP}, "staging", "prod")


def test_a_password_in_no_variable_leaves_the_database_out() -> None:
    db = {**POSTGRES, "environment": {"POSTGRES_PASSWORD_FILE": "/run/secrets/x"}}
    made = planned({"db": db, "api": APP})
    assert "database" not in toml(made)
    assert any("no [database]" in note for note in made.notes)


def test_the_url_that_containers_read_follows_the_new_password() -> None:
    app = {**APP, "environment": {"DATABASE_URL": "${DATABASE_URL}"}}
    env = {"DATABASE_URL": "postgresql+asyncpg://a:b@localhost:5432/c", "POSTGRES_PASSWORD": "b"}
    written = text(planned({"db": POSTGRES, "api": app}, env=env), ".env.prod")
    assert (
        "DATABASE_URL=postgresql+asyncpg://postgres:${POSTGRES_PASSWORD}@db:5432/postgres\n"
    ) in written
    outside = {"DATABASE_URL": f"postgres://a:{STRONG}@db.acme.dev/c?sslmode=require"}
    made = planned({"db": POSTGRES, "api": app}, env=outside)
    assert values(made)["DATABASE_URL"] == outside["DATABASE_URL"]


def test_a_database_of_others_is_known_by_its_url() -> None:
    app = {**APP, "environment": {"DATABASE_URL": "${DATABASE_URL:?}"}}
    assert asked({"api": app}) == [("DATABASE_URL", ())]
    made = planned({"api": app}, process={"DATABASE_URL": f"postgres://a:{STRONG}@db.acme.dev/c"})
    assert toml(made)["database"] == {"url": "${DATABASE_URL}"}
    assert "database" not in toml(planned({"api": APP}, answers=Answers(no_database=True)))


def test_two_databases_are_asked_about() -> None:
    two = {"a": POSTGRES, "b": {**POSTGRES, "ports": []}, "api": APP}
    assert asked(two) == [("database", ("a", "b"))]
    assert toml(planned(two, answers=Answers(database="b")))["database"]["service"] == "b"


# ------------------------------------------------------------------------- variables


@pytest.mark.parametrize(
    ("name", "default", "expected"),
    [
        ("SESSION_SECRET", "dev", {"type": "secret", "required": True}),
        ("DJANGO_SECRET_KEY", "x", {"type": "secret", "required": True}),
        ("REDIS_PASSWORD", "x", {"secret": True}),
        ("STRIPE_SECRET_KEY", "x", {"secret": True}),
        ("SMTP_PASSWORD", "x", {"secret": True}),
        ("OPENAI_API_KEY", "x", {"secret": True}),
        ("SENTRY_DSN", "https://a.b/1", {"type": "url", "secret": True}),
        ("METRICS_PORT", "9090", {"type": "port"}),
        ("WORKERS", "4", {"type": "int"}),
        ("DEBUG", "0", {"type": "bool"}),
        ("TLS", "False", {"type": "bool"}),
        ("PUBLIC_URL", "https://a.b", {"type": "url"}),
        ("REDIS_URL", "redis://redis:6379", {}),
        ("DB_USERNAME", "postgres", {}),
        ("CORS_ORIGINS", "https://a.b,http://c.d:1", {"type": "origins"}),
        ("ADMIN", "ada@acme.dev", {"type": "email"}),
        ("LOG_LEVEL", "info", {}),
    ],
)
def test_what_is_declared(name: str, default: str, expected: dict[str, Any]) -> None:
    app = {**APP, "environment": {name: f"${{{name}:-{default}}}"}}
    declared = toml(planned({"api": app}))["variables"][name]
    assert "Read by api." in declared.pop("description")
    assert declared == expected


def test_a_server_s_password_is_ours_where_the_server_is() -> None:
    app = {**APP, "environment": {"REDIS_PASSWORD": "${REDIS_PASSWORD:?}"}}
    redis = {"image": "redis:7", "command": "redis-server --requirepass ${REDIS_PASSWORD:?}"}
    assert asked({"api": app}) == [("REDIS_PASSWORD", ())]
    assert values(planned({"api": app, "cache": redis}))["REDIS_PASSWORD"] == f"0{STRONG}"


def test_data_in_a_folder_keeps_its_password_and_is_not_shared() -> None:
    db = {**POSTGRES, "volumes": ["${DATA:-./data}:/var/lib/postgresql/data:rw"]}
    env = {"POSTGRES_PASSWORD": "of old"}
    assert values(planned({"db": db, "api": APP}, env=env))["POSTGRES_PASSWORD"] == "of old"
    with pytest.raises(Refused) as refused:
        planned({"db": db, "api": APP}, "staging", "prod", env=env)
    assert "db keeps its data in ./data" in refused.value.details
    volume = {**POSTGRES, "volumes": ["data:/var/lib/postgresql/data"]}
    assert values(planned({"db": volume, "api": APP}, env=env))["POSTGRES_PASSWORD"] != "of old"
    shared = {"data": {"name": "shared"}}
    made = planned({"db": volume, "api": APP}, env=env, volumes=shared)
    assert values(made)["POSTGRES_PASSWORD"] == "of old"


def test_only_good_secrets_of_one_s_own_are_taken_over() -> None:
    names = ("SESSION_SECRET", "JWT_SECRET", "STRIPE_API_KEY", "TITLE", "EMPTY")
    app = {**APP, "environment": {name: f"${{{name}}}" for name in names}}
    env = {
        "SESSION_SECRET": STRONG,
        "JWT_SECRET": "changeme-changeme-changeme-changeme",
        "STRIPE_API_KEY": "sk_live_1",
        "TITLE": "It's # ours",
        "EMPTY": "",
    }
    made = values(planned({"api": app}, env=env))
    assert made["SESSION_SECRET"] == STRONG
    assert made["JWT_SECRET"] == f"0{STRONG}"
    assert (made["STRIPE_API_KEY"], made["TITLE"]) == ("sk_live_1", "It's # ours")
    assert made["EMPTY"] == ""


def test_an_environment_that_is_not_the_first_gets_no_secret_of_the_env_file() -> None:
    names = ("SESSION_SECRET", "STRIPE_API_KEY")
    app = {**APP, "environment": {name: f"${{{name}:-}}" for name in names}}
    env = {"SESSION_SECRET": STRONG, "STRIPE_API_KEY": "sk_live_1"}
    made = planned({"api": app}, "staging", "prod", env=env)
    assert values(made, "staging")["SESSION_SECRET"] == STRONG
    assert "STRIPE_API_KEY" not in values(made, "prod")
    assert STRONG not in text(made, ".env.prod").replace(f"0{STRONG}", "")


def test_a_secret_is_asked_for_each_environment() -> None:
    app = {**APP, "environment": {"STRIPE_API_KEY": "${STRIPE_API_KEY:?}"}}
    with pytest.raises(Unanswered) as unanswered:
        planned({"api": app}, "staging", "prod")
    answers = Answers()
    for number, question in enumerate(unanswered.value.questions):
        assert question.secret
        answers = answers.with_answer(question, f"sk_live_{number}")
    made = planned({"api": app}, "staging", "prod", answers=answers)
    assert values(made, "staging")["STRIPE_API_KEY"] == "sk_live_0"
    assert values(made, "prod")["STRIPE_API_KEY"] == "sk_live_1"


def test_values_of_development_are_not_for_production() -> None:
    names = ("NODE_ENV", "DEBUG", "LOG_LEVEL")
    app = {**APP, "environment": {name: f"${{{name}}}" for name in names}}
    env = {"NODE_ENV": "development", "DEBUG": "True", "LOG_LEVEL": "debug"}
    made = planned({"api": app}, "staging", "prod", env=env)
    assert [values(made, "prod")[name] for name in names] == ["production", "False", "info"]
    assert [values(made, "staging")[name] for name in names] == ["staging", "True", "debug"]


def test_a_variable_that_is_passed_on_is_one() -> None:
    app = {**APP, "environment": ["API_TOKEN", "APP_SECRET", "X=1"]}
    made = planned({"api": app})
    assert toml(made)["variables"]["API_TOKEN"]["secret"] is True
    assert set(values(made)) == {"PORT", "APP_SECRET"}


def test_what_compose_itself_sets_is_no_variable() -> None:
    app = {**APP, "container_name": "${COMPOSE_PROJECT_NAME}-api"}
    assert "COMPOSE_PROJECT_NAME" not in toml(planned({"api": app}))["variables"]


def test_an_existing_base_file_says_what_it_needs() -> None:
    needs = BaseNeeds(("DATABASE_URL", "TITLE", "KEY_OF_OURS"), ("KEY_OF_OURS",))
    given = Answers(values={"TITLE": Secret("x")})
    made = planned({"db": POSTGRES, "api": APP}, "qa", base=needs, answers=given)
    assert [file.name for file in made.files] == [".env.qa", ".env.qa.example", "qa.toml"]
    assert values(made, "qa")["KEY_OF_OURS"].endswith(STRONG)
    assert values(made, "qa")["DATABASE_URL"].endswith("@127.0.0.1:5432/postgres")


def test_set_is_not_for_secrets() -> None:
    assert given_values(["A=b=c", "B="]) == {"A": Secret("b=c"), "B": Secret("")}
    for wrong in ("A", "=b", "A B=c", "API_KEY=abc", "X=postgres://a:b@c/d"):
        with pytest.raises(UsageError) as refused:
            given_values([wrong])
        assert "abc" not in str(refused.value)
    assert given_values(["API_KEY="]) == {"API_KEY": Secret("")}


@pytest.mark.parametrize(
    "value", ["short", "a" * 40, "changeme" * 5, "abcdefghijklmnopqrstuvwxyz0123456789"]
)
def test_weak(value: str) -> None:
    assert not strong(value)
    assert strong(STRONG)


# ------------------------------------------------------------------------- text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_strings_of_toml(value: str) -> None:
    assert tomllib.loads(f"x = {quoted(value)}") == {"x": value}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_value_is_read_back_as_it_was_or_refused(value: str) -> None:
    line = Line(Declared("X"), Secret(value))
    try:
        written = env_files("prod", [line])[0].text.reveal()
    except UsageError:
        return
    parsed = parse_env_file(Path(), "", written.encode(), {})
    assert [(b.key, b.value.reveal()) for b in parsed.bindings] == [("X", value)]
    assert differs(parsed.bindings[0].written.reveal(), {}) is None


@pytest.mark.parametrize("value", ["a b", "a#b", "it's", 'say "x"', "$X", "a\\b", "ü", "x=y&z", ""])
def test_everyday_values_can_be_written(value: str) -> None:
    (env, _) = env_files("prod", [Line(Declared("X"), Secret(value))])
    assert "X=" in env.text.reveal()


def test_a_default_cannot_break_out_of_its_comment() -> None:
    line = Line(Declared("X"), None, "a\nEVIL=1")
    assert "EVIL" not in env_files("prod", [line])[0].text.reveal()


def test_the_example_and_what_is_shown_hold_no_secret() -> None:
    secret = Line(Declared("KEY", secret=True), Secret(STRONG))
    env, example = env_files("prod", [secret, Line(Declared("X"), Secret("1"))])
    assert STRONG in env.text.reveal()
    assert STRONG not in env.shown + example.shown + example.text.reveal()
    assert (env.mode, example.mode) == (0o600, 0o644)
    assert example.shown.endswith("KEY=\nX=1\n")


def test_what_git_must_ignore_is_added_once() -> None:
    first = ignore_lines("")
    assert first.splitlines()[1:] == [".env.*", "!.env.*.example"]
    assert ignore_lines(first) == ""
    assert ignore_lines("*.pem").startswith("\n#")


@pytest.mark.parametrize(
    ("folder", "name"), [("My Shop", "myshop"), ("_shop.api-2", "shopapi-2"), ("商店", "app")]
)
def test_a_project_is_named_like_its_folder(folder: str, name: str) -> None:
    assert project_name(folder) == name


# ------------------------------------------------------------------------- files


def new(name: str, content: str = "x\n", mode: int = 0o644) -> NewFile:
    return NewFile(name, Secret(content), content, mode)


def test_files_get_their_modes(tmp_path: Path) -> None:
    folder = tmp_path / "environments"
    create(folder, [new("a"), new(".env.b", mode=0o600)])
    assert sorted(each.name for each in folder.iterdir()) == [".env.b", ".gitignore", "a"]
    assert stat.S_IMODE((folder / ".env.b").stat().st_mode) == 0o600


def test_one_that_is_there_takes_all_others_back(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pem")
    (tmp_path / "b").write_text("mine")
    with pytest.raises(Refused, match="nothing is overwritten"):
        create(tmp_path, [new("a"), new("b"), new("c")])
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        ".gitignore": "*.pem",
        "b": "mine",
    }


def test_a_folder_that_was_made_goes_again(tmp_path: Path) -> None:
    folder = tmp_path / "environments"
    with pytest.raises(HostFailed):
        create(folder, [new("a"), new("no/such/folder")])
    assert not folder.exists()


def test_a_link_to_nothing_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused):
        create(tmp_path, [new("a")])
    assert not (tmp_path / "elsewhere").exists()
