"""PostgreSQL: addresses, connections (psycopg) and the client tools of the server's own version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from stockctl.core.command import Command
from stockctl.core.errors import DatabaseFailed, DatabaseUnreachable
from stockctl.core.secret import Secret
from stockctl.system.pooler import pooling

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT_S = 10
# Ends the server's side of a connection whose client is gone, also in the middle of a statement
# (https://www.postgresql.org/docs/current/runtime-config-connection.html).
CLIENT_CHECK = "1s"


_UNESCAPED = (
    "expected postgresql://user:password@host:port/database"
    " (write @ : / # ? in a password as %40 %3A %2F %23 %3F)"
)


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where a database is and how to enter it. `host` may be the folder of a socket."""

    host: str
    port: int
    user: str
    password: Secret
    database: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, url: Secret) -> Dsn:
        """From `postgresql://user:password@host:port/database?option=value`.

        Raises ValueError; the message never holds a part of the URL, since a password with an
        unescaped `@` or `#` may have moved into any of them.
        """
        text = url.reveal()
        scheme = text.partition("://")[0]
        if scheme not in ("postgresql", "postgres"):
            raise ValueError("expected a URL that begins with postgresql://")
        try:
            parts = urlsplit(text)
            port = parts.port or 5432
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            raise ValueError(_UNESCAPED) from None  # its words hold a part of the URL
        path = parts.path.removeprefix("/")
        if "/" in path or parts.fragment or "@" in path + parts.query:
            raise ValueError(_UNESCAPED)
        database = unquote(path)
        if not parts.username or not database:
            raise ValueError("expected postgresql://user:password@host:port/database")
        return cls(
            host=options.pop("host", "") or parts.hostname or "localhost",
            port=port,
            user=unquote(parts.username),
            password=Secret(unquote(parts.password or "")),
            database=database,
            options=tuple(options.items()),
        )

    def __str__(self) -> str:
        """For messages: no user, no password."""
        return f"{self.database} on {self.host}:{self.port}"

    def to(self, database: str) -> Dsn:
        """Another database on the same server."""
        return replace(self, database=database)

    def url(self, scheme: str = "postgresql") -> Secret:
        """The URL again, every part percent-encoded."""
        socket = (("host", self.host),) if self.host.startswith("/") else ()
        pairs = (*socket, *self.options)
        query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)
        host = "localhost" if socket else f"[{self.host}]" if ":" in self.host else self.host
        login = f"{quote(self.user, safe='')}:{quote(self.password.reveal(), safe='')}"
        tail = f"?{query}" if query else ""
        return Secret(
            f"{scheme}://{login}@{host}:{self.port}/{quote(self.database, safe='')}{tail}"
        )

    def parameters(self) -> dict[str, Any]:
        """Keyword arguments of `psycopg.connect`."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password.reveal() or None,
            "dbname": self.database,
            "hostaddr": "",  # not what PGHOSTADDR says: it would win over the host
            "connect_timeout": CONNECT_TIMEOUT_S,
            **dict(self.options),
        }


def connect(dsn: Dsn, *, application: str = "stockctl") -> Connection[Any]:
    """A connection in autocommit mode. Raises DatabaseUnreachable, without the password.

    Timeouts that a role or database sets (`ALTER ROLE … SET statement_timeout`) are switched off
    here: whoever needs one sets it. Not behind a pooler that would hand our settings to others.
    """
    import psycopg

    connection = None
    try:
        connection = psycopg.connect(
            **dsn.parameters(), autocommit=True, application_name=application
        )
        if pooling(dsn, connection).keeps_sessions:
            _settle(connection)
    except psycopg.Error as error:
        if connection is not None:
            connection.close()
        raise DatabaseUnreachable(
            f"cannot connect to {dsn}",
            details=str(error).strip(),
            hint="Is the server running, and are address, user and password in the env file right?",
        ) from None
    return connection


def _settle(connection: Connection[Any]) -> None:
    """In one message: the server may be far away."""
    connection.execute(
        "SET statement_timeout = 0; SET lock_timeout = 0;"
        " SET idle_in_transaction_session_timeout = 0;"
        # PostgreSQL 14 and newer; harmless to miss on an older server
        f" SELECT set_config(name, '{CLIENT_CHECK}', false) FROM pg_settings"
        " WHERE name = 'client_connection_check_interval'"
    )


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """Turns a psycopg error into a DatabaseFailed with PostgreSQL's own message, detail, hint."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        said = error.diag
        parts = [said.message_primary or str(error).strip(), said.message_detail, said.message_hint]
        raise DatabaseFailed(
            f"cannot {doing}", details="\n".join(part for part in parts if part)
        ) from error


@dataclass(frozen=True, slots=True)
class ClientTools:
    """Where pg_dump, pg_restore and psql run.

    On this machine (`folder` when they are not on PATH), or inside the database's compose service:
    then `prefix` is the argv that enters it, and they reach the server at the container's own
    loopback address.
    """

    prefix: tuple[str, ...] = ()
    folder: Path | None = None

    @contextmanager
    def command(
        self,
        program: str,
        *arguments: str,
        dsn: Dsn,
        settings: str = "",
        reads_input: bool | None = None,
    ) -> Iterator[Command]:
        """The Command, for as long as the block runs; the password is not on argv.

        On this machine it travels in a PGPASSFILE that is on no disk, so that nothing is left of
        it however we end; into a container on standard input. `settings` are further options of
        its sessions, `-c name=value`. `reads_input`: pg_restore does, unless it has a file.
        """
        options = f"{_NO_TIMEOUTS} {settings}".rstrip()
        if self.prefix:
            takes = program in _READ_STANDARD_INPUT if reads_input is None else reads_input
            yield self._inside((program, *target(dsn, *_LOOPBACK), *arguments), dsn, options, takes)
            return
        with _passfile(dsn.password) as descriptor:
            name = str(self.folder / program) if self.folder else program
            argv = (name, *target(dsn, dsn.host, dsn.port), *arguments)
            passfile = f"/proc/self/fd/{descriptor}"
            environment = {"PGPASSFILE": passfile, "PGAPPNAME": "stockctl"}
            # the operator's own would win over the passfile, and over -h
            environment |= {"PGPASSWORD": "", "PGHOSTADDR": ""}
            environment |= {"PGOPTIONS": options}
            environment |= {f"PG{k.upper()}": v for k, v in dsn.options if k.startswith("ssl")}
            yield Command(argv, environment=environment, inherits=(descriptor,))

    def local(self, program: str, *arguments: str) -> Command:
        """The same program without a server: `pg_dump --version`."""
        name = str(self.folder / program) if self.folder and not self.prefix else program
        return Command((*self.prefix, name, *arguments))

    def _inside(self, argv: tuple[str, ...], dsn: Dsn, options: str, reads_input: bool) -> Command:
        script = _ENTER.format(options) + ('exec "$@"' if reads_input else _GUARDED)
        return Command(
            (*self.prefix, "sh", "-c", script, "sh", *argv),
            input=Secret(dsn.password.reveal() + "\n"),
            holds_input=not reads_input,
        )


# A program that was started by `docker exec` outlives its client: the engine drains its output
# for ever (moby/moby#9098). What reads standard input notices the end by itself; for the rest a
# shell beside it does. That shell must be waited for: an orphan falls to process 1, which in a
# database container is the postmaster, and it takes a child that died of a signal for a crashed
# backend and restarts every session.
_NO_TIMEOUTS = "-c statement_timeout=0 -c lock_timeout=0"
_LOOPBACK = ("127.0.0.1", 5432)  # of the container
_READ_STANDARD_INPUT = {"pg_restore", "psql"}
_ENTER = "IFS= read -r PGPASSWORD; export PGPASSWORD PGAPPNAME=stockctl PGOPTIONS='{}'; "
_GUARDED = """exec 3<&0; "$@" </dev/null & child=$!
{ while IFS= read -r _; do :; done; kill "$child"; } <&3 2>/dev/null & guard=$!
wait "$child"; code=$?; kill "$guard"; wait "$guard"; exit $code"""


def target(dsn: Dsn, host: str, port: int) -> tuple[str, ...]:
    """Where to connect, as the client tools take it. They never ask for a password."""
    return ("-h", host, "-p", str(port), "-U", dsn.user, "-w", "-d", _conninfo(dsn.database))


def _conninfo(database: str) -> str:
    """A `-d` value that is taken as a name even when it holds `=` or begins with a URL scheme."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


@contextmanager
def _passfile(password: Secret) -> Iterator[int]:
    """A descriptor of a file in memory. libpq wants a plain file that only its owner can read
    (`passwordFromFile` in fe-connect.c), and a memfd is one."""
    descriptor = os.memfd_create("pgpass")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, f"*:*:*:*:{_passfile_field(password.reveal())}\n".encode())
        yield descriptor
    finally:
        os.close(descriptor)


def _passfile_field(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")


@dataclass(frozen=True, slots=True)
class Database:
    """A database and the tools that go with its server. `address` is where the environment's host
    finds the server, when that is not where we do."""

    dsn: Dsn
    tools: ClientTools
    address: str = ""

    @property
    def at_home(self) -> bool:
        """Whether the server is on the environment's own host."""
        address = self.address or self.dsn.host
        return address.startswith("/") or address in ("localhost", "127.0.0.1", "::1")

    def connect(self) -> Connection[Any]:
        """See `connect`."""
        return connect(self.dsn)

    def to(self, name: str) -> Database:
        """Another database on the same server."""
        return replace(self, dsn=self.dsn.to(name))
