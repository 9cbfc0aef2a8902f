"""Whether images are built of what they would be built of now; a `docker` here knows two images and their bases."""

import json
from pathlib import Path
from typing import Any

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.publishing.provenance import are_built
from tests.unit.docker_program import docker_that_runs, inspected

PROGRAM = """
import sys
asked, (services, images) = sys.argv[1:], eval(open("known").read())
if asked[:2] == ["compose", "config"]:
    print(services)
elif asked[-1] not in images:
    sys.exit(1)
else:
    print(images[asked[-1]])
"""
BASE = "org.opencontainers.image.base.name"


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return docker_that_runs(tmp_path, PROGRAM)


@pytest.fixture
def known() -> dict[str, Any]:
    """Two images as they would be built now."""
    services, images = {}, {}
    for name in ("db", "hub"):
        labels = {BASE: f"base-{name}", "spyglass-export.recipe": "1", "spyglass-export.tested": ""}
        services[name] = {"image": name, "build": {"labels": labels}}
        images[name] = {"labels": {**labels, "of.the.base": "x"}, "layers": ["a", "b", "c"]}
        images[f"base-{name}"] = {"labels": {}, "layers": ["a", "b"]}
    return {"services": services, "images": images}


def ask(docker: Docker, known: dict[str, Any]) -> bool:
    images = {name: inspected(name, **image) for name, image in known["images"].items()}
    (docker.root / "known").write_text(repr((json.dumps({"services": known["services"]}), images)))
    return are_built(docker)


def test_they_are(docker: Docker, known: dict[str, Any]) -> None:
    assert ask(docker, known)


def test_a_label_without_a_value_may_be_missing(docker: Docker, known: dict[str, Any]) -> None:
    del known["images"]["hub"]["labels"]["spyglass-export.tested"]

    assert ask(docker, known)


@pytest.mark.parametrize("name", ["db", "hub"])
def test_another_ingredient_is_another_image(docker: Docker, known: dict[str, Any], name: str) -> None:
    known["services"][name]["build"]["labels"]["spyglass-export.recipe"] = "2"

    assert not ask(docker, known)


@pytest.mark.parametrize("layers", [["a", "x"], []])
def test_a_base_image_that_was_pulled_anew_is_another(docker: Docker, known: dict[str, Any], layers: list[str]) -> None:
    known["images"]["base-hub"]["layers"] = layers

    assert not ask(docker, known)


@pytest.mark.parametrize("name", ["db", "hub", "base-db"])
def test_an_image_that_is_not_here_is_built(docker: Docker, known: dict[str, Any], name: str) -> None:
    del known["images"][name]

    assert not ask(docker, known)
