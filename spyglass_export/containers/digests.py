"""published.json: the digests that a registry gave the images, so that others can name exactly these."""

import json
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


class Record(NamedTuple):
    """What was published last, by service."""

    db: Published
    hub: Published

    def reference(self, service: str) -> str:
        """A service's image by digest: it can never come to mean another."""
        image: Published = getattr(self, service)
        return f"{image.name}@{image.digest}"


def read(settings: Settings) -> Record | None:
    """Read what was published from this folder under the names that .env has now; None where nothing was.

    Raises UserError where the file is damaged.
    """
    file = settings.root / FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        record = Record(Published(**found["db"]), Published(**found["hub"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{FILE} is damaged: {error}", "remove it and run `invoke publish` again") from error
    if (record.db.name, record.hub.name) != (settings.db_image_name, settings.hub_image_name):
        return None
    return record


def write(root: Path, record: Record) -> None:
    """Replace published.json."""
    write_text(
        root / FILE,
        json.dumps({service: image._asdict() for service, image in record._asdict().items()}, indent=2) + "\n",
    )
