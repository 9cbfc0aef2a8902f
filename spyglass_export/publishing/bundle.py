"""PAPER_ID.zip: all that a reader needs, and nothing else."""

import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from modulefinder import ModuleFinder
from pathlib import Path
from string import Template

from spyglass_export import console
from spyglass_export.containers import digests, labels
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import Image, installed
from spyglass_export.containers.reader import COMPOSE_FILE, IMAGE_VARIABLES, VOLUME_OF, project
from spyglass_export.environment.lock import FILE as LOCK_FILE
from spyglass_export.errors import UserError
from spyglass_export.files import replaced
from spyglass_export.notebooks.last_test import NOT_TESTED
from spyglass_export.publishing import citation, elsewhere, provenance
from spyglass_export.publishing.secrets import check_no_secret
from spyglass_export.settings import DECLARED, Settings

# Ports of a reader are out of the way of the author's, of other papers' and of those that Linux gives out itself.
FIRST_PORT, PORTS = 20000, 10000
# The steps between unpacking the zip and opening JupyterLab.
START_FROM_REGISTRY = (
    "`docker compose up`. The first time it downloads some gigabytes from the registry; after that it works offline.",
)


def ports_of(paper_id: str) -> tuple[int, int]:
    """Give the ports of a paper's reader, for JupyterLab and MySQL; always the same for one paper."""
    hub_port = FIRST_PORT + 2 * (zlib.crc32(paper_id.encode()) % (PORTS // 2))
    return hub_port, hub_port + 1


def start_from_archive(size: int) -> tuple[str, ...]:
    """Give the steps where the images are a file of so many bytes."""
    return (
        f"Have `images.tar.zst` from where you have this zip: {max(size / 1e9, 0.1):,.1f} GB to download, and about "
        "three times as much on disk once Docker has it. Nothing else is downloaded, now or later.",
        "`docker load --input PATH/TO/images.tar.zst` gives Docker the images. It takes some minutes.",
        "`docker compose up`",
    )


def write_published(settings: Settings, docker: Docker, *, incomplete: bool = False) -> Path:
    """Write PAPER_ID.zip for the images that were published last; return its path.

    Raises UserError where nothing was published, or the images here are others.
    """
    record = digests.read(settings)
    images = provenance.images_as_tested(settings, docker, incomplete=incomplete)
    check_no_secret(settings)
    return _write_for_record(settings, docker, images, record)


def write_pushed(settings: Settings, docker: Docker, record: digests.Record, *, incomplete: bool = False) -> Path:
    """Write PAPER_ID.zip for the images that push_images has just pushed; return its path.

    Raises UserError where the images here are others, or what they are built of has changed meanwhile. As long as that
    is the same, it holds no secret: push_images has looked.
    """
    images = provenance.images_as_tested(settings, docker, incomplete=incomplete)
    return _write_for_record(settings, docker, images, record)


def _write_for_record(
    settings: Settings, docker: Docker, images: Mapping[str, Image], record: digests.Record | None
) -> Path:
    if docker.dry:
        return settings.root / f"{settings.paper_id}.zip"
    if not record:
        raise UserError(
            "nothing was published yet under the names in .env", "run `invoke publish`; it writes the bundle"
        )
    for service, image in images.items():
        if getattr(record, service).id != image.id:
            raise UserError(f"the image of {service} was built anew and is not published", "run `invoke publish`")
    console.say(
        f"test of the notebooks, as it is in the images: {images['hub'].labels.get(labels.TESTED) or NOT_TESTED}"
    )
    references = {service: record.reference(service) for service in images}
    return write(settings, docker, settings.root, images, references, START_FROM_REGISTRY)


def write(
    settings: Settings,
    docker: Docker,
    folder: Path,
    images: Mapping[str, Image],
    references: Mapping[str, str],
    start: Sequence[str],
) -> Path:
    """Write PAPER_ID.zip into a folder; the same images give the same bytes.

    ``references`` says by service what the compose file calls the images; ``start`` is what the README tells to do.
    """
    target = folder / f"{settings.paper_id}.zip"
    # 2026-11-22T21:26:37Z
    created = images["hub"].labels[labels.CREATED]
    date, time = created.rstrip("Z").split("T")
    year, month, day = (int(part) for part in date.split("-"))
    hour, minute, second = (int(part) for part in time.split(":"))
    with replaced(target) as incoming, zipfile.ZipFile(incoming, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted(_contents(settings, docker, images, references, start).items()):
            entry = zipfile.ZipInfo(name, (year, month, day, hour, minute, second))
            mode = 0o600 if name == ".env" else 0o755 if name.endswith(".sh") else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content)
    return target


def _contents(
    settings: Settings, docker: Docker, images: Mapping[str, Image], references: Mapping[str, str], start: Sequence[str]
) -> dict[str, str]:
    root = settings.root

    def text_of(name: str) -> str:
        return (root / name).read_text(encoding="utf-8")

    finder = ModuleFinder([str(root)])
    finder.run_script(str(root / "bundle" / "tasks.py"))
    files = [getattr(one, "__file__", "") for name, one in finder.modules.items() if name.startswith("spyglass_export")]
    contents = {name: text_of(name) for name in (Path(file).relative_to(root).as_posix() for file in files if file)}
    contents |= elsewhere.fill(settings, images, references, ports_of(settings.paper_id)[0])
    contents |= {f"environment/{name}": text for name, text in installed(docker, images["hub"].id).items()}
    contents |= {
        "environment/environment.yml": text_of("export_data/environment.yml"),
        COMPOSE_FILE: _pinned(text_of(COMPOSE_FILE), references),
        ".env": _env(settings, images),
        "tasks.py": text_of("bundle/tasks.py"),
        "README.md": _readme(settings, images, references, start),
        "LICENSE": text_of("LICENSE"),
        "docs/elsewhere.md": text_of("docs/elsewhere.md"),
        "config/no_ca_bundle.pem": "",
    }
    if (settings.export_data / LOCK_FILE).is_file():
        contents[f"environment/{LOCK_FILE}"] = text_of(f"export_data/{LOCK_FILE}")
    if (root / "CITATION.cff").is_file():
        contents["CITATION.cff"] = text_of("CITATION.cff")
    return contents


def _pinned(compose: str, references: Mapping[str, str]) -> str:
    """Let each image line fall back to the given reference."""
    lines = []
    for line in compose.splitlines():
        for service, variable in IMAGE_VARIABLES.items():
            if line.strip().startswith(f"image: ${{{variable}:-"):
                line = f"    image: ${{{variable}:-{references[service]}}}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _env(settings: Settings, images: Mapping[str, Image]) -> str:
    hub_port, db_port = ports_of(settings.paper_id)
    values = {
        "PAPER_ID": settings.paper_id,
        "HUB_PORT": str(hub_port),
        "DB_PORT": str(db_port),
        "DANDISET_VERSION": settings.dandiset_version,
        "HUB_IMAGE_NAME": images["hub"].name,
        "DB_IMAGE_NAME": images["db"].name,
    }
    lines = ["# Settings of one paper for its reader. Edit what you like above the last block.", ""]
    for name, declaration in DECLARED.items():
        if "reader" in declaration.to:
            values.setdefault(name, declaration.fill(values))
            lines += [f"# {declaration.help}.", f"{name}={values[name]}"]
    lines += ["", "# What docker compose starts, and which volumes belong to these images."]
    lines += [f"COMPOSE_FILE={COMPOSE_FILE}", f"COMPOSE_PROJECT_NAME={project(settings.paper_id)}"]
    lines += [f"{VOLUME_OF[service].upper()}_HASH={image.labels[labels.VOLUME]}" for service, image in images.items()]
    return "\n".join(lines) + "\n"


def _readme(
    settings: Settings, images: Mapping[str, Image], references: Mapping[str, str], start: Sequence[str]
) -> str:
    """Word the reader's README."""
    cited = citation.read(settings.root, settings.paper_id)
    hub_port, db_port = ports_of(settings.paper_id)
    of_hub = images["hub"].labels
    authors = ", ".join(author.name for author in cited.authors)
    doi = f" <https://doi.org/{cited.doi}>" if cited.doi else ""
    template = (settings.root / "bundle" / "README.md").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=cited.title,
        paper_id=settings.paper_id,
        cite=f"\n{authors}.{doi} `CITATION.cff` tells how to cite it.\n" if cited.file else "",
        start="\n".join(f"{number}. {step}" for number, step in enumerate(start, 3)),
        last=3 + len(start),
        hub_port=hub_port,
        db_port=db_port,
        password=settings.paper_id,
        db_image=references["db"],
        hub_image=references["hub"],
        spyglass_version=of_hub[labels.SPYGLASS_VERSION],
        export_hash=of_hub[labels.EXPORT_HASH],
        created=of_hub[labels.CREATED],
        tested=of_hub.get(labels.TESTED) or NOT_TESTED,
    )
