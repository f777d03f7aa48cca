"""Containers that somebody started without us become a release."""

from __future__ import annotations

from stockctl.deploy import image
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.system.compose import Rendered
from stockctl.system.journal_file import operator

ADOPTED = "r0000"


def adopt(site: Site, rendered: Rendered) -> Release | None:
    """A container that was started without us becomes release r0000, so that it can come back
    with its image and its variables; the rest is as the compose files have it today."""
    found = {c.service: c for c in site.released_containers() if c.status == "running"}
    if site.service.web not in found:
        return None
    for name, container in found.items():
        rendered = rendered.pinned((name,), container.image_id, ADOPTED)
        rendered = rendered.with_environment(name, site.engine.environment(container.id))
    web = found[site.service.web]
    release = Release(
        id=ADOPTED,
        version="adopted",
        image=site.service.image,
        image_id=web.image_id,
        created_at=site.clock.now(),
        who=operator(),
        url=site.service.url,
        health=site.service.health,
        state=ReleaseState.FINISHED,
    )
    site.releases.put_compose(ADOPTED, rendered)
    image.hold(site, ADOPTED, web.image_id)
    site.releases.put(release)
    site.releases.set_live(ADOPTED)  # it is what serves; killed from here on, there is a way back
    site.progress.say(f"adopted the running {web.name} as {ADOPTED}")
    return release
