"""Clean an export's SQL files: read them, fit their definitions, write what loads into any MySQL 8 or newer."""

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spyglass_export.changes import Change
from spyglass_export.dump.collations import keep_apart
from spyglass_export.dump.contents import Export, Late, Table, read_export
from spyglass_export.dump.ddl import rewrite_table
from spyglass_export.dump.keys import fit_lengths, tied_columns
from spyglass_export.dump.late import rewrite_late
from spyglass_export.dump.session import Settings
from spyglass_export.dump.sources import open_source
from spyglass_export.dump.tokens import join, quoted, without_empty_marks
from spyglass_export.errors import UserError

# Raised with every change of the output for the same input, so that what was cleaned before is cleaned again.
CLEANER_FORMAT = 1
_CHUNK = 1 << 18
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class CleanTable:
    """A table as it was written: ``file`` is that of its rows in ``sql/``, ``size`` their bytes."""

    schema: str
    name: str
    file: str | None
    size: int


@dataclass(frozen=True, slots=True)
class CleanDump:
    """What was written, and all that was changed on the way."""

    tables: list[CleanTable]
    changes: list[Change]


def clean_to_folder(paths: Sequence[Path], folder: Path, progress: Progress | None = None) -> CleanDump:
    """Write ``schema.sql``, ``rows/*.sql`` and, where something must come last, ``after.sql`` into ``folder``.

    ``paths`` are the ``.sql`` and ``.sql.gz`` files of one export. ``progress`` is called with the bytes
    read since the last call. Raises `UserError` for an export that is not whole, or that cannot be kept without loss.
    """
    rows_folder = folder / "rows"
    rows_folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacked-") as scratch:
        sources = [open_source(path, path.name, Path(scratch)) for path in paths]
        export = read_export(sources, progress)
        prepare(export)
        with (folder / "schema.sql").open("wb") as schema_file:
            _write_schema(export, schema_file)
        tables = []
        for number, table in enumerate(export.tables.values(), start=1):
            name = None
            if table.rows:
                name = _file_name(number, table)
                with (rows_folder / name).open("wb", buffering=0) as rows_file:
                    _write_rows(table, rows_file)
            tables.append(CleanTable(table.schema, table.name, name and f"rows/{name}", table.size))
        if export.late:
            with (folder / "after.sql").open("wb") as after_file:
                _write_late(export, after_file)
    return CleanDump(tables, list(export.changes))


def clean_to_file(source: BinaryIO, output: BinaryIO, name: str = "standard input") -> CleanDump:
    """Write all of it into one stream, to be loaded with ``mysql < OUTPUT``.

    ``source`` is read once where it is a pipe; nothing is written before it has been read to its end.
    Raises `UserError` as `clean_to_folder` does.
    """
    with tempfile.TemporaryDirectory(prefix="spyglass-export-") as scratch:
        path = _as_file(source, Path(scratch), name)
        export = read_export([open_source(path, name, Path(scratch))])
        prepare(export)
        _write_schema(export, output)
        for table in export.tables.values():
            if table.rows:
                _write_rows(table, output)
        if export.late:
            _write_late(export, output)
        output.flush()
    return CleanDump(
        [CleanTable(t.schema, t.name, None, t.size) for t in export.tables.values()],
        list(export.changes),
    )


def prepare(export: Export) -> None:
    """Rewrite the definitions of what was read."""
    groups = tied_columns(export)
    changes = keep_apart(export, groups)
    for table in export.tables.values():
        if table.definition is not None:
            changes += rewrite_table(table.definition, table.where, table.column_lists)
    changes += fit_lengths(export, groups)
    export.changes.update(dict.fromkeys(changes))
    export.late = [_rewrite(late, export) for late in export.late]


def _rewrite(late: Late, export: Export) -> Late:
    text, changes = rewrite_late(late.text, late.schema or "")
    export.changes.update(dict.fromkeys(changes))
    return Late(late.schema, late.settings, text, late.delimiter)


def _as_file(source: BinaryIO, scratch: Path, name: str) -> Path:
    """The stream as a file: itself where it is one, or else a copy; a compressed one keeps its suffix."""
    start = source.peek(2)[:2] if hasattr(source, "peek") else b""
    real = getattr(source, "name", None)
    if isinstance(real, str) and Path(real).is_file():
        return Path(real)
    path = scratch / ("input.sql.gz" if start == b"\x1f\x8b" else "input.sql")
    with path.open("wb") as copy:
        shutil.copyfileobj(source, copy, _CHUNK)
    if path.stat().st_size == 0:
        raise UserError(f"{name} is empty", "Is it the export's _Populate_*.sql file?")
    return path


def _write_schema(export: Export, output: BinaryIO) -> None:
    for schema, collation in export.schemas.items():
        output.write(f"CREATE DATABASE IF NOT EXISTS {quoted(schema)}".encode() + collation + b";\n")
    settings: Settings | None = None
    schema_in_use = None
    # MySQL 8.4 refuses foreign keys to columns without a unique key, which older servers let pass.
    output.write(b"/*!80400 SET SESSION restrict_fk_on_non_standard_key=OFF */;\n")
    for table in export.tables.values():
        if table.definition is None:
            continue
        if table.settings != settings:
            settings = table.settings
            output.write(settings.for_loading())
        if table.schema != schema_in_use:
            schema_in_use = table.schema
            output.write(_use(table.schema))
        output.write(join(list(without_empty_marks(table.definition.tokens))).strip() + b"\n")


def _use(schema: str) -> bytes:
    return f"USE {quoted(schema)};\n".encode()


def _write_rows(table: Table, output: BinaryIO) -> None:
    output.write(_use(table.schema))
    for rows in table.rows:
        output.write(rows.settings.for_loading())
        with rows.source.path.open("rb", buffering=0) as source:
            for start, end in zip(rows.spans[::2], rows.spans[1::2], strict=True):
                source.seek(start)
                while start < end:
                    chunk = source.read(min(_CHUNK, end - start))
                    output.write(chunk)
                    start += len(chunk)
                output.write(b"\n")


def _write_late(export: Export, output: BinaryIO) -> None:
    for late in export.late:
        if late.schema is not None:
            output.write(_use(late.schema))
        output.write(late.settings.for_program())
        if late.delimiter == b";":
            output.write(late.text + b";\n")
        else:
            output.write(b"DELIMITER %b\n%b%b\nDELIMITER ;\n" % (late.delimiter, late.text, late.delimiter))


def _file_name(number: int, table: Table) -> str:
    """A name that every file system takes; the number tells apart names that differ in case or in odd letters."""
    plain = re.sub(r"[^0-9A-Za-z_]+", "-", f"{table.schema}.{table.name}".replace(".", "-", 0))
    return f"{number:05d}-{plain[:80]}.sql"
