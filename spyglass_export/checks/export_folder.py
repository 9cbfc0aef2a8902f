"""Checks of the folder that Spyglass' Export wrote, without reading a dump as a whole."""

import gzip
import os
import re
import zlib
from pathlib import Path

from spyglass_export.checks.check import Check, failed, passed, warned
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings

NAME = "export"
COPY_AGAIN = "copy it again from the machine that wrote the export, or have its `.sh` run again"
EDGE = 1 << 16  # bytes of a dump's beginning and end that are looked at
# Unpacking 60 MB takes about a second.
UNPACKED_AT_MOST = 60 * 10**6
# mysqldump and mariadb-dump write these unless they are told --skip-comments.
HEAD = re.compile(rb"^-- (MySQL|MariaDB) dump ", re.MULTILINE)
TAIL = re.compile(rb"-- Dump completed( on .*)?\s*")


def check_export(settings: Settings) -> list[Check]:
    """Check that the folder is there and each file in it whole, as far as its two ends tell."""
    folder = settings.spyglass_paper_dir
    if not folder.is_dir():
        what = f"there is no folder {folder}"
        return [failed(NAME, UserError(what, "set SPYGLASS_BASE_DIR and PAPER_ID, or SPYGLASS_PAPER_DIR, in .env"))]
    files = (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    dumps = sorted(file for file in files if file.name.lower().endswith((".sql", ".sql.gz")))
    if not dumps:
        scripts = [file.name for file in folder.glob("*.sh")]
        hint = f"have {scripts[0]} run by the database administrator" if scripts else "export the paper with Spyglass"
        return [failed(NAME, UserError(f"there is no .sql file in {folder}", f"{hint}; it writes the dump there"))]
    return [*(_check_dump(dump) for dump in dumps), _check_version(folder / "spyglass_version")]


def _check_dump(dump: Path) -> Check:
    size = dump.stat().st_size
    if not size:
        return failed(NAME, UserError(f"{dump.name} is empty", COPY_AGAIN))
    try:
        head, tail = _edges(dump)
    except (OSError, EOFError, zlib.error) as error:
        return failed(NAME, UserError(f"{dump.name} cannot be read: {error}", COPY_AGAIN))
    if b"\0" in head[:2] or head.startswith((b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff")):
        return failed(NAME, UserError(f"{dump.name} is no text in UTF-8", COPY_AGAIN))
    if not HEAD.search(head):
        what = f"{dump.name} does not begin as a dump of MySQL"
        return warned(NAME, what, "see that it is what mysqldump wrote, with no --skip-comments")
    if tail is None:
        return warned(
            NAME, f"{dump.name} is large and packed: its end was not looked at", "`invoke copy_files` reads it all"
        )
    if not TAIL.fullmatch(tail.rstrip().rpartition(b"\n")[2] + b"\n"):
        what = f"{dump.name} is cut off: it does not end in `-- Dump completed`"
        return failed(NAME, UserError(what, COPY_AGAIN))
    return passed(NAME, f"{dump.name}, {size / 1e6:,.1f} MB, is whole from its first line to its last")


def _edges(dump: Path) -> tuple[bytes, bytes | None]:
    """The beginning and the end of a dump's text; no end where it would take long to unpack."""
    if dump.suffix.lower() != ".gz":
        with dump.open("rb") as file:
            head = file.read(EDGE)
            file.seek(-min(EDGE, dump.stat().st_size), os.SEEK_END)
            return head, file.read()
    with gzip.open(dump) as file:
        head = tail = file.read(EDGE)
        if dump.stat().st_size > UNPACKED_AT_MOST:
            return head, None
        while part := file.read(1 << 20):
            tail = (tail + part)[-EDGE:]
        return head, tail


def _check_version(file: Path) -> Check:
    name = "Spyglass version"
    version = file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
    if not re.match(r"\d+\.\d+", version):
        what = f"{file.name} is not in the export" if not version else f"{file.name} says {version[:40]!r}"
        return warned(name, what, "nothing depends on it; write the version of Spyglass into it, for your readers")
    return passed(name, version)
