"""How one release replaces another: the tables `[deploy]` and `[proxy]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictBool, field_validator

from stockctl.env.types import Duration, FilePath, Number, Table


class Proxy(Table):
    """The HAProxy in front of the releases, with `deploy.strategy = "rolling"`."""

    image: str = Field(
        "haproxy:lts-alpine",
        pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]*$",
        description="HAProxy 2.6 or newer, with a user `haproxy`, as the official images have it.",
    )
    ports: tuple[str, ...] = Field(
        (),
        description="Where it listens: `8080`, `127.0.0.1:8080`. Default: what the compose files"
        " publish for `service.port`.",
    )
    certificates: FilePath | None = Field(
        None,
        description="A folder of PEM files, each a certificate with its chain and private key. With"
        " it the proxy speaks TLS, and plain HTTP is redirected. With `host.ssh`: an absolute path"
        " on that machine.",
    )
    https: tuple[str, ...] = Field(
        ("443",), min_length=1, description="Where it listens with TLS, like `ports`."
    )
    hsts: Duration = Field(
        31_536_000.0,
        description="`Strict-Transport-Security` for so long, with TLS; `0s`: not sent.",
    )


class Abandon(Table):
    """Thresholds for a new release that gets traffic. Passing one brings the previous one back."""

    error_rate: Number = Field(
        5, ge=0, le=100, description="Percent of its answers that are 5xx or broken off."
    )
    response_time: Duration = Field(
        10.0, description="Mean time until it answers, over its last 1024 answers."
    )
    requests: Number = Field(
        20, ge=1, description="Fewer answers than this say nothing, and nothing is abandoned."
    )


class DeploySettings(Table):
    """How one release replaces another."""

    strategy: Literal["rolling", "recreate"] = Field(
        "rolling",
        description="`rolling`: the new release starts beside the old one, and a proxy takes the"
        " requests from one to the other; nobody is turned away. `recreate`: the container is"
        " replaced in place, without a proxy; the service is away while it starts.",
    )
    replicas: Number = Field(
        1, ge=1, le=64, description="`rolling`: how many containers of `service.web` a release has."
    )
    backup_first: StrictBool = Field(True, description="Back up before migrations are applied.")
    health_timeout: Duration = Field(
        60.0, description="How long a release may take until its health check answers 200."
    )
    stop_timeout: Duration = Field(
        30.0, description="How long the old container may take to finish what it holds."
    )
    drain_timeout: Duration = Field(
        30.0, description="`rolling`: how long requests that the old release holds may take."
    )
    canary: tuple[Number, ...] = Field(
        (),
        description="`rolling`: percent of the requests that the new release gets first, step by"
        " step (`[5, 25]`). Absent: all at once.",
    )
    canary_step: Duration = Field(30.0, description="How long each step of `canary` is watched.")
    watch: Duration = Field(
        5.0,
        description="`rolling`: how long the new release is watched with all the traffic, before"
        " the deploy is over.",
    )
    abandon: Abandon = Field(default_factory=Abandon, description="See `[deploy.abandon]`.")
    soak: Duration = Field(
        600.0,
        description="`rolling`: how long the previous release goes on running beside the new one."
        " The first command after that stops it; started again, it is a way back all the same.",
    )
    keep: Number = Field(5, ge=1, description="How many releases stay recorded with their files.")
    release_command: tuple[str, ...] = Field(
        (),
        description="A program and its arguments, run once in the new image before the release"
        " starts: a service's own migrator. Unless it exits 0 the deploy ends.",
    )
    release_timeout: Duration = Field(600.0, description="How long `release_command` may take.")

    @field_validator("canary")
    @classmethod
    def _steps_go_up(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted({each for each in value if 0 < each < 100}):
            raise ValueError("expected percentages between 1 and 99, each more than the one before")
        return value
