"""Push the two images exactly as they were built and tested."""

import re

from spyglass_export import console
from spyglass_export.containers.docker import Docker, login_arguments
from spyglass_export.containers.faults import DockerError, NoRegistry, NotAllowed
from spyglass_export.containers.image import Image, Published, keep_published, read_published
from spyglass_export.errors import UserError
from spyglass_export.publishing import provenance
from spyglass_export.settings import Settings

DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")


def push_images(settings: Settings, docker: Docker, *, incomplete: bool = False) -> dict[str, Published]:
    """Push both images under a tag that names the content; when all has arrived, under `latest`; write published.json.

    Raises UserError where the images are not what was tested, or the registry does not take them.
    """
    for name in (settings.db_image_name, settings.hub_image_name):
        if "/" not in name:
            hint = "set DOCKER_HUB_USER in .env, or a registry in HUB_IMAGE_NAME and DB_IMAGE_NAME; then `invoke build`"
            raise UserError(f"the image name {name} has neither a registry nor a user to publish under", hint)
    images = provenance.images_to_share(settings, docker, incomplete=incomplete)
    if not read_published(settings):
        console.say(
            "passwords: your own are in no image and no bundle. A reader's JupyterLab and database get the paper's ID, "
            f"{settings.paper_id}, which anybody can guess: safe while they answer on the reader's machine alone. Who "
            "opens BIND_ADDRESS to others has to choose new ones in .env first, and the bundle's README says so."
        )
    for service, image in images.items():
        console.say(f"pushing the image of {service}: {image.tagged}")
        _push(docker, image.tagged)
    record = {service: _push_latest(docker, image) for service, image in images.items()}
    if not docker.dry:
        keep_published(settings.root, record)
    return record


def _push(docker: Docker, image: str) -> None:
    trouble = docker.show("push", image)
    if isinstance(trouble, NotAllowed):
        login = " ".join((*docker.command, *login_arguments(image)))
        console.say(f"the registry asks who you are: {login}")
        if docker.attach(*login_arguments(image)):
            raise UserError("the registry was not logged in to", f"run `{login}`, then `invoke publish` again")
        trouble = docker.show("push", image)
    if isinstance(trouble, NotAllowed):
        hint = "log in as a user who may write there, or correct DOCKER_HUB_USER, HUB_IMAGE_NAME, DB_IMAGE_NAME in .env"
        raise UserError(f"the registry does not let you push {image}: {trouble.said}", hint)
    if trouble and type(trouble) in (DockerError, NoRegistry):
        hint = "run `invoke publish` again: layers that have arrived are not sent again"
        raise UserError(f"the push of {image} broke off: {trouble.said}", hint)
    if trouble:
        raise trouble


def _push_latest(docker: Docker, image: Image) -> Published:
    """Have `latest` mean an image that is in the registry already; give its digest there."""
    found = DIGEST.search(docker.ask("push", f"{image.name}:latest"))
    if not found and not docker.dry:
        raise UserError(f"docker did not say which digest {image.name} got", "run `docker push` by hand and see")
    return Published(image.name, image.tag, found[1] if found else "sha256:", image.id)
