"""The description of an archive as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spyglass_export.containers import labels
from spyglass_export.containers.archived import ARCHIVED_IMAGES, CHECKSUMS
from spyglass_export.containers.image import Image
from spyglass_export.publishing import bundle, citation, elsewhere
from spyglass_export.settings import Settings

CRATE = "ro-crate-metadata.json"
CONTEXT, PROFILE = "https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/crate/1.1"
# What each file of an archive is, and its media type.
FILES = {
    ARCHIVED_IMAGES: ("Both images, an OCI layout for `docker load`", "application/zstd"),
    "README.md": ("How to start it", "text/markdown"),
    "LICENSE": ("Licence of the software around the images", "text/plain"),
    "tasks.py": ("Tells who runs `invoke` here to unpack the zip first", "text/x-python"),
    citation.FILE: ("How to cite the paper", "text/yaml"),
    **dict.fromkeys(elsewhere.APPTAINER, ("How to run it on a cluster with Apptainer", "text/x-shellscript")),
}
BUNDLE = ("What a reader unpacks and starts", "application/zip")
Entity = dict[str, Any]


def describe(settings: Settings, images: Mapping[str, Image], folder: Path, sums: Mapping[str, str]) -> Entity:
    """Describe the files of an archive; ``sums`` are their SHA-256 in ``folder``, in hexadecimal, by name."""
    cited = citation.read(settings.root, settings.paper_id)
    of_hub = images["hub"].labels
    files = [_file(folder, name, digest) for name, digest in sums.items()]
    files.append({"@id": CHECKSUMS, "@type": "File", "name": CHECKSUMS, "encodingFormat": "text/plain"})
    names = list(dict.fromkeys(author.affiliation for author in cited.authors if author.affiliation))
    institutes = {
        name: {"@id": f"#institute-{number}", "@type": "Organization", "name": name}
        for number, name in enumerate(names, 1)
    }
    people: list[Entity] = [
        {"@id": author.orcid or f"#author-{number}", "@type": "Person", "name": author.name}
        | ({"affiliation": _named(institutes[author.affiliation])} if author.affiliation else {})
        for number, author in enumerate(cited.authors, 1)
    ]
    is_simple = re.fullmatch(r"[A-Za-z0-9.+-]+", cited.licence)
    licence: Entity = {
        "@id": f"https://spdx.org/licenses/{cited.licence}" if is_simple else "#licence",
        "@type": "CreativeWork",
        "name": cited.licence,
    }
    article: Entity = {"@id": f"https://doi.org/{cited.doi}", "@type": "ScholarlyArticle", "name": cited.title}
    software: list[Entity] = [
        {
            "@id": f"#{service}",
            "@type": "SoftwareApplication",
            "name": image.tagged,
            "description": image.labels[labels.DESCRIPTION],
            "softwareVersion": image.id,
            "operatingSystem": image.platform,
        }
        for service, image in images.items()
    ]
    test: Entity = {
        "@id": "#test",
        "@type": "CreateAction",
        "name": "Test of the notebooks",
        "description": bundle.last_test_in(images),
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
    given: dict[str, Entity] = {
        name: entity
        for name, entity, is_given in (("license", licence, cited.licence), ("citation", article, cited.doi))
        if is_given
    }
    root |= {name: _named(entity) for name, entity in given.items()}
    if people:
        root["author"] = [_named(person) for person in people] if len(people) > 1 else _named(people[0])
    descriptor = {"@id": CRATE, "@type": "CreativeWork", "conformsTo": {"@id": PROFILE}, "about": _named(root)}
    graph = [descriptor, root, *files, *given.values(), *people, *institutes.values(), *software, test]
    return {"@context": CONTEXT, "@graph": graph}


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
