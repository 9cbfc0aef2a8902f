"""The description of an archive as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spyglass_export.containers import labels
from spyglass_export.containers.archived import ARCHIVED_IMAGES, CHECKSUMS
from spyglass_export.containers.image import Image
from spyglass_export.notebooks.last_test import NOT_TESTED
from spyglass_export.publishing import citation, elsewhere
from spyglass_export.publishing.citation import Author, Citation
from spyglass_export.settings import Settings

CRATE = "ro-crate-metadata.json"
CONTEXT, PROFILE = "https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/crate/1.1"
# What each file of an archive is, and its media type.
FILES = {
    ARCHIVED_IMAGES: ("Both images, an OCI layout for `docker load`", "application/zstd"),
    "README.md": ("How to start it", "text/markdown"),
    "LICENSE": ("Licence of the software around the images", "text/plain"),
    "tasks.py": ("Tells who runs `invoke` here to unpack the zip first", "text/x-python"),
    "CITATION.cff": ("How to cite the paper", "text/yaml"),
    **dict.fromkeys(elsewhere.APPTAINER, ("How to run it on a cluster with Apptainer", "text/x-shellscript")),
}
BUNDLE = ("What a reader unpacks and starts", "application/zip")
Entity = dict[str, Any]


def describe(settings: Settings, images: Mapping[str, Image], folder: Path, sums: Mapping[str, str]) -> Entity:
    """Describe the files of an archive; ``sums`` are their SHA-256 in ``folder``, in hexadecimal, by name."""
    cited = citation.read(settings.root, settings.paper_id)
    files = [_file(folder, name, digest) for name, digest in sums.items()]
    files.append({"@id": CHECKSUMS, "@type": "File", "name": CHECKSUMS, "encodingFormat": "text/plain"})
    people, institutes = _people(cited.authors)
    licence = [_licence(cited.licence)] if cited.licence else []
    article = _article(cited)
    software = [_software(service, image) for service, image in images.items()]
    of_hub = images["hub"].labels
    test = {
        "@id": "#test",
        "@type": "CreateAction",
        "name": "Test of the notebooks",
        "description": of_hub.get(labels.TESTED) or NOT_TESTED,
        "instrument": [_named(one) for one in software],
    }
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": cited.title,
        "description": cited.abstract
        or f"JupyterLab with the notebooks and software of the Spyglass paper {settings.paper_id}, and its database, "
        f"as Docker images (Spyglass {of_hub[labels.SPYGLASS_VERSION]}).",
        "datePublished": of_hub[labels.CREATED].partition("T")[0],
        "hasPart": [_named(file) for file in files],
        "mentions": [_named(one) for one in (*software, test)],
    }
    if licence:
        root["license"] = _named(licence[0])
    if people:
        root["author"] = [_named(person) for person in people] if len(people) > 1 else _named(people[0])
    if article:
        root["citation"] = _named(article[0])
    descriptor = {"@id": CRATE, "@type": "CreativeWork", "conformsTo": {"@id": PROFILE}, "about": _named(root)}
    return {
        "@context": CONTEXT,
        "@graph": [descriptor, root, *files, *licence, *people, *institutes, *article, *software, test],
    }


def _named(entity: Entity) -> dict[str, str]:
    return {"@id": entity["@id"]}


def _file(folder: Path, name: str, digest: str) -> Entity:
    description, media_type = FILES.get(name, BUNDLE)
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "description": description,
        "encodingFormat": media_type,
        "contentSize": str((folder / name).stat().st_size),
        "sha256": digest,
    }


def _people(authors: tuple[Author, ...]) -> tuple[list[Entity], list[Entity]]:
    """Give the authors, and the institutes that they name, each once."""
    names = list(dict.fromkeys(author.affiliation for author in authors if author.affiliation))
    institutes = {
        name: {"@id": f"#institute-{number}", "@type": "Organization", "name": name}
        for number, name in enumerate(names, 1)
    }
    people: list[Entity] = []
    for number, author in enumerate(authors, 1):
        people.append({"@id": author.orcid or f"#author-{number}", "@type": "Person", "name": author.name})
        if author.affiliation:
            people[-1]["affiliation"] = _named(institutes[author.affiliation])
    return people, [*institutes.values()]


def _licence(expression: str) -> Entity:
    simple = re.fullmatch(r"[A-Za-z0-9.+-]+", expression)
    place = f"https://spdx.org/licenses/{expression}" if simple else "#licence"
    return {"@id": place, "@type": "CreativeWork", "name": expression}


def _article(cited: Citation) -> list[Entity]:
    if not cited.doi:
        return []
    return [{"@id": f"https://doi.org/{cited.doi}", "@type": "ScholarlyArticle", "name": cited.title}]


def _software(service: str, image: Image) -> Entity:
    return {
        "@id": f"#{service}",
        "@type": "SoftwareApplication",
        "name": image.tagged,
        "description": image.labels[labels.DESCRIPTION],
        "softwareVersion": image.id,
        "operatingSystem": image.platform,
    }
