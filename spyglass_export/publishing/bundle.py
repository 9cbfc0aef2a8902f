"""PAPER_ID.zip: all that a reader needs, and nothing else."""

import json
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from datetime import datetime
from modulefinder import ModuleFinder
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from spyglass_export import console
from spyglass_export.containers import labels
from spyglass_export.containers.archived import ARCHIVED_IMAGES
from spyglass_export.containers.docker import Docker, full_name
from spyglass_export.containers.image import Image, Published, installed, read_published
from spyglass_export.containers.reader import COMPOSE_FILE, IMAGE_VARIABLES, VOLUME_OF, project
from spyglass_export.environment.lock import FILE as LOCK_FILE
from spyglass_export.errors import UserError
from spyglass_export.files import replaced
from spyglass_export.notebooks.results import NOT_TESTED
from spyglass_export.publishing import citation, provenance
from spyglass_export.publishing.secrets import check_no_secret
from spyglass_export.settings import DECLARED, Settings

# Ports of a reader are out of the way of the author's, of other papers' and of those that Linux gives out itself.
FIRST_PORT, PORTS = 20000, 10000
APPTAINER = ("apptainer/paper.sbatch", "apptainer/paper.sh")
BLANK = re.compile(r"__([A-Z]+(?:_[A-Z]+)*)__")


def ports_of(paper_id: str) -> tuple[int, int]:
    """Give the ports of a paper's reader, for JupyterLab and MySQL; always the same for one paper."""
    hub_port = FIRST_PORT + 2 * (zlib.crc32(paper_id.encode()) % (PORTS // 2))
    return hub_port, hub_port + 1


def write_published(
    settings: Settings, docker: Docker, record: Mapping[str, Published] | None = None, *, incomplete: bool = False
) -> Path:
    """Write PAPER_ID.zip for the images that were published last, by ``record`` just now; return its path.

    Raises UserError where nothing was published, or the images here are others.
    """
    images = provenance.images_as_tested(settings, docker, incomplete=incomplete)
    if not record:  # else the push has looked for secrets
        check_no_secret(settings)
        record = read_published(settings)
    if docker.dry:
        return settings.root / f"{settings.paper_id}.zip"
    if not record:
        raise UserError("nothing was published yet under the names in .env", "run `invoke publish`")
    for service, image in images.items():
        if record[service].id != image.id:
            raise UserError(f"the image of {service} was built anew and is not published", "run `invoke publish`")
    console.say(f"test of the notebooks, as it is in the images: {last_test_in(images)}")
    return write(settings, docker, settings.root, images, {name: record[name].reference for name in images})


def last_test_in(images: Mapping[str, Image]) -> str:
    """What the images say of the last test of the notebooks in them."""
    return images["hub"].labels.get(labels.TESTED) or NOT_TESTED


def write(
    settings: Settings,
    docker: Docker,
    folder: Path,
    images: Mapping[str, Image],
    references: Mapping[str, str],
    archived: int = 0,
) -> Path:
    """Write PAPER_ID.zip into a folder; the same images give the same bytes.

    ``references`` says by service what the compose file calls the images; ``archived`` is how many bytes their file
    has, where the reader has them from an archive.
    """
    target = folder / f"{settings.paper_id}.zip"
    created = datetime.strptime(images["hub"].labels[labels.CREATED], "%Y-%m-%dT%H:%M:%SZ").timetuple()
    with replaced(target) as incoming, zipfile.ZipFile(incoming, "w") as file:
        for name, content in sorted(_contents(settings, docker, images, references, archived).items()):
            entry = zipfile.ZipInfo(name, created[:6])
            mode = 0o600 if name == ".env" else 0o755 if name.endswith(".sh") else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            file.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return target


def _contents(
    settings: Settings, docker: Docker, images: Mapping[str, Image], references: Mapping[str, str], archived: int
) -> dict[str, str]:
    root = settings.root

    def text_of(name: str) -> str:
        return (root / name).read_text(encoding="utf-8")

    finder = ModuleFinder([str(root)])
    finder.run_script(str(root / "bundle" / "tasks.py"))
    files = [getattr(one, "__file__", "") for name, one in finder.modules.items() if name.startswith("spyglass_export")]
    copied = {name: name for name in (Path(file).relative_to(root).as_posix() for file in files if file)}
    copied |= {"environment/environment.yml": "export_data/environment.yml", "tasks.py": "bundle/tasks.py"}
    copied |= {name: name for name in ("LICENSE", "docs/elsewhere.md")}
    optional = {f"environment/{LOCK_FILE}": f"export_data/{LOCK_FILE}", citation.FILE: citation.FILE}
    copied |= {name: source for name, source in optional.items() if (root / source).is_file()}
    compose = text_of(COMPOSE_FILE)
    for service, variable in IMAGE_VARIABLES.items():
        compose = re.sub(rf"(?m)(image: \${{{variable}:-).*", rf"\g<1>{references[service]}}}", compose)
    return {
        **{name: text_of(source) for name, source in copied.items()},
        **fill_elsewhere(settings, images, references),
        **{f"environment/{name}": text for name, text in installed(docker, images["hub"].id).items()},
        COMPOSE_FILE: compose,
        ".env": _env(settings, images),
        "README.md": _readme(settings, images, references, archived),
        "config/no_ca_bundle.pem": "",
    }


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


def _readme(settings: Settings, images: Mapping[str, Image], references: Mapping[str, str], archived: int) -> str:
    template = (settings.root / "bundle" / "README.md").read_text(encoding="utf-8")
    # Markdown, which escapes by rules of its own.
    environment = Environment(trim_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    hub_port, db_port = ports_of(settings.paper_id)
    return environment.from_string(template).render(
        settings=settings,
        cited=citation.read(settings.root, settings.paper_id),
        hub_port=hub_port,
        db_port=db_port,
        references=references,
        archived=max(archived / 1e9, 0.1) if archived else 0,
        of_hub=images["hub"].labels,
        labels=labels,
        tested=last_test_in(images),
    )


def fill_elsewhere(settings: Settings, images: Mapping[str, Image], references: Mapping[str, str]) -> dict[str, str]:
    """Fill in what starts the paper without Docker; give the files of elsewhere/ by name, as `kubernetes/pod.yaml`."""
    values = {
        "PAPER_ID": settings.paper_id,
        # A DNS label: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
        "NAME": f"spyglass-{settings.paper_id.lower().replace('_', '-')}",
        # JSON is YAML too, whatever the title holds.
        "TITLE": json.dumps(citation.read(settings.root, settings.paper_id).title, ensure_ascii=False),
        "HUB_PORT": str(ports_of(settings.paper_id)[0]),
        "DANDISET_VERSION": settings.dandiset_version,
        "ARCHIVED_IMAGES": ARCHIVED_IMAGES,
    }
    for service, image in images.items():
        name = references[service]
        # Digests are a registry's, whose host Podman and Kubernetes want; programs load an archive's under their own.
        values[f"{service.upper()}_IMAGE"] = full_name(name) if "@" in name else name
        values[f"{service.upper()}_ID"] = image.id
        values[f"{VOLUME_OF[service].upper()}_HASH"] = image.labels[labels.VOLUME]
    folder = settings.root / "elsewhere"
    return {
        path.relative_to(folder).as_posix(): BLANK.sub(lambda blank: values[blank[1]], path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".yaml", ".py", ".sh", ".sbatch")
    }
