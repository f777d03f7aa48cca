"""`stockctl load`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.command import Group
from stockctl.cli.guard import Confirm, Plan, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import (
    ConfigurationError,
    HostFailed,
    StockctlError,
    Unhealthy,
    UsageError,
)
from stockctl.core.units import format_duration, format_instant, parse_duration

if TYPE_CHECKING:
    from stockctl.deploy.site import Site
    from stockctl.env.load_settings import LoadProfile
    from stockctl.smoke.load.sample import Burden
    from stockctl.smoke.load.verdict import LoadResult

app = Group()
FILE = ".toml"


@verb(
    app,
    "load",
    example="stockctl load staging --profile normal"
    "\nstockctl load staging --profile spike --vus 50 --duration 1m",
    exits=(2, 3, 4, 6, 9),
)
def load(
    session: Session,
    name: str,
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME|FILE", help="[load.NAME], or a TOML file.")
    ] = "normal",
    duration: Annotated[
        str | None, typer.Option("--duration", metavar="D", help="Instead of the profile's: 1h30m.")
    ] = None,
    users: Annotated[
        int | None, typer.Option("--vus", metavar="N", min=1, help="Instead of its users.")
    ] = None,
    plan: Plan = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Lets many users at once send the declared checks, and says whether the service bears it.

    Only at the environment's own URL; at a protected one with --confirm. k6 does the sending. The
    report is a page with charts and JSON, under host.directory. docs/load.md
    """
    opened = open_environment(session, name)
    chosen = _profile(opened, profile, duration, users)
    with opened.site() as site:
        url = site.service.url
        length = format_duration(chosen.duration)
        what = f"send the requests of {chosen.users} users to {url} for {length}"
        if plan:
            session.output.line(what)
            return Result({"planned": {"users": chosen.users, "duration_s": chosen.duration}})
        if opened.environment.protected:
            confirm(session, name, what, protected=True, given=given, yes=yes)
        result = _run(opened, site, Path(profile).stem, chosen)
    declared = not profile.endswith(FILE)  # a file may be called like one, and ask for less
    return _told(opened, result, full=declared and duration is None and users is None)


def _profile(opened: Opened, name: str, duration: str | None, users: int | None) -> LoadProfile:
    from stockctl.env.load_settings import BUILT_IN, profile

    if name.endswith(FILE):
        found = _from_file(Path(name))
    else:
        known = profile(opened.environment.load, name)
        if known is None:
            names = ", ".join(dict.fromkeys([*BUILT_IN, *opened.environment.load]))
            raise UsageError(f"no load profile {name}", hint=f"There are: {names}; or a FILE.toml.")
        found = known
    changed: dict[str, object] = {} if users is None else {"users": users}
    if duration is not None:
        try:
            changed["duration"] = parse_duration(duration)
        except ValueError as error:
            raise UsageError(f"--duration: {error}") from None
    return found.model_copy(update=changed)


def _from_file(file: Path) -> LoadProfile:
    from pydantic import ValidationError

    from stockctl.env.load_settings import LoadProfile

    try:
        return LoadProfile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
    except ValidationError as error:
        told = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
        ]
        raise ConfigurationError(f"{file} is no load profile", details="\n".join(told)) from None


def _run(opened: Opened, site: Site, name: str, chosen: LoadProfile) -> LoadResult:
    from stockctl.smoke.load.run import load
    from stockctl.system.local import LocalHost

    url = site.reached(site.service.url)
    if url != site.service.url:
        said = (
            f"{site.service.url} is asked through the connection to {site.host.name}, which may be"
        )
        site.progress.warn(f"{said} slower than the service: the figures are of both. docs/load.md")
    with site.journal.operation(f"load {name}: {chosen.users} users"):
        return load(
            opened.environment.smoke,
            url,
            name,
            chosen,
            host=LocalHost(),
            weigh=_weigh(site),
            clock=site.clock,
            progress=site.progress,
        )


def _weigh(site: Site) -> Callable[[], Burden | None]:
    """What the live containers take. Which they are is asked once: that takes longer."""
    from stockctl.smoke.load.sample import Burden
    from stockctl.system.container import processors

    ids: list[str] = []

    def weigh() -> Burden | None:
        if not ids:
            ids.extend(_running(site))
        found = [site.engine.usage(each) for each in ids]
        if not found:
            return None
        return Burden(
            sum(each.cpu_s for each in found),
            processors(found),
            max(100 * each.memory_bytes / each.limit_bytes for each in found),
            sum(each.memory_bytes for each in found),
        )

    return weigh


def _running(site: Site) -> list[str]:
    """Where nothing was deployed there are none of ours, though nobody can be asked. Raises what
    asking raises where there should be some: then their thresholds do not hold."""
    try:
        return [c.id for c in site.live_containers() if c.status == "running"]
    except StockctlError:
        if site.releases.live() is None:
            return []
        raise


def _told(opened: Opened, result: LoadResult, *, full: bool) -> Result:
    from stockctl.smoke.load.verdict import as_data

    line = opened.session.output.line
    for each in result.thresholds:
        value = "not measured" if each.value is None else f"{each.value:.2f} {each.unit}".strip()
        mark, style = ("✓", "green") if each.ok else ("✗", "red")
        line(f"{mark} {each.name:<14} {value:<14} at most {each.limit:g} {each.unit}", style=style)
    data = as_data(result)
    data["report"] = _keep(opened, result, full=full)
    line(f"report  {data['report']}")
    return Result(data, exit_code=0 if result.ok else Unhealthy.exit_code)


def _keep(opened: Opened, result: LoadResult, *, full: bool) -> str:
    """The page, JSON beside it, and evidence for the gate where the whole profile was run."""
    from stockctl.deploy.evidence import Evidence, EvidenceBook
    from stockctl.deploy.release import Releases
    from stockctl.smoke.load.page import page
    from stockctl.smoke.load.verdict import as_data
    from stockctl.system.journal_file import operator

    now, name = opened.clock.now(), opened.environment.name
    stem = f"{now:%Y%m%dT%H%M%SZ}-{result.profile}"
    folder, title = opened.directory / "load", f"{result.profile} on {name}"
    opened.host.write(folder / f"{stem}.html", page(result, title, format_instant(now)).encode())
    opened.host.write(folder / f"{stem}.json", json.dumps(as_data(result), indent=1).encode())
    live = Releases(opened.host, opened.directory).live()
    if full and live is not None:
        broken = ", ".join(each.name for each in result.thresholds if not each.ok)
        evidence = Evidence(
            f"load-{result.profile}", now, result.ok, operator(), live.image_id, broken
        )
        try:
            EvidenceBook(opened.host, opened.directory).put(evidence)
        except HostFailed as error:
            opened.session.progress().warn(f"the result is not kept for the gates: {error}")
    return str(folder / f"{stem}.html")
