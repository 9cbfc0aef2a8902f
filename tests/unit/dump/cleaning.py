"""What the tests of whole dumps look at."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xxhash

from spyglass_export.changes import Change
from spyglass_export.dump.clean import CleanDump, clean_to_folder


@dataclass
class Cleaned:
    """What one dump became: the texts of its files, rows by table."""

    schema: str
    rows: dict[str, bytes]
    after: str
    result: CleanDump

    def changes(self, kind: str) -> list[Change]:
        return [change for change in self.result.changes if change.kind == kind]


Clean = Callable[..., Cleaned]


HEADER = "-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)\n"
FOOTER = "-- Dump completed on 2026-01-01  0:00:00\n"


def framed(dump: str | bytes) -> bytes:
    """The dump as mysqldump ends and begins it, where it is not written so already."""
    text = dump if isinstance(dump, bytes) else dump.encode()
    return text if b"-- MySQL dump" in text or not text else HEADER.encode() + text + FOOTER.encode()


def clean_in(base: Path, *dumps: str | bytes, whole: bool = True) -> Cleaned:
    """Clean dumps in a folder, one argument a file; ``whole`` gives them mysqldump's first and last line."""
    folder = base / f"out{len(list(base.iterdir()))}"
    paths = []
    for number, dump in enumerate(dumps):
        path = base / f"{number}.sql"
        path.write_bytes(framed(dump) if whole else dump.encode() if isinstance(dump, str) else dump)
        paths.append(path)
    result = clean_to_folder(paths, folder)
    files = {path: xxhash.xxh3_128(path.read_bytes()).hexdigest() for path in (folder / "rows").iterdir()}
    assert result.written == files
    after = folder / "after.sql"
    return Cleaned(
        (folder / "schema.sql").read_text(encoding="utf-8"),
        {table.name: (folder / table.file).read_bytes() for table in result.tables if table.file},
        after.read_text(encoding="utf-8") if after.exists() else "",
        result,
    )
