"""A folder fit for a repository such as Zenodo or DANDI: all that a paper needs to run, with no registry."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from spyglass_export import console
from spyglass_export.containers.archived import ARCHIVED_IMAGES, CHECKSUMS
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import Image
from spyglass_export.errors import UserError
from spyglass_export.files import sha256, write_text
from spyglass_export.publishing import bundle, citation, provenance
from spyglass_export.publishing.ro_crate import CRATE, describe
from spyglass_export.settings import Settings

# Since Engine 25 `docker save` writes an OCI layout: https://docs.docker.com/engine/release-notes/25.0/
OCI_LAYOUT_ENGINE = 25
# Level 9 takes more than twice as long for 8 %.
ZSTD_LEVEL = 7
# What is in the reader's bundle and in the archive beside it.
IN_BOTH = {"README.md", "LICENSE", citation.FILE, *bundle.APPTAINER}


def write_archive(settings: Settings, docker: Docker, *, incomplete: bool = False) -> Path:
    """Write PAPER_ID-archive/ anew: both images, the reader's bundle, an RO-Crate and checksums; return its path.

    Raises UserError where the images are not what was tested, or the folder holds something else.
    """
    folder = settings.root / f"{settings.paper_id}-archive"
    if folder.exists() and not (folder / CRATE).is_file():
        raise UserError(f"{folder} exists and is not an archive", "move it away, and try again")
    version = docker.ask("version", "--format", "{{.Server.Version}}").strip()
    if not docker.dry and int(version.split(".")[0]) < OCI_LAYOUT_ENGINE:
        what = f"Docker Engine {version} saves images in a form of its own"
        raise UserError(what, f"update Docker to {OCI_LAYOUT_ENGINE} or newer, which saves the standard's OCI layout")
    images = provenance.images_to_share(settings, docker, incomplete=incomplete)
    cited = citation.read(settings.root, settings.paper_id)
    if not (cited.authors and cited.licence):
        lacks = "there is no CITATION.cff" if not cited.is_given else "CITATION.cff lacks authors or license"
        console.warn(
            f"{lacks}: the archive does not say whose the data are, or what others may do with them; "
            "write it (docs/from-export-to-journal.md has one), then run `invoke build` and this again"
        )
    if docker.dry:
        _save_images(docker, images, folder)
        return folder
    incoming, before = (folder.with_name(f"{folder.name}.{end}") for end in ("tmp", "before.tmp"))
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
    try:
        _save_images(docker, images, incoming)
        _add_files(settings, docker, images, incoming)
        shutil.rmtree(before, ignore_errors=True)
        if folder.exists():
            folder.rename(before)
        incoming.rename(folder)
    except BaseException:
        if before.exists() and not folder.exists():
            before.rename(folder)
        raise
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)
    return folder


def _save_images(docker: Docker, images: Mapping[str, Image], folder: Path) -> None:
    names = [image.tagged for image in images.values()]
    size = sum(map(int, docker.ask("image", "inspect", "--format", "{{.Size}}", *names).split()))
    with console.progress("compressing both images", size) as advance:
        docker.save(names, folder / ARCHIVED_IMAGES, ZSTD_LEVEL, advance)


def _add_files(settings: Settings, docker: Docker, images: Mapping[str, Image], folder: Path) -> None:
    references = {service: image.tagged for service, image in images.items()}
    size = (folder / ARCHIVED_IMAGES).stat().st_size
    with ZipFile(bundle.write(settings, docker, folder, images, references, size)) as written:
        written.extractall(folder, IN_BOTH.intersection(written.namelist()))
    for name in bundle.APPTAINER:
        (folder / name).chmod(0o755)
    shutil.copyfile(settings.root / "bundle" / "archive_tasks.py", folder / "tasks.py")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    crate = json.dumps(describe(settings, images, folder, sums), indent=2, ensure_ascii=False) + "\n"
    write_text(folder / CRATE, crate)
    sums[CRATE] = sha256(folder / CRATE)
    write_text(folder / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))
