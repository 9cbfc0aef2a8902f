"""The export folder: which of its files are read, and which are not."""

import re
from pathlib import Path

from spyglass_export.environment.installable import FILE as ENVIRONMENT_FILE
from spyglass_export.environment.installable import VERSION_FILE
from spyglass_export.errors import UserError
from spyglass_export.export.script import find_scripts

PROOF_FILE = "proof.json"
DUMP_ENDINGS = (".sql", ".sql.gz")
_PACKED = re.compile(
    r"\.sql(\.gz)?\.(zst|xz|bz2|zip|lz4|lzma|lzo|7z|rar|z|gpg|part|partial|filepart|crdownload|download)$"
)


def sql_files(paper_dir: Path) -> list[Path]:
    """The SQL files of an export, by name. Raises UserError where there is none, or one cannot be read as it is."""
    if not paper_dir.is_dir():
        hint = "set SPYGLASS_PAPER_DIR in .env to the folder that Spyglass' Export wrote"
        raise UserError(f"the export's folder {paper_dir} does not exist", hint)
    files = []
    for path in sorted(_visible(paper_dir)):
        if _PACKED.search(path.name.lower()):
            what = f"{path.name} cannot be read as it is, and may hold a part of the export"
            raise UserError(what, "unpack it to .sql or pack it as .sql.gz, or take it out of the folder")
        if path.name.lower().endswith(DUMP_ENDINGS) and path.is_file():
            files.append(path)
        elif path.name.lower().endswith(DUMP_ENDINGS):
            kind = "a link to a file that is not there" if path.is_symlink() and not path.exists() else "not a file"
            raise UserError(f"{path.name} is {kind}", "put the dump itself there, or take it out of the folder")
    if not files:
        hint = "`invoke dump` writes it, or the administrator of the database by the .sh script of Spyglass' Export"
        raise UserError(f"there is no .sql file in {paper_dir}", hint)
    return files


def unread(paper_dir: Path) -> list[str]:
    """What stands in the folder and is not read, by name; of a folder, that it holds dumps."""
    read = {ENVIRONMENT_FILE, VERSION_FILE, PROOF_FILE, *(path.name for path in find_scripts(paper_dir))}
    names = []
    for path in sorted(_visible(paper_dir)):
        if path.is_dir():
            dumps = sum(1 for file in path.rglob("*") if ".sql" in file.name.lower())
            names.append(f"{path.name}/ (with {dumps} dump{'s' * (dumps != 1)})" if dumps else f"{path.name}/")
        elif path.name not in read and not path.name.lower().endswith(DUMP_ENDINGS):
            names.append(path.name)
    return names


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]
