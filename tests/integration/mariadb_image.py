"""MariaDB's image of a release: the public one, or one from the Debian that has it, on a stand-in."""

from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker

RELEASES = {"11.8": "trixie", "10.11": "bookworm"}  # with the Debian that has it


def mariadb_image(docker_engine: Docker, release: str) -> str:
    """The image's name; skips the test where there is none."""
    image, debian = f"mariadb:{release}", f"spyglass-export/debian:{RELEASES[release]}"
    if docker_engine.succeeds("image", "inspect", image) or docker_engine.succeeds("pull", image):
        return image
    image = f"spyglass-export-test/{image}"
    if not docker_engine.succeeds("image", "inspect", debian):
        pytest.skip(f"neither mariadb:{release} nor {debian} is here")
    here = Path(__file__).parent
    built = f"--build-arg=DEBIAN_IMAGE={debian}", f"--tag={image}", f"--file={here / 'mariadb.Dockerfile'}"
    assert docker_engine.succeeds("build", "--quiet", *built, str(here))
    return image
