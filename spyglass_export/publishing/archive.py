"""A folder fit for a repository such as Zenodo or DANDI: all that a paper needs to run, with no registry."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spyglass_export import console
from spyglass_export.checksum import sha256
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import Image
from spyglass_export.containers.reader import ARCHIVED_IMAGES, CHECKSUMS
from spyglass_export.errors import UserError
from spyglass_export.publishing import bundle, citation, provenance
from spyglass_export.publishing.secrets import check_no_secret
from spyglass_export.settings import Settings

CRATE = "ro-crate-metadata.json"
# Since Engine 25 `docker save` writes an OCI layout: https://docs.docker.com/engine/release-notes/25.0/
OCI_LAYOUT_ENGINE = 25
# Level 9 takes more than twice as long for 8 %.
ZSTD_LEVEL = "-7"


def write_archive(settings: Settings, docker: Docker) -> Path:
    """Write PAPER_ID-archive/ anew; return its path.

    It holds both images as an OCI layout compressed with zstd, which `docker load` reads; the reader's bundle;
    an RO-Crate 1.1; CITATION.cff where there is one; and the checksums of all. Raises UserError where the
    images are not what was tested, or the folder holds something else.
    """
    folder = settings.root / f"{settings.paper_id}-archive"
    if folder.exists() and not (folder / CRATE).is_file():
        raise UserError(f"{folder} exists and is no archive", "move it away, and try again")
    images = provenance.images_as_tested(settings, docker)
    check_no_secret(settings)
    _check_engine(docker)
    references = {service: f"{image.name}:{image.tag}" for service, image in images.items()}
    for service, image in images.items():
        docker.ask("tag", image.id, references[service])
    incoming = folder.with_name(f"{folder.name}.tmp")
    if not docker.dry:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
    try:
        with console.status("compressing both images"):
            # The database's image has zstd, which this machine may not have.
            zstd = (
                "run",
                "--rm",
                "--interactive",
                "--network",
                "none",
                "--no-healthcheck",
                "--entrypoint",
                "zstd",
                references["db"],
            )
            docker.pipe(
                ("save", *references.values()),
                (*zstd, ZSTD_LEVEL, "-T0", "--quiet", "--stdout"),
                incoming / ARCHIVED_IMAGES,
            )
        if docker.dry:
            return folder
        start = bundle.START_FROM_ARCHIVE
        bundle.write(settings, docker, incoming, images, references, start)
        text = bundle.readme(settings, images, references, start)
        (incoming / "README.md").write_text(text, encoding="utf-8", newline="\n")
        for name in ("LICENSE", "CITATION.cff"):
            if (settings.root / name).is_file():
                shutil.copyfile(settings.root / name, incoming / name)
        sums = {path.name: sha256(path) for path in sorted(incoming.iterdir())}
        crate = json.dumps(describe(settings, images, incoming, sums), indent=2, ensure_ascii=False) + "\n"
        (incoming / CRATE).write_text(crate, encoding="utf-8", newline="\n")
        sums[CRATE] = sha256(incoming / CRATE)
        lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        (incoming / CHECKSUMS).write_text(lines, encoding="utf-8", newline="\n")
        before = folder.with_name(f"{folder.name}.before.tmp")
        shutil.rmtree(before, ignore_errors=True)
        if folder.exists():
            folder.rename(before)
        try:
            incoming.rename(folder)
        except OSError:
            if before.exists():
                before.rename(folder)
            raise
        shutil.rmtree(before, ignore_errors=True)
    finally:
        if not docker.dry:
            shutil.rmtree(incoming, ignore_errors=True)
    return folder


def _check_engine(docker: Docker) -> None:
    version = docker.ask("version", "--format", "{{.Server.Version}}").strip()
    if not docker.dry and int(version.split(".")[0]) < OCI_LAYOUT_ENGINE:
        raise UserError(
            f"Docker Engine {version} saves images in a form of its own",
            f"update Docker to {OCI_LAYOUT_ENGINE} or newer, which saves the standard's OCI layout",
        )


def describe(settings: Settings, images: Mapping[str, Image], folder: Path, sums: Mapping[str, str]) -> dict[str, Any]:
    """Describe the files of an archive as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1).

    ``sums`` are the SHA-256 of the files in ``folder``, in hexadecimal, by name.
    """
    cited = citation.read(settings.root, settings.paper_id)
    known = {
        ARCHIVED_IMAGES: ("Both images, an OCI layout for `docker load`", "application/zstd"),
        f"{settings.paper_id}.zip": ("What a reader unpacks and starts", "application/zip"),
        "README.md": ("How to start it", "text/markdown"),
        "LICENSE": ("Licence of the software around the images", "text/plain"),
        "CITATION.cff": ("How to cite the paper", "text/yaml"),
    }
    files = [
        {
            "@id": name,
            "@type": "File",
            "name": name,
            "description": known[name][0],
            "encodingFormat": known[name][1],
            "contentSize": str((folder / name).stat().st_size),
            "sha256": digest,
        }
        for name, digest in sums.items()
    ]
    files.append({"@id": CHECKSUMS, "@type": "File", "name": CHECKSUMS, "encodingFormat": "text/plain"})
    authors: list[dict[str, Any]] = []
    institutes: dict[str, dict[str, Any]] = {}
    for number, author in enumerate(cited.authors, 1):
        authors.append({"@id": author.orcid or f"#author-{number}", "@type": "Person", "name": author.name})
        if author.affiliation:
            institute = {
                "@id": f"#institute-{len(institutes) + 1}",
                "@type": "Organization",
                "name": author.affiliation,
            }
            institute = institutes.setdefault(author.affiliation, institute)
            authors[-1]["affiliation"] = {"@id": institute["@id"]}
    simple = re.fullmatch(r"[A-Za-z0-9.+-]+", cited.licence)
    licence = {
        "@id": f"https://spdx.org/licenses/{cited.licence}" if simple else "#licence",
        "@type": "CreativeWork",
        "name": cited.licence,
    }
    software = [
        {
            "@id": f"#{service}",
            "@type": "SoftwareApplication",
            "name": f"{image.name}:{image.tag}",
            "description": image.labels["org.opencontainers.image.description"],
            "softwareVersion": image.id,
            "operatingSystem": image.platform,
        }
        for service, image in images.items()
    ]
    labels = images["hub"].labels
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": cited.title,
        "description": cited.abstract
        or f"JupyterLab with the notebooks and software of the Spyglass paper {settings.paper_id}, and its database, "
        f"as Docker images (Spyglass {labels['spyglass-export.spyglass-version']}).",
        "datePublished": labels[provenance.CREATED].partition("T")[0],
        "license": {"@id": licence["@id"]},
        "hasPart": [{"@id": file["@id"]} for file in files],
        "mentions": [{"@id": one["@id"]} for one in software],
    }
    if authors:
        named = [{"@id": one["@id"]} for one in authors]
        root["author"] = named if len(named) > 1 else named[0]
    if cited.doi:
        root["citation"] = {"@id": f"https://doi.org/{cited.doi}"}
        article = [{"@id": f"https://doi.org/{cited.doi}", "@type": "ScholarlyArticle", "name": cited.title}]
    else:
        article = []
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [descriptor, root, *files, licence, *authors, *institutes.values(), *article, *software],
    }
