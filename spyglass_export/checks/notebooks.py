"""Checks of the paper's notebooks, without running them."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from spyglass_export.checks import code
from spyglass_export.checks.check import Check, passed, run_side_by_side, warned
from spyglass_export.environment.file import packages_of
from spyglass_export.environment.rules import requirement_name, spec_name
from spyglass_export.errors import UserError, some
from spyglass_export.notebooks.files import check_links, notebook_files, tell_left_out
from spyglass_export.publishing.secrets import hint_for, in_notebooks
from spyglass_export.settings import Settings

SECRETS = "secrets"
# Every Python of conda needs these, so that a list with all of them was written by `conda env export`, in full.
COMPLETE = {"bzip2", "libffi", "openssl", "python"}

LOCAL_CONFIGURATION = "dj_local_conf.json"
OWN_CONFIGURATION = re.compile(
    r"""config\[["'](?:database\.(?:host|port|user|password)|stores|custom)["']\]\s*=(?!=)"""
)
LOADED_CONFIGURATION = re.compile(r"(?<![\w.])(?:(?:dj|datajoint)\.)?config\.load\([^)\n]*\)?")
DOES_NOT_COUNT = "host, port, account, stores and folders of the lab in it do not count in the hub"


def check_notebooks(folder: Path, environment: dict[str, Any]) -> list[Check]:
    """Check each notebook below ``folder`` against an installable environment's content, empty if unknown."""
    check_links(folder)
    files = [file for file in notebook_files(folder) if file.suffix == ".ipynb"]
    if not files:
        return [warned("notebooks", f"there is none in {folder}", "copy the paper's notebooks there")]
    specs, requirements = packages_of(environment)
    installed = {*map(spec_name, specs), *map(requirement_name, requirements)} - {""}
    checks = []
    if what := tell_left_out(folder):
        checks.append(warned("notebooks", what, "rename what a notebook needs; the rest may stay where it is"))
    if local := [file.relative_to(folder).as_posix() for file in sorted(folder.rglob(LOCAL_CONFIGURATION))]:
        places = ", ".join(f"notebooks/{place}" for place in local)
        checks.append(passed("notebooks", f"{places}: {DOES_NOT_COUNT}"))
    names = {file: f"notebook {file.relative_to(folder).as_posix()}" for file in files}
    probes = [(name, partial(_check_notebook, name, file, folder, installed)) for file, name in names.items()]
    return checks + run_side_by_side(probes)


def _check_notebook(name: str, file: Path, folder: Path, installed: set[str]) -> Iterator[Check]:
    try:
        notebook = _read(file)
    except UserError as error:
        yield warned(name, f"it will not run: {error.what}", error.hint)
        return
    kernel = _metadata(notebook)
    # Numbered from 1, as a reader counts cells.
    numbered = enumerate(notebook["cells"], start=1)
    cells = [(number, "".join(cell["source"])) for number, cell in numbered if cell["cell_type"] == "code"]
    saved_with = kernel.get("display_name") or kernel.get("name") or "of no name"
    yield passed(name, f"{len(cells)} cells of code, saved with kernel {saved_with}")
    if found := dict.fromkeys((number, path) for number, text in cells for path in code.foreign_paths(text)):
        hint = "read data from /home/jovyan/data (SPYGLASS_DATA_DIR), or use a path relative to the notebook"
        yield warned(name, f"it uses paths that the hub does not have: {_places(found)}", hint)
    if own := _matches(OWN_CONFIGURATION, cells):
        what = f"it chooses a database or folders itself, which the hub does not have: {_places(own)}"
        yield warned(name, what, "leave these lines out: DataJoint is configured in the hub")
    if loaded := _matches(LOADED_CONFIGURATION, cells):
        yield passed(name, f"it loads a configuration, {_places(loaded)}: {DOES_NOT_COUNT}")
    if installed:
        yield from _check_imports(name, cells, {file.parent, folder}, installed)


def _matches(pattern: re.Pattern[str], cells: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(number, match[0].strip()) for number, text in cells for match in pattern.finditer(text)]


def _places(found: Iterable[tuple[int, str]]) -> str:
    return ", ".join(f"{what} (cell {number})" for number, what in found)


def _read(file: Path) -> dict[str, Any]:
    """The notebook; raises UserError where Jupyter could not open it, or the hub not run it."""
    try:
        notebook = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"it is not UTF-8 text, at byte {error.start}", "save it again in Jupyter") from error
    except json.JSONDecodeError as error:
        what = f"it is not valid JSON, in line {error.lineno}: {error.msg}" if error.doc.strip() else "it is empty"
        raise UserError(what, "take it from a backup; if git merged it, look for <<<<<<< in it") from error
    match notebook:
        case {"nbformat": int(version)} if version != 4:
            hint = f"convert it: jupyter nbconvert --to notebook --inplace {file.name}"
            raise UserError(f"it is in notebook format {version}, and 4 is needed", hint)
        case {"nbformat": 4, "cells": list(cells)} if all(
            isinstance(cell, dict) and {"cell_type", "source"} <= cell.keys() for cell in cells
        ):
            pass
        case _:
            raise UserError("it is JSON, but no notebook", "save it again in Jupyter")
    language = _metadata(notebook).get("language", "python")
    if language.lower() not in ("python", "ipython", "python3"):
        hint = "add a kernel for it to the environment's conda packages yourself, or leave the notebook out"
        raise UserError(f"it is written in {language}, and the hub runs Python", hint)
    return dict(notebook)


def _metadata(notebook: dict[str, Any]) -> dict[str, str]:
    metadata = notebook.get("metadata") or {}
    return {**(metadata.get("language_info") or {}), **(metadata.get("kernelspec") or {})}


def _check_imports(name: str, cells: list[tuple[int, str]], folders: set[Path], installed: set[str]) -> Iterator[Check]:
    lacking: dict[str, int] = {}
    for number, text in cells:
        tree = code.parse(text)
        if tree is None:
            yield warned(name, f"cell {number} is not valid Python", "run it in Jupyter, which shows where")
        for module in code.imports(tree) if tree else ():
            beside = any((folder / module).is_dir() or (folder / f"{module}.py").is_file() for folder in folders)
            if not beside and not code.provides(installed, module):
                lacking.setdefault(module, number)
    if lacking:
        hint = "add them to export_data/environment.override.yml, or put their files beside the notebook"
        # What a complete export does not list is not there, unless the notebook brings it along.
        brings_its_own = any(re.search(r"sys\.path|%cd|pip install|(conda|mamba) install", text) for _, text in cells)
        will = "will" if installed >= COMPLETE and not brings_its_own else "may"
        modules = _places((number, module) for module, number in lacking.items())
        stop = f"it {will} stop at cell {min(lacking.values())}"
        yield warned(name, f"{stop}: it imports what the environment does not list: {modules}", hint)


def check_notebooks_secrets(settings: Settings) -> Iterator[Check]:
    """Look for what `publish`, `bundle` and `archive` would refuse in notebooks/, a warning for each file."""
    file = ""
    for file, finds in groupby(in_notebooks(settings), lambda find: find.file):
        found = list(finds)
        places = some([f"{find.place}: {find.kind}".removeprefix(": ") for find in found], separator="; ")
        yield warned(SECRETS, f"{file} cannot be published: {places}", hint_for(found[0]))
    if not file:
        yield passed(SECRETS, "none found in notebooks/: cells, outputs, and files of text beside them")
