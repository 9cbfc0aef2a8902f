"""`invoke report`: one page that tells co-authors what is shared, and needs no network to be read."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import yaml

from spyglass_export.checksum import sha256
from spyglass_export.containers import labels, seed
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import inspect, left_out
from spyglass_export.errors import UserError
from spyglass_export.export.manifest import read_manifest
from spyglass_export.files import write_text
from spyglass_export.notebooks.files import notebook_files
from spyglass_export.notebooks.results import read_figures, read_results
from spyglass_export.publishing import citation
from spyglass_export.report.page import Contents, Counts, Notebook, render
from spyglass_export.report.schema import read_tables
from spyglass_export.settings import Settings

FILE = "report.html"
DOCKER_PATIENCE_SECONDS = 60


def write_report(settings: Settings, docker: Docker) -> Path:
    """Write export_data/report.html anew, whole or not at all, and return its path.

    Raises UserError before `copy_files` has run.
    """
    folder = settings.export_data
    manifest = read_manifest(folder)
    if not manifest:
        raise UserError(f"there is nothing to report on in {folder}", "run `invoke copy_files` first")
    today = date.today()
    try:
        contents = Contents(
            citation=citation.read(settings.root, manifest.paper_id),
            manifest=manifest,
            tables=read_tables(folder / "sql" / "schema.sql"),
            counts=count_rows(settings, docker, manifest.export_hash),
            environment=yaml.safe_load((folder / "environment.yml").read_text(encoding="utf-8")),
            left_out=_left_out(settings, docker),
            notebooks=_notebooks(settings),
            written=f"{today.day} {today:%B %Y}",
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing", "run `invoke copy_files`: it makes it anew") from error
    write_text(folder / FILE, render(contents))
    return folder / FILE


def count_rows(settings: Settings, docker: Docker, export_hash: str) -> Counts:
    """Ask the database's image how many rows each table was loaded with; nothing where it is not of this export."""
    docker = replace(docker, patience=DOCKER_PATIENCE_SECONDS)
    name = f"{settings.db_image_name}:latest"
    try:
        docker.check(to_build=False)
        image = inspect(docker, name)
        if not image:
            return Counts({}, {}, "`invoke build` has not made the database yet")
        if image.labels.get(labels.EXPORT_HASH) != export_hash:
            return Counts({}, {}, "the database was built from another export than this one")
        loaded = seed.loaded_of_image(docker, name)
    except UserError as error:
        return Counts({}, {}, error.what)
    rows, sizes = {one.name: one.rows for one in loaded.tables}, {one.name: one.bytes for one in loaded.tables}
    return Counts(rows, sizes, proof=seed.say_states(loaded.proof))


def _left_out(settings: Settings, docker: Docker) -> list[str]:
    """What the hub's image lacks; nothing where Docker does not answer, as the page then says of the rows."""
    try:
        return left_out(replace(docker, patience=DOCKER_PATIENCE_SECONDS), f"{settings.hub_image_name}:latest")
    except (UserError, OSError):
        return []


def _notebooks(settings: Settings) -> list[Notebook]:
    results = read_results(settings)
    found = []
    for file in notebook_files(settings.notebooks):
        if file.suffix == ".ipynb":
            name = file.relative_to(settings.notebooks).as_posix()
            result = results.get(name)
            has_changed = result is not None and result.sha256 != sha256(file)
            found.append(Notebook(name, result, has_changed, read_figures(settings, name) if result else []))
    return found
