"""A reader's stack: published images, started beside whatever else runs on the machine."""

import json
import re
from dataclasses import replace
from pathlib import Path

from dotenv import set_key

from spyglass_export import console
from spyglass_export.checksum import sha256
from spyglass_export.containers import digests, labels, stack
from spyglass_export.containers.docker import Docker, login_arguments
from spyglass_export.containers.faults import NotAllowed, RateLimited
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings, variables

COMPOSE_FILE = "docker-compose-collab.yml"
IMAGE_VARIABLES = {"db": "DB_IMAGE", "hub": "HUB_IMAGE"}
# The role of the volume that each service's image names by its label.
VOLUME_OF = {"db": "db_data", "hub": "conda"}
ARCHIVED_IMAGES, CHECKSUMS = "images.tar.zst", "SHA256SUMS"


def project(paper_id: str) -> str:
    """The Docker Compose project of a paper's reader; no author's project can have this name."""
    return f"reader-spyglass-{paper_id.lower()}"


def is_readers(settings: Settings, *, dry: bool = False) -> bool:
    """Whether commands in this folder are about a reader's stack.

    They are in a bundle, which has nothing to build, and in a repository where only `invoke run` has started one.
    """
    if not (settings.root / "docker-compose.yml").is_file():
        return True
    docker = Docker(settings.docker, settings.root)
    return (
        not dry
        and not _has_containers(docker, settings.project)
        and _has_containers(docker, project(settings.paper_id))
    )


def _has_containers(docker: Docker, name: str) -> bool:
    return bool(docker.ask("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={name}").strip())


def readers_docker(settings: Settings, *, dry: bool = False) -> Docker:
    """Give the door to docker, with all that docker compose fills a reader's file from."""
    environment = {
        "COMPOSE_FILE": COMPOSE_FILE,
        # Compose would read .env by rules of its own.
        "COMPOSE_DISABLE_ENV_FILE": "1",
        **variables(settings, "reader"),
        **{IMAGE_VARIABLES[service]: image for service, image in _chosen_images(settings).items()},
        "DOCKER_HUB_USER": "",  # it is in the images' names already
    }
    docker = Docker(settings.docker, settings.root, environment, project=project(settings.paper_id), dry=dry)
    docker.check(to_build=False)
    return docker if dry else replace(docker, volume_hashes=_volume_hashes(settings, docker))


def _chosen_images(settings: Settings) -> dict[str, str]:
    """The images that .env or the environment name, else those that were published from this folder.

    Empty is what the compose file says: digests in a bundle, `latest` in a repository.
    """
    record = digests.read(settings)
    chosen = {"db": settings.db_image, "hub": settings.hub_image}
    return {service: image or (record.reference(service) if record else "") for service, image in chosen.items()}


def images_to_run(settings: Settings, docker: Docker) -> dict[str, str]:
    """Give the image that each service runs, as the compose file names it."""
    if docker.dry:
        return {service: image or IMAGE_VARIABLES[service] for service, image in _chosen_images(settings).items()}
    services = json.loads(docker.ask("compose", "config", "--format", "json"))["services"]
    return {name: service["image"] for name, service in services.items()}


def _volume_hashes(settings: Settings, docker: Docker) -> dict[str, str]:
    found = {}
    for service, image in images_to_run(settings, docker).items():
        label = f'{{{{index .Config.Labels "{labels.VOLUME}"}}}}'
        if docker.succeeds("image", "inspect", image):
            found[VOLUME_OF[service]] = docker.ask("image", "inspect", "--format", label, image).strip()
    return found


def load_archive(settings: Settings, folder: Path, *, dry: bool = False) -> None:
    """Check an archive's checksums, give its images to Docker and have .env name them, so that no registry is asked.

    Raises UserError where the folder is no archive, is damaged, or holds another paper.
    """
    docker = Docker(settings.docker, settings.root, dry=dry)
    docker.check(to_build=False)
    images = folder.resolve() / ARCHIVED_IMAGES
    if not images.is_file():
        raise UserError(f"{folder} is not an archive: it has no {ARCHIVED_IMAGES}", "name a folder of `invoke archive`")
    with console.status(f"checking {images.name}"):
        _check_sums(folder)
    with console.status(f"loading {images.name} into Docker"):
        loaded = re.findall(r"^Loaded image: (\S+)$", docker.ask("load", "--input", str(images)), re.MULTILINE)
    images_by_service = {}
    for image in loaded:
        found = json.loads(docker.ask("image", "inspect", "--format", "{{json .Config.Labels}}", image)) or {}
        if found.get(labels.PAPER) != settings.paper_id:
            raise UserError(
                f"{folder} is of the paper {found.get(labels.PAPER)}, not {settings.paper_id}",
                "use the bundle that came with it",
            )
        images_by_service[str(found.get(labels.SERVICE))] = image
    if dry:
        return
    if set(images_by_service) != set(IMAGE_VARIABLES):
        raise UserError(f"{images} does not hold the two images of a paper", "copy the whole archive again")
    for service, image in images_by_service.items():
        set_key(settings.root / ".env", IMAGE_VARIABLES[service], image, quote_mode="never")
    console.say(f"loaded {' and '.join(loaded)}; .env names them")


def _check_sums(folder: Path) -> None:
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {CHECKSUMS}", "copy the whole archive again") from error
    for line in lines:
        expected, _, name = line.partition("  ")
        try:
            found = sha256(folder / name)
        except FileNotFoundError as error:
            raise UserError(f"{name} is missing in {folder}", "copy the whole archive again") from error
        if found != expected:
            raise UserError(f"{folder / name} is damaged: its SHA-256 is not that of {CHECKSUMS}", "copy it again")


def fetch(settings: Settings, docker: Docker) -> None:
    """Pull what is not on this machine yet, and look for a newer `latest`; works offline once all is here.

    Raises UserError where an image is missing and cannot be had.
    """
    for image in images_to_run(settings, docker).values():
        is_here = not docker.dry and docker.succeeds("image", "inspect", image)
        if is_here and not image.endswith(":latest"):
            continue
        trouble = docker.show("pull", "--platform", "linux/amd64", image)
        if trouble and is_here:
            console.warn(f"no newer version of {image} could be looked for: starting the one that is here")
        elif trouble:
            login = " ".join((*docker.command, *login_arguments(image)))
            raise UserError(
                f"{image} cannot be pulled: {trouble.said}",
                f"where the authors gave you an account, run `{login}` first"
                if isinstance(trouble, NotAllowed | RateLimited)
                else "check the network and run it again, or run it `--from` an archive; what has arrived is kept",
            )


def run(settings: Settings, docker: Docker) -> None:
    """Replace the containers, wait until both are healthy, and say what a new version did to the reader's things."""
    if not docker.dry and (processor := docker.ask("version", "--format", "{{.Server.Arch}}").strip()) != "amd64":
        console.warn(
            f"the images are for x86-64 (linux/amd64); on this machine ({processor}) they run emulated, slowly"
        )
    stack.start(settings, docker)
    if docker.dry:
        return
    for line in stack.log_of(docker, "hub"):
        if line.startswith("notebooks: "):
            console.say(line)
