"""What is released: the image, and the folder that it is built from."""

from __future__ import annotations

import posixpath
import re

from stockctl.core.errors import UsageError
from stockctl.env.init.survey import Part, Survey

_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*")


def image_name(survey: Survey, web: Part, wanted: str | None) -> str:
    """Without its tag, which is the version."""
    written = wanted or web.image
    name = re.sub(r":[^/:]*$", "", written.partition("@")[0])
    if _IMAGE.fullmatch(name):
        return name
    if wanted is not None:
        raise UsageError(
            f"--image: {wanted} is not an image's name", hint="Like shop, or r.org/shop"
        )
    return survey.name


def build_folder(web: Part, prefix: str, notes: list[str]) -> str | None:
    """None where it is pulled. What `docker compose build` would do more is noted."""
    if not web.build:
        return None
    if "://" in web.build or web.build.startswith("git@"):
        notes.append(f"{web.name} is built from {web.build}: stockctl builds folders; set `build`")
        return None
    dockerfile = web.recipe.get("dockerfile", "Dockerfile") != "Dockerfile"
    left = [key for key in ("target", "args", "dockerfile_inline") if web.recipe.get(key)]
    left += ["dockerfile"] if dockerfile else []
    if left:
        keys = ", ".join(f"build.{key}" for key in left)
        notes.append(f"{web.name}: {keys} of the compose file is not used when stockctl builds")
    return relative(web.build, prefix)


def relative(path: str, prefix: str) -> str:
    """A path of the compose project as `environments/` sees it."""
    return path if path.startswith(("/", "~")) else posixpath.normpath(f"{prefix}/{path}")
