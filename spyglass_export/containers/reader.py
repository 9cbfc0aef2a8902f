"""A reader's stack: published images, started beside whatever else runs on the machine."""

import json
from dataclasses import replace
from pathlib import Path

from dotenv import set_key

from spyglass_export import console
from spyglass_export.containers import archived, labels
from spyglass_export.containers.docker import Docker, is_podman, login_arguments
from spyglass_export.containers.faults import NotAllowed, RateLimited
from spyglass_export.containers.image import inspect, read_published
from spyglass_export.containers.podman import open_door
from spyglass_export.containers.project import containers_of
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings, variables

COMPOSE_FILE = "docker-compose-collab.yml"
IMAGE_VARIABLES = {"db": "DB_IMAGE", "hub": "HUB_IMAGE"}
# The role of the volume that each service's image names by its label.
VOLUME_OF = {"db": "db_data", "hub": "conda"}


def project(paper_id: str) -> str:
    """The Docker Compose project of a paper's reader; no author's project can have this name."""
    return f"reader-spyglass-{paper_id.lower()}"


def is_readers(settings: Settings, *, dry: bool = False) -> bool:
    """Whether commands in this folder are about a reader's stack.

    They are in a bundle, which has nothing to build, and in a repository where only `invoke run` has started one.
    """
    if is_podman(settings.docker) or not (settings.root / "docker-compose.yml").is_file():
        return True
    docker = Docker(settings.docker, settings.root)
    return not (dry or containers_of(docker, settings.project)) and bool(
        containers_of(docker, project(settings.paper_id))
    )


def readers_docker(settings: Settings, *, dry: bool = False) -> Docker:
    """Give the door to docker, with all that docker compose fills a reader's file from."""
    published = {service: image.reference for service, image in read_published(settings).items()}
    named = {"db": settings.db_image, "hub": settings.hub_image}
    chosen = {service: image or published.get(service, "") for service, image in named.items()}
    environment = {
        "COMPOSE_FILE": COMPOSE_FILE,
        # Compose would read .env by rules of its own.
        "COMPOSE_DISABLE_ENV_FILE": "1",
        **variables(settings, "reader"),
        # What .env names, else what was published from this folder; where these are empty, the compose file has
        # digests in a bundle, and `latest` in a repository.
        **{IMAGE_VARIABLES[service]: image for service, image in chosen.items()},
        "DOCKER_HUB_USER": "",  # it is in the images' names already
    }
    docker = open_door(settings.docker, settings.root, environment, project=project(settings.paper_id), dry=dry)
    here = {} if dry else {service: inspect(docker, image) for service, image in images_to_run(docker).items()}
    hashes = {VOLUME_OF[service]: one.labels.get(labels.VOLUME) or "current" for service, one in here.items() if one}
    return replace(docker, volume_hashes=hashes)


def images_to_run(docker: Docker) -> dict[str, str]:
    """Give the image that each service runs, as the compose file names it."""
    if docker.dry:
        return {service: docker.environment[name] or name for service, name in IMAGE_VARIABLES.items()}
    services = json.loads(docker.ask("compose", "config", "--format", "json"))["services"]
    return {name: service["image"] for name, service in services.items()}


def load_archive(settings: Settings, folder: Path, *, dry: bool = False) -> None:
    """Judge an archive, give its images to Docker and have .env name them by digest, so that no registry is asked.

    Raises UserError, before Docker is given anything, where the folder is not a whole archive of this paper's, or
    holds what would replace an image that is here.
    """
    docker = open_door(settings.docker, settings.root, dry=dry)
    folder = folder.resolve()
    with console.status(f"checking {folder.name}"):
        images = archived.judge(folder, settings.paper_id, set(IMAGE_VARIABLES))
    for name in (name for image in images.values() for name in image.names):
        here = inspect(docker, name)
        if here and here.id not in {digest for image in images.values() for digest in image.digests}:
            what = f"{folder} would replace the image {name}"
            raise UserError(what, f"if you need that no more, `docker rmi {name}`")
    with console.status(f"loading {archived.ARCHIVED_IMAGES} into Docker"):
        docker.ask("load", "--quiet", "--input", str(folder / archived.ARCHIVED_IMAGES))
    if dry:
        return
    for service, image in images.items():
        loaded = next((digest for digest in image.digests if docker.succeeds("image", "inspect", digest)), None)
        if not loaded:
            raise UserError(f"Docker did not take the image of {service}", "see what `docker load` says by hand")
        set_key(settings.root / ".env", IMAGE_VARIABLES[service], loaded, quote_mode="never")
    console.say(f"loaded both images of {settings.paper_id}; .env names them by digest")


def fetch(docker: Docker) -> None:
    """Pull what is not on this machine yet, and look for a newer `latest`; works offline once all is here.

    Raises UserError where an image is missing and cannot be had.
    """
    processor = docker.ask("version", "--format", "{{.Server.Arch}}").strip()
    if processor != "amd64" and not docker.dry:
        what = "the images are for x86-64 (linux/amd64)"
        console.warn(f"{what}; on this machine ({processor}) they run emulated, slowly")
    for image in images_to_run(docker).values():
        is_here = not docker.dry and docker.succeeds("image", "inspect", image)
        if is_here and not image.endswith(":latest"):
            continue
        trouble = docker.show("pull", "--platform", "linux/amd64", image)
        if trouble and is_here:
            console.warn(f"no newer version of {image} could be looked for: starting the one that is here")
        elif trouble:
            hint = "check the network and run it again, or run it `--from` an archive; what has arrived is kept"
            if isinstance(trouble, NotAllowed | RateLimited):
                login = " ".join((*docker.command, *login_arguments(image)))
                hint = f"where the authors gave you an account, run `{login}` first"
            raise UserError(f"{image} cannot be pulled: {trouble.said}", hint)
