"""What tests of all kinds share: the Docker Engine, the base images, and a copy of the project to work in."""

import os
from pathlib import Path

import pytest

from spyglass_export.containers import stack
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings, load
from tests.missing import missing

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings of this checkout, which `invoke bootstrap` makes."""
    try:
        return load(ROOT, os.environ)
    except UserError as error:
        missing(f"{error.what}: {error.hint}")


@pytest.fixture(scope="session")
def docker_engine(settings: Settings) -> Docker:
    """A Docker Engine that answers."""
    docker = stack.authors_docker(settings)
    try:
        docker.check()
    except UserError as error:
        missing(f"{error.what}: {error.hint}")
    return docker


@pytest.fixture(scope="session")
def db_base_image(settings: Settings, docker_engine: Docker) -> str:
    """The database's base image, on this machine."""
    return _present(settings.db_base_image, docker_engine)


@pytest.fixture(scope="session")
def hub_base_image(settings: Settings, docker_engine: Docker) -> str:
    """The hub's base image, on this machine."""
    return _present(settings.hub_base_image, docker_engine)


def _present(image: str, docker: Docker) -> str:
    if not docker.succeeds("image", "inspect", image) and not docker.succeeds("pull", image):
        missing(f"the base image {image} is not here: run `invoke bootstrap`")
    return image


@pytest.fixture(scope="session")
def shared_exports() -> Path:
    """Real exports with the truth beside them, where this checkout has them."""
    exports = ROOT.parent / "shared" / "exports"
    if not exports.is_dir():
        pytest.skip(f"there are no real exports in {exports}")
    return exports
