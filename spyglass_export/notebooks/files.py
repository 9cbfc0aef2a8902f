"""Which files of notebooks/ go into the image, and which of them are notebooks."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from spyglass_export.errors import UserError
from spyglass_export.settings import Settings

# What .dockerignore keeps out of the images' notebooks.
NOT_NOTEBOOKS = {".env", ".git", ".ipynb_checkpoints", "__pycache__", ".DS_Store"}


def notebook_files(notebooks: Path) -> list[Path]:
    """List the files and links below the folder of notebooks that go into the image."""
    found = []
    for parent, folders, files in os.walk(notebooks):
        top = Path(parent) == notebooks
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in NOT_NOTEBOOKS and not (top and name == "executed")]
        found += [Path(parent) / name for name in [*files, *links] if name not in NOT_NOTEBOOKS]
    return sorted(found)


def find(settings: Settings) -> list[str]:
    """Name every notebook that goes into the image, relative to notebooks/ with `/`.

    Raises UserError where there is none.
    """
    found = [
        file.relative_to(settings.notebooks) for file in notebook_files(settings.notebooks) if file.suffix == ".ipynb"
    ]
    if not found:
        raise UserError(f"there is no notebook in {settings.notebooks}", "copy the paper's notebooks there")
    return [file.as_posix() for file in found]


def select(settings: Settings, names: Sequence[str]) -> list[str]:
    """Find the notebooks that were named, with or without `notebooks/` and `.ipynb`; all where none was.

    Raises UserError for a name that none has, with the nearest one.
    """
    known = find(settings)
    selected = []
    for name in names:
        path = Path(name)
        if path.is_absolute() and path.is_relative_to(settings.notebooks):
            path = path.relative_to(settings.notebooks)
        text = path.as_posix()
        candidates = [wanted + end for wanted in (text, text.removeprefix("notebooks/")) for end in ("", ".ipynb")]
        match = next((candidate for candidate in candidates if candidate in known), None)
        if not match:
            # Without the end that all have in common, which would make any two alike.
            stems = {one.removesuffix(".ipynb"): one for one in known}
            near = difflib.get_close_matches(candidates[-1].removesuffix(".ipynb"), stems, n=1)
            hint = f"did you mean {stems[near[0]]}?" if near else f"there are: {', '.join(known)}"
            raise UserError(f"there is no notebook {name} in {settings.notebooks}", hint)
        selected.append(match)
    return list(dict.fromkeys(selected)) or known
