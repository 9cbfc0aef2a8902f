"""Images on this machine and in a registry: what they are called, and what they say of themselves."""

import json
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.files import write_text
from spyglass_export.settings import Settings

# Where the hub's image lists what was installed, and what could not be.
INSTALLED = "/opt/paper/installed"
LEFT_OUT = "left-out.txt"
# The digests that a registry gave the images, so that others can name exactly these.
PUBLISHED = "published.json"


@dataclass(frozen=True)
class Image:
    """An image on this machine: its name without tag, its ID, labels, `os/architecture` and digests of its layers."""

    name: str
    id: str
    labels: dict[str, str]
    platform: str
    layers: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """A tag that names the content: it can never come to mean another image."""
        return self.id.removeprefix("sha256:")[:12]

    @property
    def tagged(self) -> str:
        """Its name with that tag."""
        return f"{self.name}:{self.tag}"


class Published(NamedTuple):
    """An image in a registry: its name, the tag of its content, its digest there, and its ID on this machine."""

    name: str
    tag: str
    digest: str
    id: str

    @property
    def reference(self) -> str:
        """The image by digest: it can never come to mean another."""
        return f"{self.name}@{self.digest}"


def inspect(docker: Docker, reference: str) -> Image | None:
    """Look an image up; None where it is not on this machine."""
    try:
        [one] = json.loads(docker.ask("image", "inspect", reference))
    except (UserError, ValueError):  # the latter where nothing is run
        return None
    name = re.sub(r":[^/]*$", "", reference.partition("@")[0])
    layers = tuple(one.get("RootFS", {}).get("Layers") or ())
    return Image(name, one["Id"], one["Config"].get("Labels") or {}, f"{one['Os']}/{one['Architecture']}", layers)


def built_images(settings: Settings, docker: Docker) -> dict[str, Image]:
    """Give the images that `invoke build` made, by service, as far as they are here."""
    names = {"db": settings.db_image_name, "hub": settings.hub_image_name}
    found = {service: inspect(docker, f"{name}:latest") for service, name in names.items()}
    return {service: image for service, image in found.items() if image}


def read_published(settings: Settings) -> dict[str, Published]:
    """Read, by service, what was published from this folder under the names that .env has now; else nothing.

    Raises UserError where the file is damaged.
    """
    names = {"db": settings.db_image_name, "hub": settings.hub_image_name}
    try:
        found = json.loads((settings.root / PUBLISHED).read_text(encoding="utf-8"))
        record = {service: Published(**found[service]) for service in names}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{PUBLISHED} is damaged: {error}", "remove it and run `invoke publish` again") from error
    return record if {service: image.name for service, image in record.items()} == names else {}


def keep_published(root: Path, record: Mapping[str, Published]) -> None:
    """Replace published.json."""
    images = {service: image._asdict() for service, image in record.items()}
    write_text(root / PUBLISHED, json.dumps(images, indent=2) + "\n")


def glibc_of(docker: Docker, image: str) -> str | None:
    """The version of glibc in an image such as `2.39`; None where the image is not here yet, or has another libc.

    Only a container tells, which takes most of a second: the answer is kept by the image's ID.
    """
    from platformdirs import user_cache_path  # readers do not have it

    try:
        if not (here := inspect(docker, image)):
            return None
        kept = user_cache_path("spyglass-export", appauthor=False) / f"glibc-{here.tag}"
        if kept.is_file():
            return kept.read_text(encoding="utf-8")
        ldd = ("--pull", "never", "--network", "none", "--entrypoint", "ldd", image, "--version")
        found = re.match(r".*\b(2\.\d+)\s", docker.ask("run", "--rm", *ldd))
    except (UserError, OSError):
        return None
    with suppress(OSError):
        if found:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_text(kept, found[1])
    return found[1] if found else None


def installed(docker: Docker, image: str) -> dict[str, str]:
    """Read the lists of what was installed out of a hub's image by name or ID, without starting it."""
    container = docker.ask("create", image).strip()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            docker.ask("cp", f"{container}:{INSTALLED}/.", scratch)
            return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(scratch).iterdir())}
    finally:
        docker.ask("rm", container)


def left_out(docker: Docker, image: str) -> list[str]:
    """What the hub's image lacks of the paper's environment, each with the reason; nothing where it is whole."""
    if docker.dry or not docker.succeeds("image", "inspect", image):
        return []
    return installed(docker, image).get(LEFT_OUT, "").splitlines()
