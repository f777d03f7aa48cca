"""The Environment: one definition that validates, documents itself and gives the JSON Schema.

A field's description is its documentation (`docs/configuration.md` is generated from here), so
every field has one. Keys appear here when the code behind them works, not before.
"""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stockctl.core.calendar import Calendar
from stockctl.core.errors import ConfigurationError
from stockctl.env.deploy_settings import DeploySettings, Proxy
from stockctl.env.gate_settings import GateSettings
from stockctl.env.hooks import Hooks, Notify
from stockctl.env.host_settings import HostSettings
from stockctl.env.load_settings import LoadProfile
from stockctl.env.monitor_settings import MonitorSettings
from stockctl.env.smoke_check import SmokeCheck, sound
from stockctl.env.store_settings import StoreSettings
from stockctl.env.types import Duration, FilePath, Number, ProjectName, SecretValue, Table
from stockctl.env.variable import Kind, Seal, Variable, kind_of
from stockctl.env.watch_settings import WatchSettings

# https://prometheus.io/docs/concepts/data_model/
METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"


class Service(Table):
    """The Docker Compose service that is deployed."""

    name: ProjectName = Field(description="The compose project is `<name>-<environment>`.")
    compose: tuple[FilePath, ...] = Field(
        min_length=1, description="Compose files, as for `docker compose -f`, in that order."
    )
    release: tuple[str, ...] = Field(
        min_length=1, description="The compose services that a release replaces."
    )
    web: str = Field(description="The one of them that takes requests.")
    port: Number = Field(ge=1, le=65535, description="Its port inside the container.")
    image: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._/:-]*$",
        description="What is released, without a tag: the tag is the version.",
    )
    build: FilePath | None = Field(
        None, description="Build the image from this folder; absent: it is pulled."
    )
    url: str = Field(pattern=r"^https?://", description="Where its users reach it.")
    health: str = Field("/health", pattern=r"^/", description="Answers 200 when it is well.")
    metrics: str | None = Field(
        None,
        pattern=r"^/",
        description="Where its Prometheus metrics are; absent: with `rolling` the proxy counts"
        " requests, else nobody.",
    )
    requests_metric: str = Field(
        "http_requests_total",
        pattern=METRIC,
        description="The counter of requests there, with a label `status` (`code`, `status_code`).",
    )
    duration_metric: str = Field(
        "http_request_duration_seconds",
        pattern=METRIC,
        description="The histogram of how long they took, in seconds; without `_bucket`.",
    )

    @field_validator("duration_metric")
    @classmethod
    def _in_seconds(cls, value: str) -> str:
        if value.endswith(("_ms", "_milliseconds")):
            raise ValueError(f'"{value}" counts milliseconds, thresholds are held against seconds')
        return value.removesuffix("_bucket")

    @field_validator("web")
    @classmethod
    def _web_is_released(cls, value: str, info: ValidationInfo) -> str:
        release = info.data.get("release")
        if release is not None and value not in release:
            raise ValueError(f'"{value}" is not one of release = {list(release)}')
        return value


class DatabaseSettings(Table):
    """The PostgreSQL database behind the service."""

    url: SecretValue | None = Field(
        None, description="`postgresql://user:password@host:port/database`, as seen from the host."
    )
    service: str | None = Field(
        None,
        description="Run pg_dump and pg_restore in this compose service; absent: on this machine.",
    )
    image: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-zA-Z0-9._/:@-]*$",
        description="`deploy rehearse` starts a server of this image where there is no `service`."
        " Default: `postgres:` and the major version of the backup's server.",
    )
    embedded: StrictBool = Field(
        False, description="A Postgres from a wheel, its data under `host.directory`; no url."
    )
    migrations: FilePath | None = Field(None, description="The folder with the SQL files.")
    lock_timeout: Duration = Field(
        2.0, description="How long a migration waits for a table lock before it gives way."
    )
    lock_retry: Duration = Field(
        60.0,
        description="How long a migration that could not have a lock is begun again; `0s`: never.",
    )
    statement_timeout: Duration = Field(
        900.0, description="How long one statement of a migration may run."
    )

    @model_validator(mode="after")
    def _one_server(self) -> DatabaseSettings:
        if self.embedded == (self.url is not None):
            raise ValueError("set either url or embedded = true")
        if self.embedded and self.service:
            raise ValueError("embedded = true needs no service")
        if self.image and (self.embedded or self.service):
            raise ValueError("image is for a url without service: else it is known")
        return self


class Keep(Table):
    """Which backups `backup prune` keeps. A backup stays if any rule wants it."""

    last: Number = Field(0, ge=0, description="The newest N.")
    within: Duration = Field(0.0, description="All that are younger than this.")
    daily: Number = Field(0, ge=0, description="The newest of each of the last N days with one.")
    weekly: Number = Field(0, ge=0, description="The same for ISO weeks.")
    monthly: Number = Field(0, ge=0, description="The same for months.")
    yearly: Number = Field(0, ge=0, description="The same for years.")


class BackupSettings(StoreSettings):
    """Where backups go and how long they stay."""

    recipients: tuple[str, ...] = Field(
        (), description="age public keys (`age1…`). With one or more, backups are encrypted."
    )
    identity_file: FilePath | None = Field(
        None, description="The age private key; needed only to restore an encrypted backup."
    )
    compression: Number = Field(1, ge=1, le=19, description="zstd level.")
    fingerprint: Literal["rows", "hash"] = Field(
        "rows",
        description="What a restored copy must equal: the number of rows of each table, or a hash"
        " over their content as well. The hash reads every value on the server.",
    )
    schedule: str | None = Field(
        None,
        description="When `backup schedule` makes backups: five fields as cron has them, like"
        ' `"0 3 * * *"`.',
    )
    ping: SecretValue | None = Field(
        None,
        description="An address that `backup create` calls: `/start` after it, then `/<exit code>`,"
        " as healthchecks.io wants it. A ping that fails is a warning.",
    )
    metrics: FilePath | None = Field(
        None,
        description="A file for node_exporter's textfile collector (`….prom`), replaced after each"
        " `backup create`, `backup verify` and `backup prune`.",
    )
    keep: Keep = Field(
        default_factory=lambda: Keep.model_validate(
            {"last": 3, "within": "48h", "daily": 30, "monthly": 12}
        ),
        description="Retention: rules are ORed.",
    )
    minimum: Number = Field(
        3, ge=1, description="Prune never leaves fewer than this that were read back whole."
    )

    @field_validator("schedule")
    @classmethod
    def _schedule_is_one(cls, value: str | None) -> str | None:
        if value is not None:
            Calendar.parse(value)
        return value

    @property
    def exposed(self) -> bool:
        """Whether backups would lie readable on another machine, and nobody said why."""
        elsewhere = "${" not in self.store and self.place.kind != "folder"
        return elsewhere and not self.recipients and self.plaintext is None


class Environment(Table):
    """One `environments/NAME.toml`, with what it extends."""

    name: str = Field(description="From the file's name.", exclude=True)
    extends: str | None = Field(
        None, description="Another file here, without `.toml`; the nearer file wins, key by key."
    )
    protected: StrictBool = Field(
        False, description="Ask for the environment's name before anything destructive."
    )
    stage: Kind | None = Field(
        None,
        description="What kind of environment it is; some rules look at it. Default: by its name"
        " (`prod`, `eu-production`, `staging`, `dev`, …), else `production` where protected.",
    )
    env_file: FilePath | None = Field(
        None,
        description="`KEY=value` lines for `${KEY}` in this file and for Compose. A name that ends"
        " in `.age` is a sealed one.",
    )
    seal: Seal = Field(default_factory=Seal, description="See `[seal]`.")
    service: Service | None = Field(None, description="See `[service]`.")
    host: HostSettings = Field(description="See `[host]`.")
    database: DatabaseSettings | None = Field(None, description="See `[database]`.")
    backup: BackupSettings = Field(description="See `[backup]`.")
    deploy: DeploySettings = Field(default_factory=DeploySettings, description="See `[deploy]`.")
    gates: GateSettings = Field(default_factory=GateSettings, description="See `[gates]`.")
    proxy: Proxy = Field(default_factory=Proxy, description="See `[proxy]`.")
    watch: WatchSettings = Field(default_factory=WatchSettings, description="See `[watch]`.")
    monitor: MonitorSettings = Field(
        default_factory=MonitorSettings, description="See `[monitor]`."
    )
    smoke: tuple[SmokeCheck, ...] = Field((), description="`[[smoke]]`, once for each check.")
    load: dict[str, LoadProfile] = Field(
        default_factory=dict, description="`[load.NAME]`, once for each load profile."
    )
    hooks: Hooks = Field(default_factory=Hooks, description="See `[hooks]`.")
    notify: Notify = Field(default_factory=Notify, description="See `[notify]`.")
    variables: dict[str, Variable] = Field(
        default_factory=dict, description="`[variables.NAME]`, once for each variable."
    )

    @field_validator("smoke")
    @classmethod
    def _checks_fit_together(cls, value: tuple[SmokeCheck, ...]) -> tuple[SmokeCheck, ...]:
        sound(value)
        return value

    @model_validator(mode="after")
    def _deployed_with_a_server(self) -> Environment:
        database = self.database
        if self.service is not None and database is not None and database.embedded:
            raise ValueError(
                "[service] and database.embedded: a container cannot reach it, set url"
            )
        if self.host.ssh is not None and database is not None and database.embedded:
            raise ValueError("database.embedded runs on this machine: with host.ssh set url")
        if self.service is None and database is not None and database.service:
            raise ValueError("database.service needs [service], whose compose files have it")
        return self

    @property
    def kind(self) -> Kind | None:
        """Its `stage`, or what its name says; None where nobody can tell."""
        return self.stage or kind_of(self.name) or ("production" if self.protected else None)

    @property
    def project(self) -> str:
        """The compose project. Raises ConfigurationError where there is no service."""
        if self.service is None:
            raise ConfigurationError(f"{self.name} has no [service]: there is nothing to deploy")
        return f"{self.service.name}-{self.name}"
