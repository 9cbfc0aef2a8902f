"""manifest.json: what an export was made from, what it holds, and every change made to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spyglass_export.changes import Change, say_kinds
from spyglass_export.files import sha256_of, write_text

FILE = "manifest.json"
FORMAT = 3


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: ``digest`` is XXH3 (128 bits), as by `xxh128sum`."""

    name: str
    bytes: int
    digest: str


@dataclass(frozen=True)
class ExportedTable:
    """A table: ``file`` is that of its rows, from ``export_data``, or None; ``bytes`` is the size of the rows.

    ``rows`` and ``digest`` are what the source server said of it, where `invoke dump` asked.
    """

    schema: str
    name: str
    file: str | None
    bytes: int
    rows: int | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Manifest:
    """The contents of manifest.json; the same sources give the same bytes.

    ``export_hash`` belongs to what was read and to how it is cleaned; ``seed_id`` is that of the SQL files that
    were written; ``files`` are the sizes of all that was written, by path in ``export_data``.
    """

    paper_id: str
    spyglass_version: str | None
    export_hash: str
    seed_id: str
    sources: list[SourceFile]
    tables: list[ExportedTable]
    files: dict[str, int]
    changes: list[Change]

    def summary(self) -> list[str]:
        """Tell in a few lines what was read, and what was changed how often."""
        names = ", ".join(source.name for source in self.sources if ".sql" in source.name)
        rows = sum(table.bytes for table in self.tables)
        version = f", written by Spyglass {self.spyglass_version}" if self.spyglass_version else ""
        lines = [f"read {len(self.tables)} tables with {rows / 1e6:,.1f} MB of rows from {names}{version}"]
        if self.changes:
            lines.append(f"changed, so that it works in the containers: {say_kinds(self.changes)}")
            lines.append(f"  export_data/{FILE} lists each change with its reason")
        return lines

    def write(self, folder: Path) -> None:
        """Write manifest.json into ``folder``."""
        text = json.dumps({"format": FORMAT, **vars(self)}, default=vars, indent=1, ensure_ascii=False)
        write_text(folder / FILE, text.encode("utf-8", "replace").decode() + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of ``folder``; None where there is none that this version can read."""
    try:
        values: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            return None
        return Manifest(
            **values
            | {
                "sources": [SourceFile(**source) for source in values["sources"]],
                "tables": [ExportedTable(**table) for table in values["tables"]],
                "changes": [Change(**change) for change in values["changes"]],
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def seed_id(export_data: Path, written: Mapping[Path, str] | None = None) -> str:
    """Identify a database by what it is loaded from, over names and contents of the SQL files.

    docker/load_export.sh keeps it with the data. ``written`` has the XXH3 of files that need not be read.
    """
    from spyglass_export.dump.reading.sources import digest_of  # readers do not have xxhash

    known = written or {}
    files = {file.relative_to(export_data).as_posix(): file for file in export_data.glob("sql/**/*.sql")}
    lines = (f"{known.get(files[name]) or digest_of(files[name])}  {name}\n" for name in sorted(files, key=str.encode))
    return sha256_of("".join(lines))
