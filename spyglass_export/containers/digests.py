"""published.json: the digests that a registry gave the images, so that others can name exactly these."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from spyglass_export.errors import UserError
from spyglass_export.files import write_text
from spyglass_export.settings import Settings

FILE = "published.json"


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


def read(settings: Settings) -> dict[str, Published]:
    """Read, by service, what was published from this folder under the names that .env has now; else nothing.

    Raises UserError where the file is damaged.
    """
    names = {"db": settings.db_image_name, "hub": settings.hub_image_name}
    try:
        found = json.loads((settings.root / FILE).read_text(encoding="utf-8"))
        record = {service: Published(**found[service]) for service in names}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{FILE} is damaged: {error}", "remove it and run `invoke publish` again") from error
    return record if {service: image.name for service, image in record.items()} == names else {}


def write(root: Path, record: Mapping[str, Published]) -> None:
    """Replace published.json."""
    images = {service: image._asdict() for service, image in record.items()}
    write_text(root / FILE, json.dumps(images, indent=2) + "\n")
