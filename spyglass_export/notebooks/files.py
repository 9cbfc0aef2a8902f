"""Which files of notebooks/ go into the image, and which of them are notebooks."""

import difflib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from spyglass_export.errors import UserError, some
from spyglass_export.settings import Settings

# What no notebook needs and no image gets, by the name of a file or folder at any depth; .dockerignore has the same.
# Hidden are .env, .git, .ssh, .aws, .netrc, .my.cnf, .datajoint_config.json, histories, checkpoints.
LITTER = (".DS_Store", ".git*", ".ipynb_checkpoints", "__pycache__", "*.py[co]", "Thumbs.db", "desktop.ini")
LEFT_OUT = (
    *LITTER,
    ".*",
    *("*~", "#*#", "*.bak", "*.orig", "*.save", "*.sw[op]", "*_history"),
    *("dj_local_conf*", "datajoint_config*", "datajoint.json"),
    *("*.env", "env.local", "_netrc", "netrc", "*my.cnf", "my.ini", "credentials", "credentials.*", "client_secret*"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.kdbx"),
)
# Hidden files that are data: https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html, and hdmf-zarr's.
HIDDEN_DATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", ".specloc")
LISTED_AT_MOST = 20
# Where below notebooks/ tested copies are kept.
EXECUTED = "executed"


def _walk(folder: Path, *, top: bool = True) -> Iterator[tuple[Path, bool]]:
    """Every file and link below the folder with whether it goes into the image; what is left out is not entered."""
    for path in folder.iterdir() if folder.is_dir() else ():  # a bundle has no notebooks/
        is_kept = path.name in HIDDEN_DATA or not any(fnmatchcase(path.name, pattern) for pattern in LEFT_OUT)
        if is_kept and path.is_dir() and not path.is_symlink():
            if not (top and path.name == EXECUTED):
                yield from _walk(path, top=False)
        else:
            yield path, is_kept


def notebook_files(notebooks: Path) -> list[Path]:
    """List the files and links below the folder of notebooks that go into the image."""
    return sorted(path for path, is_kept in _walk(notebooks) if is_kept)


def left_out(notebooks: Path) -> list[str]:
    """Name what does not go into the image and its author may miss, unlike what Jupyter, Python and systems leave."""
    return sorted(
        path.relative_to(notebooks).as_posix() + "/" * path.is_dir()
        for path, is_kept in _walk(notebooks)
        if not is_kept and not any(fnmatchcase(path.name, pattern) for pattern in LITTER)
    )


def check_links(notebooks: Path) -> None:
    """Raise UserError where notebooks/ is a link, or holds one that leads out of it: no container can follow those."""
    if notebooks.is_symlink():
        what = f"notebooks/ is a link to {notebooks.readlink()}, which a build cannot follow"
        raise UserError(what, "move the folder itself to the place of the link")
    astray = []
    for link in filter(Path.is_symlink, notebook_files(notebooks)):
        inside = link.resolve().is_relative_to(notebooks.resolve())
        if not inside or link.readlink().is_absolute() or not link.exists():
            astray.append(f"{link.relative_to(notebooks).as_posix()} -> {link.readlink()}")
    if astray:
        what = f"links in notebooks/ lead where neither the hub nor the image can follow: {', '.join(astray)}"
        hint = "put the files themselves there; `cp --recursive --dereference` copies what links lead to"
        raise UserError(what, hint)


def tell_left_out(notebooks: Path) -> str:
    """Say in one line what does not go into the image; empty where that is nothing to speak of."""
    names = left_out(notebooks)
    return f"left out of the image, of notebooks/: {some(names, LISTED_AT_MOST)}" if names else ""


def find(settings: Settings) -> list[str]:
    """Name every notebook that goes into the image, relative to notebooks/. Raises UserError where there is none."""
    notebooks = settings.notebooks
    found = [file.relative_to(notebooks) for file in notebook_files(notebooks) if file.suffix == ".ipynb"]
    if not found:
        raise UserError(f"there is no notebook in {notebooks}", "copy the paper's notebooks there")
    return [file.as_posix() for file in found]


def select(settings: Settings, known: Sequence[str], names: Sequence[str]) -> list[str]:
    """Find the notebooks that were named; all ``known`` where none was. Raises UserError for a name that none has."""
    # Without the end that all have in common, which would make any two alike.
    stems = {one.removesuffix(".ipynb"): one for one in known}
    selected = []
    for name in names:
        stem = Path(name).as_posix().removeprefix(f"{settings.notebooks.as_posix()}/").removesuffix(".ipynb")
        match = stems.get(stem) or stems.get(stem.removeprefix("notebooks/"))
        if not match:
            near = difflib.get_close_matches(stem.removeprefix("notebooks/"), stems, n=1)
            hint = f"did you mean {stems[near[0]]}?" if near else f"there are: {', '.join(known)}"
            raise UserError(f"there is no notebook {name} among the paper's", hint)
        selected.append(match)
    return list(dict.fromkeys(selected)) or list(known)
