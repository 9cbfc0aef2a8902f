"""Clean an export's SQL files: read them, fit their definitions, write what loads into any MySQL 8 or newer."""

import gc
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spyglass_export.changes import Change
from spyglass_export.dump.reading.export import OnText, Progress, read_export
from spyglass_export.dump.reading.sources import export_changed, open_source, refuse_twins, stamps
from spyglass_export.dump.writing.copying import Copier
from spyglass_export.dump.writing.files import (
    FIRST_LINE,
    LAST_LINE,
    RowsWriter,
    programs_text,
    rows_file_name,
    schema_text,
)
from spyglass_export.files import replaced

# Raised with every change of the output for the same input, so that what was cleaned before is cleaned again.
CLEANER_FORMAT = 6


@dataclass(frozen=True, slots=True)
class CleanTable:
    """A table as it was written: ``file`` is that of its rows in ``sql/``, ``size`` their bytes."""

    schema: str
    name: str
    file: str | None
    size: int


@dataclass(frozen=True, slots=True)
class CleanDump:
    """What was written, and all that was changed on the way; XXH3 of what was read and written."""

    tables: list[CleanTable]
    changes: list[Change]
    read: Mapping[Path, str]  # of sources that are not packed
    written: Mapping[Path, str]  # of files of rows


@contextmanager
def _without_search_for_cycles() -> Iterator[None]:
    """Let definitions of ten thousand tables be held without being gone through again and again: none has a cycle."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_without_search_for_cycles()
def clean_to_folder(
    paths: Sequence[Path], folder: Path, progress: Progress | None = None, on_text: OnText | None = None
) -> CleanDump:
    """Write ``schema.sql``, ``rows/*.sql`` and, where something must come last, ``after.sql`` into ``folder``.

    ``paths`` are the ``.sql`` and ``.sql.gz`` files of one export. ``progress`` is called with the bytes
    read since the last call, ``on_text`` with a file's name and what stands between rows of it. Raises `UserError` for
    an export that is not whole, or that cannot be kept without loss.
    """
    bytes(1 << 24)  # once that much was freed, glibc keeps what blocks leave, and the kernel need not clear new pages
    rows_folder = folder / "rows"
    rows_folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacked-") as scratch, Copier() as copier:
        sources = [open_source(path, path.name, Path(scratch)) for path in paths]
        refuse_twins(sources)
        writer = RowsWriter(copier, rows_folder)
        export = read_export(sources, progress, writer.add, on_text)
        # Imported while rows are copied: before them, this would take as long as copying 50 MB.
        from spyglass_export.dump.rewriting.export import rewrite_export

        rewrite_export(export)
        (folder / "schema.sql").write_bytes(schema_text(export))
        if programs := programs_text(export):
            (folder / "after.sql").write_bytes(programs)
        writer.finish()
    tables = [
        CleanTable(*table.id, f"rows/{rows_file_name(table)}" if table.rows else None, table.size)
        for table in export.tables.values()
    ]
    written = {file.path: file.digest.hexdigest() for file in writer.files.values()}
    return CleanDump(tables, list(export.changes), export.digests, written)


def clean_to_file(source: Path, output: Path, progress: Progress | None = None) -> CleanDump:
    """Write all of one file's export into ``output``, to be loaded with ``mysql < OUTPUT``.

    ``output`` is replaced at the end, or not at all. Raises `UserError` as `clean_to_folder` does.
    """
    before = stamps([source])
    with (
        tempfile.TemporaryDirectory(dir=output.parent, prefix=".cleaned-") as scratch,
        replaced(output) as incoming,
        incoming.open("wb") as file,
    ):
        if output.exists():
            shutil.copymode(output, incoming)
        cleaned = clean_to_folder([source], Path(scratch), progress)
        file.write(FIRST_LINE)
        for name in ("schema.sql", "rows/*.sql", "after.sql"):
            for part in sorted(Path(scratch).glob(name)):
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, file)
                part.unlink()  # so that only the largest table takes its room twice
        file.write(LAST_LINE)
        if stamps([source]) != before:
            raise export_changed()
    return cleaned
