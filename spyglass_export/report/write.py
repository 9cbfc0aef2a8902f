"""`invoke report`: one page that tells co-authors what is shared; it needs no other file, no network and no script."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from spyglass_export.changes import KINDS, Change
from spyglass_export.containers import labels, seed
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import inspect, left_out
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.errors import UserError
from spyglass_export.export.manifest import read_manifest
from spyglass_export.files import sha256, write_text
from spyglass_export.notebooks.files import notebook_files
from spyglass_export.notebooks.results import read_figures, read_results, sentence
from spyglass_export.publishing import citation
from spyglass_export.report.diagram import anchor, draw
from spyglass_export.report.schema import read_tables
from spyglass_export.report.template import fill
from spyglass_export.settings import Settings

FILE = "report.html"
DOCKER_PATIENCE_SECONDS = 60
# Of a picture in the page, in characters: what a browser shows at once and an e-mail carries.
LARGEST_PICTURE = 3_000_000
_NAME = re.compile(r"`((?:[^`]|``)*)`")


def write_report(settings: Settings, docker: Docker) -> Path:
    """Write export_data/report.html anew, and return its path. Raises UserError before `copy_files` has run."""
    folder = settings.export_data
    manifest = read_manifest(folder)
    if not manifest:
        raise UserError(f"there is nothing to report on in {folder}", "run `invoke copy_files` first")
    try:
        tables = sorted(read_tables(folder / "sql" / "schema.sql"), key=lambda table: table.id)
        environment = yaml.safe_load((folder / "environment.yml").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing", "run `invoke copy_files`: it makes it anew") from error
    docker = replace(docker, patience=DOCKER_PATIENCE_SECONDS)
    loaded, missing = seed.Loaded([], [], []), ""
    lacking: list[str] = []
    try:
        docker.check(to_build=False)
        image = inspect(docker, f"{settings.db_image_name}:latest")
        if image and image.labels.get(labels.EXPORT_HASH) == manifest.export_hash:
            loaded = seed.loaded(docker, f"{settings.db_image_name}:latest")
        else:
            missing = "`invoke build` has not made the database of this export yet"
    except UserError as error:
        missing = error.what
    with suppress(UserError, OSError):  # why the hub's image gives no answer, `invoke status` says
        lacking = left_out(docker, f"{settings.hub_image_name}:latest")
    rows = {one.name: one.rows for one in loaded.tables}
    notebooks = list(_notebooks(settings))
    exported = {table.id for table in tables}
    is_whole = all(reference.parent in exported for table in tables for reference in table.references)
    today = date.today()
    page = fill(
        "page.html",
        manifest=manifest,
        rows=rows,
        sizes={one.name: one.bytes for one in loaded.tables},
        missing=missing,
        proof=seed.say_states(loaded.proof),
        cited=citation.read(settings.root, manifest.paper_id),
        written=f"{today.day} {today:%B %Y}",
        diagrams=draw(tables, rows),
        tiers={table.tier for table in tables} | (set() if is_whole else {"missing"}),
        schemas={schema: list(members) for schema, members in groupby(tables, key=lambda table: table.id.schema)},
        exported=exported,
        sql_bytes={TableId(table.schema, table.name): table.bytes for table in manifest.tables},
        kinds=_kinds(manifest.changes),
        environment=environment,
        left_out=lacking,
        notebooks=notebooks,
        verdicts=[figure["verdict"] for one in notebooks for figure in one["figures"]],
        said=sentence(one["result"] for one in notebooks if one["result"]),
        largest_picture=LARGEST_PICTURE,
        anchor=anchor,
    )
    write_text(folder / FILE, page)
    return folder / FILE


def _notebooks(settings: Settings) -> Iterator[dict[str, Any]]:
    """Give each notebook: its last result where it ran, whether it has changed since, and the figures it showed."""
    results = read_results(settings)
    for file in notebook_files(settings.notebooks):
        if file.suffix == ".ipynb":
            name = file.relative_to(settings.notebooks).as_posix()
            result = results.get(name)
            has_changed = result is not None and result.sha256 != sha256(file)
            figures = read_figures(settings, name) if result else []
            yield {"name": name, "result": result, "has_changed": has_changed, "figures": figures}


def _kinds(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Give changes by kind, the rarest first, then by reason; those that differ in names only are one line."""
    alike: dict[tuple[str, str, str, str], list[Change]] = defaultdict(list)
    for one in changes:
        alike[one.kind, one.reason, _NAME.sub("`…`", one.before), _NAME.sub("`…`", one.after)].append(one)
    lines: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for (kind, reason, before, after), same in alike.items():
        if len(same) == 1:
            before, after = same[0].before, same[0].after
        lines[kind][reason].append({"before": before, "after": after, "places": _places(same)})
    counts = sorted(Counter(change.kind for change in changes).items(), key=lambda pair: pair[1])
    return [{"heading": KINDS.get(kind, kind), "count": count, "reasons": lines[kind]} for kind, count in counts]


def _places(changes: Sequence[Change]) -> str:
    """Say where changes that are alike were made: the place of each, or the names in it that differ."""
    places = list(dict.fromkeys(_NAME.sub(r"\1", change.where) for change in changes))
    if len(changes) == 1 or len(places) > 1:
        return ", ".join(places)
    names = (".".join(_NAME.findall(change.before)).replace("``", "`") for change in changes)
    named = ", ".join(dict.fromkeys(filter(None, names)))
    return f"{places[0]}, {len(changes)} times{f': {named}' if named else ''}"
