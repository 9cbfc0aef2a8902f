"""What starts the paper where there is no Docker: the templates of elsewhere/, filled in."""

import json
import re
from collections.abc import Mapping

from spyglass_export.containers import labels
from spyglass_export.containers.archived import ARCHIVED_IMAGES
from spyglass_export.containers.docker import full_name
from spyglass_export.containers.image import Image
from spyglass_export.containers.reader import VOLUME_OF
from spyglass_export.publishing import citation
from spyglass_export.settings import Settings

APPTAINER = ("apptainer/paper.sbatch", "apptainer/paper.sh")
BLANK = re.compile(r"__([A-Z]+(?:_[A-Z]+)*)__")


def fill(
    settings: Settings, images: Mapping[str, Image], references: Mapping[str, str], hub_port: int
) -> dict[str, str]:
    """Give the filled-in files by name, such as `kubernetes/pod.yaml`.

    ``references`` says by service what the images are called. Digests are a registry's: Podman and Kubernetes want its
    host before them. Names without one are an archive's, which Podman and Docker load under hosts of their own.
    """
    values = {
        "PAPER_ID": settings.paper_id,
        # A DNS label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
        "NAME": f"spyglass-{settings.paper_id.lower().replace('_', '-')}",
        # JSON is YAML too, whatever the title holds.
        "TITLE": json.dumps(citation.read(settings.root, settings.paper_id).title, ensure_ascii=False),
        "HUB_PORT": str(hub_port),
        "DANDISET_VERSION": settings.dandiset_version,
        "ARCHIVED_IMAGES": ARCHIVED_IMAGES,
    }
    for service, image in images.items():
        name = references[service]
        values[f"{service.upper()}_IMAGE"] = full_name(name) if "@" in name else name
        values[f"{service.upper()}_ID"] = image.id
        values[f"{VOLUME_OF[service].upper()}_HASH"] = image.labels[labels.VOLUME]
    folder = settings.root / "elsewhere"
    return {
        path.relative_to(folder).as_posix(): BLANK.sub(lambda blank: values[blank[1]], path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".yaml", ".py", ".sh", ".sbatch")
    }
