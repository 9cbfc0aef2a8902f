"""The description of an archive as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spyglass_export.containers import labels
from spyglass_export.containers.archived import ARCHIVED_IMAGES, CHECKSUMS
from spyglass_export.containers.image import Image
from spyglass_export.publishing import bundle, citation
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
    **dict.fromkeys(bundle.APPTAINER, ("How to run it on a cluster with Apptainer", "text/x-shellscript")),
}
BUNDLE = ("What a reader unpacks and starts", "application/zip")
Entity = dict[str, Any]


def describe(settings: Settings, images: Mapping[str, Image], folder: Path, sums: Mapping[str, str]) -> Entity:
    """Describe the files of an archive; ``sums`` are their SHA-256 in ``folder``, in hexadecimal, by name."""
    cited = citation.read(settings.root, settings.paper_id)
    of_hub = images["hub"].labels
    files = [_entity(CHECKSUMS, "File", CHECKSUMS, encodingFormat="text/plain")]
    for name, digest in sums.items():
        description, kind = FILES.get(name, BUNDLE)
        size = str((folder / name).stat().st_size)
        more = {"description": description, "encodingFormat": kind, "contentSize": size, "sha256": digest}
        files.append(_entity(name, "File", name, **more))
    names = dict.fromkeys(filter(None, (author["affiliation"] for author in cited.authors)))
    institutes = {name: _entity(f"#institute-{i}", "Organization", name) for i, name in enumerate(names, 1)}
    people = []
    for number, author in enumerate(cited.authors, 1):
        institute = {"affiliation": _named(institutes[author["affiliation"]])} if author["affiliation"] else {}
        people.append(_entity(author["orcid"] or f"#author-{number}", "Person", author["name"], **institute))
    software = []
    for service, image in images.items():
        more = {"description": image.labels[labels.DESCRIPTION], "operatingSystem": image.platform}
        software.append(_entity(f"#{service}", "SoftwareApplication", image.tagged, softwareVersion=image.id, **more))
    said, run = bundle.last_test_in(images), [_named(one) for one in software]
    test = _entity("#test", "CreateAction", "Test of the notebooks", description=said, instrument=run)
    given = {}
    if cited.licence:
        is_simple = re.fullmatch(r"[A-Za-z0-9.+-]+", cited.licence)
        place = f"https://spdx.org/licenses/{cited.licence}" if is_simple else "#licence"
        given["license"] = _entity(place, "CreativeWork", cited.licence)
    if cited.doi:
        given["citation"] = _entity(f"https://doi.org/{cited.doi}", "ScholarlyArticle", cited.title)
    what = f"JupyterLab with the notebooks and software of the Spyglass paper {settings.paper_id}, and its database"
    root = _entity("./", "Dataset", cited.title) | {
        "description": cited.abstract or f"{what}, as Docker images (Spyglass {of_hub[labels.SPYGLASS_VERSION]}).",
        "datePublished": of_hub[labels.CREATED].partition("T")[0],
        "hasPart": [_named(file) for file in files],
        "mentions": [_named(one) for one in (*software, test)],
        **{name: _named(entity) for name, entity in given.items()},
    }
    if people:
        root["author"] = [_named(person) for person in people] if len(people) > 1 else _named(people[0])
    descriptor = {"@id": CRATE, "@type": "CreativeWork", "conformsTo": {"@id": PROFILE}, "about": _named(root)}
    graph = [descriptor, root, *files, *given.values(), *people, *institutes.values(), *software, test]
    return {"@context": CONTEXT, "@graph": graph}


def _entity(place: str, kind: str, name: str, **more: Any) -> Entity:
    return {"@id": place, "@type": kind, "name": name} | more


def _named(entity: Entity) -> dict[str, str]:
    return {"@id": entity["@id"]}
