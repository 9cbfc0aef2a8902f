"""Checks of the folder that Spyglass' Export wrote, without reading the rows of a dump."""

import gzip
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from spyglass_export.checks.check import Check, failed, passed, warned
from spyglass_export.dump.reading.sources import COPY_AGAIN, open_source
from spyglass_export.environment.installable import VERSION_FILE
from spyglass_export.errors import UserError
from spyglass_export.export.completeness import examine_export
from spyglass_export.export.folder import sql_files
from spyglass_export.export.script import find_scripts
from spyglass_export.files import text_of
from spyglass_export.settings import Settings

NAME = "export"
EDGE = 1 << 16  # bytes of a dump's beginning and end that are looked at
# Unpacking 60 MB takes about a second.
UNPACKED_AT_MOST = 60 * 10**6
READ_AT_MOST = 4 * 10**9
# mysqldump and mariadb-dump write these unless they are told --skip-comments.
HEAD = re.compile(rb"^-- (MySQL|MariaDB) dump ", re.MULTILINE)
TAIL = re.compile(rb"-- Dump completed( on .*)?\s*")


def check_export(settings: Settings) -> Iterator[Check]:
    """Check that the folder is there, each file in it whole as far as its ends tell, and nothing of its list lost.

    :raises UserError: where it is not, or has no dump that can be read.
    """
    folder = settings.spyglass_paper_dir
    dumps = sql_files(folder)
    checks = [_check_dump(dump) for dump in dumps]
    yield from checks
    version = text_of(folder / VERSION_FILE).strip()
    if sum(dump.stat().st_size for dump in dumps) > READ_AT_MOST:
        what = "the dump is too large to be held against the export's script in a few seconds"
        yield warned(NAME, what, "`invoke copy_files` does it")
    elif all(check.status == "ok" for check in checks):
        found = examine_export(folder, dumps, text_of(folder / "environment.yml"))
        version = found.version or ""
        for what, fix in found.warnings:
            yield warned(NAME, what, fix)
        if found.lost:
            yield failed(NAME, found.lost)
        elif scripts := find_scripts(folder):
            yield passed(NAME, f"the dump has all that {' and '.join(path.name for path in scripts)} asks for")
        if by_design := {".".join(key.parent) for key in found.absent_parents if key.is_by_design}:
            yield passed(NAME, f"left out by Spyglass, as its Export does: {', '.join(sorted(by_design))}")
    yield _check_version(version)


def _check_dump(dump: Path) -> Check:
    size = dump.stat().st_size
    is_large = dump.suffix.lower() == ".gz" and size > UNPACKED_AT_MOST
    with tempfile.TemporaryDirectory() as scratch:
        try:
            if is_large:
                with gzip.open(dump) as packed:
                    head = packed.read(EDGE)
            else:
                text = open_source(dump, dump.name, Path(scratch)).path
                with text.open("rb") as file:
                    head = file.read(EDGE)
                    file.seek(max(text.stat().st_size - EDGE, 0))
                    tail = file.read()
        except UserError as error:
            return failed(NAME, error)
        except (OSError, EOFError, zlib.error) as error:
            return failed(NAME, f"{dump.name} cannot be read: {error}", COPY_AGAIN)
    if b"\0" in head[:2] or head.startswith((b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff")):
        return failed(NAME, f"{dump.name} is not text in UTF-8", COPY_AGAIN)
    if not HEAD.search(head):
        hint = "see that it is what mysqldump wrote, with no --skip-comments"
        return warned(NAME, f"{dump.name} does not begin as a dump of MySQL", hint)
    if is_large:
        what = f"{dump.name} is large and packed: its end was not looked at"
        return warned(NAME, what, "`invoke copy_files` reads it all")
    if not TAIL.fullmatch(tail.rstrip().rpartition(b"\n")[2] + b"\n"):
        return failed(NAME, f"{dump.name} is cut off: it does not end in `-- Dump completed`", COPY_AGAIN)
    return passed(NAME, f"{dump.name}, {size / 1e6:,.1f} MB, has its first line and its last; copy_files reads it all")


def _check_version(version: str) -> Check:
    if re.match(r"\d+\.\d+", version):
        return passed("Spyglass version", version)
    what = f"{VERSION_FILE} says {version[:40]!r}" if version else f"{VERSION_FILE} is not in the export"
    hint = "nothing depends on it; write the version of Spyglass into it, for your readers"
    return warned("Spyglass version", what, hint)
