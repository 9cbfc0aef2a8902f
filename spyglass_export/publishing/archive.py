"""A folder fit for a repository such as Zenodo or DANDI: all that a paper needs to run, with no registry."""

import json
import shutil
from pathlib import Path
from zipfile import ZipFile

from spyglass_export import console
from spyglass_export.checksum import sha256
from spyglass_export.containers.archived import ARCHIVED_IMAGES, CHECKSUMS
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.files import write_text
from spyglass_export.publishing import bundle, citation, elsewhere, provenance
from spyglass_export.publishing.ro_crate import CRATE, describe
from spyglass_export.publishing.secrets import check_no_secret
from spyglass_export.settings import Settings

# Since Engine 25 `docker save` writes an OCI layout: https://docs.docker.com/engine/release-notes/25.0/
OCI_LAYOUT_ENGINE = 25
# Level 9 takes more than twice as long for 8 %.
ZSTD_LEVEL = "-7"
# What comes from the repository as it is, and its name in the archive.
COPIED = {"LICENSE": "LICENSE", "CITATION.cff": "CITATION.cff", "bundle/archive_tasks.py": "tasks.py"}


def write_archive(settings: Settings, docker: Docker, *, incomplete: bool = False) -> Path:
    """Write PAPER_ID-archive/ anew; return its path.

    It holds both images as an OCI layout compressed with zstd, which `docker load` reads; the reader's bundle;
    an RO-Crate 1.1; CITATION.cff where there is one; and the checksums of all. Raises UserError where the
    images are not what was tested, or the folder holds something else.
    """
    folder = settings.root / f"{settings.paper_id}-archive"
    if folder.exists() and not (folder / CRATE).is_file():
        raise UserError(f"{folder} exists and is not an archive", "move it away, and try again")
    images = provenance.images_as_tested(settings, docker, incomplete=incomplete)
    check_no_secret(settings)
    _check_engine(docker)
    _ask_for_citation(settings)
    images = provenance.label_with_last_test(settings, docker, images)
    references = {service: image.tagged for service, image in images.items()}
    for image in images.values():
        docker.ask("tag", image.id, image.tagged)
    incoming = folder.with_name(f"{folder.name}.tmp")
    if not docker.dry:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
    try:
        with console.status("compressing both images, which takes minutes"):
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
        start = bundle.start_from_archive((incoming / ARCHIVED_IMAGES).stat().st_size)
        with ZipFile(bundle.write(settings, docker, incoming, images, references, start)) as written:
            written.extractall(incoming, ("README.md", *elsewhere.APPTAINER))
        for name in elsewhere.APPTAINER:
            (incoming / name).chmod(0o755)
        for source, name in COPIED.items():
            if (settings.root / source).is_file():
                shutil.copyfile(settings.root / source, incoming / name)
        files = sorted(path for path in incoming.rglob("*") if path.is_file())
        sums = {path.relative_to(incoming).as_posix(): sha256(path) for path in files}
        crate = json.dumps(describe(settings, images, incoming, sums), indent=2, ensure_ascii=False) + "\n"
        write_text(incoming / CRATE, crate)
        sums[CRATE] = sha256(incoming / CRATE)
        write_text(incoming / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))
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


def _ask_for_citation(settings: Settings) -> None:
    cited = citation.read(settings.root, settings.paper_id)
    if not (cited.authors and cited.licence):
        lacks = "there is no CITATION.cff" if not cited.file else "CITATION.cff lacks authors or license"
        console.warn(
            f"{lacks}: the archive does not say whose the data are, or what others may do with them; "
            "write it (docs/from-export-to-journal.md has one), then run `invoke build` and this again"
        )


def _check_engine(docker: Docker) -> None:
    version = docker.ask("version", "--format", "{{.Server.Version}}").strip()
    if not docker.dry and int(version.split(".")[0]) < OCI_LAYOUT_ENGINE:
        raise UserError(
            f"Docker Engine {version} saves images in a form of its own",
            f"update Docker to {OCI_LAYOUT_ENGINE} or newer, which saves the standard's OCI layout",
        )
