"""What an image says of itself: the paper, and hashes of all that it was built of."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone

from spyglass_export import console
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import Image, built_images, inspect, left_out
from spyglass_export.containers.labels import BASE, CREATED, LICENCES, PREFIX, RECIPE, REVISION, TESTED
from spyglass_export.environment.lock import FILE as LOCK_FILE
from spyglass_export.errors import UserError
from spyglass_export.export import manifest
from spyglass_export.files import hash_of_files
from spyglass_export.notebooks.files import notebook_files
from spyglass_export.notebooks.results import last_test
from spyglass_export.publishing import citation
from spyglass_export.publishing.secrets import check_no_secret
from spyglass_export.settings import Settings

MADE_OF = {
    "export": "export_data/",
    "notebooks": "notebooks/",
    "recipe": "what it is built by (docker/, config/ or .env)",
}
# What .dockerignore leaves out of docker/ and config/.
NOT_RECIPE = {"base", ".env", ".git", ".ipynb_checkpoints", "__pycache__", ".DS_Store"}


def ingredients(settings: Settings) -> dict[str, dict[str, str]]:
    """Hash what each service's image is built of, part by part, as it is now; see MADE_OF."""
    root, export = settings.root, settings.export_data
    made_by = [*(root / "config").rglob("*"), *(root / "docker").rglob("*")]
    recipe = [path for path in made_by if path.is_file() and not NOT_RECIPE & set(path.relative_to(root).parts)]
    rows = [path for path in (export / "sql").rglob("*") if path.is_file()]
    solved = [path for path in (export / "environment.yml", export / LOCK_FILE) if path.is_file()]
    of_hub = (settings.hub_base_image, settings.hub_apt_packages, str(settings.grant_sudo))
    return {
        "db": {
            "export": hash_of_files(export, [export / manifest.FILE, *rows]),
            "recipe": hash_of_files(root, recipe, settings.db_base_image),
        },
        "hub": {
            "export": hash_of_files(export, solved),
            "notebooks": hash_of_files(settings.notebooks, notebook_files(settings.notebooks)),
            "recipe": hash_of_files(root, recipe, *of_hub),
        },
    }


def add_labels(settings: Settings, docker: Docker) -> Docker:
    """Fill in the labels of docker-compose.yml for a build of what export_data/ and notebooks/ hold now.

    What has not changed keeps its time of creation and its revision, so that a build gives the same image.
    """
    if docker.dry:
        return docker
    exported = manifest.read_manifest(settings.export_data)
    if not exported:
        raise UserError("export_data/ is empty, so nothing tells what to build", "run `invoke copy_files`")
    labels = {
        "EXPORT_HASH": exported.export_hash,
        "SPYGLASS_VERSION": exported.spyglass_version or "unknown",
        "LICENCE": citation.read(settings.root, settings.paper_id).licence,
    }
    built, tested = built_images(settings, docker), set()
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    for service, parts in ingredients(settings).items():
        before = built[service].labels if service in built else {}
        if any(before.get(PREFIX + part) != value for part, value in parts.items()):
            before = {}
        made = parts | {"created": before.get(CREATED) or now, "revision": before.get(REVISION) or _revision(settings)}
        labels |= {f"{service}_{part}".upper(): value for part, value in made.items()}
        tested.add(before.get(TESTED, ""))
    labels["TESTED"] = tested.pop() if len(tested) == 1 else ""
    return replace(docker, environment={**docker.environment, **{f"LABEL_{k}": v for k, v in labels.items()}})


def are_built(docker: Docker) -> bool:
    """Whether both images are of what they would be built of: by their base layers, and the labels in ``docker``."""
    if docker.dry:
        return False
    for service in json.loads(docker.ask("compose", "config", "--format", "json"))["services"].values():
        image, wanted = inspect(docker, service["image"]), service["build"]["labels"]
        # Of a label without a value compose makes none.
        if not image or any(image.labels.get(name, "") != (value or "") for name, value in wanted.items()):
            return False
        base = inspect(docker, wanted[BASE])
        if not base or not base.layers or image.layers[: len(base.layers)] != base.layers:
            return False
    return True


def _revision(settings: Settings) -> str:
    """The git commit of the project's folder, with `-dirty` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=settings.root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def images_to_share(settings: Settings, docker: Docker, *, incomplete: bool = False) -> dict[str, Image]:
    """Give both images as they were tested, under tags that name their content.

    Raises UserError as images_as_tested, and where readers would get a secret.
    """
    images = images_as_tested(settings, docker, incomplete=incomplete)
    check_no_secret(settings)
    images = label_with_last_test(settings, docker, images)
    for image in images.values():
        docker.ask("tag", image.id, image.tagged)
    return images


def label_with_last_test(settings: Settings, docker: Docker, images: Mapping[str, Image]) -> dict[str, Image]:
    """Have both images say in a label what the last test said of the notebooks in them, and say it; layers stay."""
    if docker.dry:
        return dict(images)
    said = last_test(settings, docker, images["db"].id, images["hub"].id)
    console.say(f"test of the notebooks: {said}")
    for name in (image.name for image in images.values() if image.labels.get(TESTED) != said):
        docker.ask(
            *("build", "--quiet", "--file", "docker/label.Dockerfile", "--build-arg", f"IMAGE={name}:latest"),
            *("--label", f"{TESTED}={said}", "--tag", f"{name}:latest", "docker"),
        )
    return built_images(settings, docker)


def images_as_tested(settings: Settings, docker: Docker, *, incomplete: bool = False) -> dict[str, Image]:
    """Give both images; ``incomplete`` ones, which lack something of the environment, only where that is allowed.

    Raises UserError where one is missing, is not of what the folders hold now, or has sudo.
    """
    if settings.grant_sudo:
        hint = "set GRANT_SUDO=no in .env, run `invoke build`, and try again"
        raise UserError("with GRANT_SUDO=yes the hub's image has sudo, which is not for readers", hint)
    if docker.dry:
        names = {"db": settings.db_image_name, "hub": settings.hub_image_name}
        return {service: Image(name, "IMAGE_ID", {}, "linux/amd64") for service, name in names.items()}
    images = built_images(settings, docker)
    if missing := [service for service in ("db", "hub") if service not in images]:
        raise UserError(f"there is no image of {' and '.join(missing)} yet", "run `invoke build` first")
    if not (settings.export_data / manifest.FILE).is_file():
        raise UserError("export_data/ is empty, so nothing tells whether the images are of it", "run `invoke build`")
    again = "run `invoke build`, try the notebooks, then run this again: others get only what was tested"
    licence = citation.read(settings.root, settings.paper_id).licence
    for service, parts in ingredients(settings).items():
        image = images[service]
        if not image.labels.get(RECIPE):
            raise UserError(f"{image.name} was not built by `invoke build`", again)
        if changed := [MADE_OF[part] for part, value in parts.items() if image.labels.get(PREFIX + part) != value]:
            raise UserError(f"{image.name} is older than {changed[0]}, which has changed since it was built", again)
        if (labelled := image.labels.get(LICENCES, "")) != licence:
            what = f"the licence in {image.name} is {labelled or 'none'}, and in CITATION.cff it is {licence or 'none'}"
            raise UserError(what, "run `invoke build`, which writes it into the images in seconds, then run this again")
    if lacking := left_out(docker, images["hub"].id):
        what = f"{images['hub'].name} lacks {len(lacking)} of the environment's lines: {'; '.join(lacking)}"
        if not incomplete:
            hint = "build it where conda's channels and the indexes can be reached; or give it as it is: `--incomplete`"
            raise UserError(what, hint)
        console.warn(what)
    return images
