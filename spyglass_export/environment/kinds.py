"""Files that are handed over for a conda environment and are something else: said by name, with what to write."""

import re
from pathlib import Path

from spyglass_export.errors import UserError

EXPORT_IT = "in the paper's environment, write `conda env export --file environment.yml`"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# What is in a file of each kind, what it is, and what to do.
_KINDS = (
    (r"^@EXPLICIT\b", "is what `conda list --explicit` writes: addresses of packages for one system", EXPORT_IT),
    (r"^# packages in environment at ", "is what `conda list` writes", EXPORT_IT),
    (
        r"^\[(project|workspace|dependencies|feature\.|tool\.pixi)",
        "is a project file of pixi (TOML)",
        "write `pixi workspace export conda-environment environment.yml` in the folder of that project",
    ),
    (
        r"\Aversion: \d+\nenvironments:",
        "is a lock file of pixi",
        "write `pixi workspace export conda-environment environment.yml` in the folder of that project",
    ),
    (
        r"^metadata:\n(.*\n)*package:\s*\n",
        "is a lock file of conda-lock",
        f"take the environment.yml that it was made from, or install it and {EXPORT_IT}",
    ),
    (
        r"\A(\s*(#.*)?\n)*([A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?\s*([=<>!~]=|[<>;@]).*|-[er] .*|--\S+ .*)\n",
        "is a list of requirements for pip, not a conda environment",
        f"{EXPORT_IT}; or write `name:`, `dependencies:` with `- python=VERSION`, and these lines under `- pip:`",
    ),
)


def read_text(path: Path) -> str:
    """Read a file that must be UTF-8 text, with or without a byte order mark.

    :raises UserError: where it is another encoding, UTF-16 by name.
    """
    content = path.read_bytes()
    if content.startswith(_UTF16):
        what = f"{path.name} is UTF-16 text, as `>` of Windows PowerShell writes it"
        raise UserError(what, f"{EXPORT_IT} (without `>`), or save the file as UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path.name} is not UTF-8 text: {error.reason} at byte {error.start}", "save it as UTF-8"
        ) from error


def refuse_other_kinds(text: str, file: str) -> None:
    """Raise UserError where a text is a known kind of file that is no conda environment."""
    for pattern, what, hint in _KINDS:
        if re.search(pattern, text, re.MULTILINE):
            raise UserError(f"{file} {what}", hint)
