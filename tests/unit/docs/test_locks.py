"""What goes into the image is what was tested."""

from __future__ import annotations

from pathlib import Path

REPO = Path(__file__).parents[3]


def pins(name: str) -> dict[str, str]:
    """Each package's version, marker and hashes, without what joins the lines."""
    blocks = ("\n" + (REPO / name).read_text()).replace("\\\n", "").split("\n")
    parts = (block.split("--hash=") for block in blocks if "==" in block)
    return {first.split("==")[0]: " ".join(sorted(rest)) for first, *rest in parts}


def test_the_image_gets_the_versions_and_hashes_of_the_tests() -> None:
    tested, shipped = pins("requirements-dev.txt"), pins("requirements.txt")
    assert len(shipped) > 30
    assert {name: tested.get(name) for name in shipped} == shipped


def test_every_dependency_is_in_the_image() -> None:
    import tomllib

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    names = {each.split(">")[0].split("=")[0].split("[")[0] for each in project["dependencies"]}
    assert {name.replace(".", "-") for name in names} <= set(pins("requirements.txt"))
