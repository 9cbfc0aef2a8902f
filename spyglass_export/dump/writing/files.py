"""Write what was read from an export: definitions, rows, and what comes last."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from spyglass_export.dump.reading.contents import Export, Rows, Table
from spyglass_export.dump.sql.session import SessionSettings
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.dump.writing.copying import BATCH, Copier, Range
from spyglass_export.errors import UserError

# What `clean_sql` writes is a whole dump again.
FIRST_LINE = b"-- MySQL dump cleaned by spyglass_export\n"
LAST_LINE = b"-- Dump completed\n"
# A server with a binary log, as it is by default, refuses functions that do not say what they do: ERROR 1418.
_TRUST = b"SET @OLD_TRUST=@@GLOBAL.LOG_BIN_TRUST_FUNCTION_CREATORS;\nSET GLOBAL LOG_BIN_TRUST_FUNCTION_CREATORS=ON;\n"
_PAGE = 1 << 12  # rows that stand in it as in the source are copied in two thirds of the time


def schema_text(export: Export) -> bytes:
    """The databases and tables, to be created in any order of parents and children."""
    parts = []
    for schema in export.schemas:
        collate = f" COLLATE {export.collations[schema]}" if schema in export.collations else ""
        parts.append(_in_utf8(f"CREATE DATABASE IF NOT EXISTS {quoted(schema)}{collate};\n"))
    # MySQL 8.4 refuses foreign keys to columns without a unique key, which older servers let pass.
    parts.append(b"/*!80400 SET SESSION restrict_fk_on_non_standard_key=OFF */;\n")
    settings: SessionSettings | None = None
    schema_in_use = None
    for table in export.tables.values():
        if table.id.schema != schema_in_use or table.settings != settings:
            parts.append(_use(table.id.schema) if table.id.schema != schema_in_use else b"")
            schema_in_use, settings = table.id.schema, table.settings
            parts.append(settings.for_loading().encode())
        parts.append(table.settings.encode(table.definition.tokens.sql().strip() + "\n"))
    return b"".join(parts)


def programs_text(export: Export) -> bytes:
    """What is made after the rows are there; empty where there is nothing."""
    parts = []
    for program in export.programs.values():
        parts.append(_use(program.id.schema))
        parts.append(program.settings.for_program().encode())
        body = program.tokens.sql().strip()
        if re.search("--|#", program.tokens.spaces[-1]):
            body += "\n"  # or a comment would take the delimiter in
        text = program.settings.encode(body)
        delimiter = b";"
        while delimiter in text:
            delimiter += b";"
        statement = b"%b%b\n" % (text, delimiter)
        parts.append(statement if delimiter == b";" else b"DELIMITER %b\n%bDELIMITER ;\n" % (delimiter, statement))
    if any(kind == "FUNCTION" for kind, _ in export.programs):
        parts = [_TRUST, *parts, b"SET GLOBAL LOG_BIN_TRUST_FUNCTION_CREATORS=@OLD_TRUST;\n"]
    return b"".join(parts)


@dataclass(slots=True)
class Written:
    """What a file was given: its last settings, its bytes and their XXH3."""

    path: Path
    settings: SessionSettings | None = None
    size: int = 0
    digest: xxhash.xxh3_128 = field(default_factory=xxhash.xxh3_128)

    def take(self, text: bytes) -> None:
        """Count what comes next."""
        self.size += len(text)
        self.digest.update(text)


class RowsWriter:
    """Gives rows to a `Copier`, a file for each table, with all the settings that they need; ``files`` are these."""

    def __init__(self, copier: Copier, folder: Path) -> None:
        self.files: dict[TableId, Written] = {}
        self._copier = copier
        self._folder = folder
        self._last: tuple[Written, Range] | None = None  # it may go on, without a line end

    def add(self, table: Table, rows: Rows, text: bytes) -> None:
        """Append a piece of the table's rows, whose text this is."""
        written = self.files.get(table.id)
        if not written:
            written = self.files[table.id] = Written(self._folder / rows_file_name(table))
        source, last = rows.source.path, self._last and self._last[1]
        goes_on = last and (last.target, last.source, last.end) == (written.path, source, rows.start)
        if last and goes_on and rows.end - last.start <= BATCH:
            self._last = written, last._replace(end=rows.end)
        else:
            self._give(b"" if goes_on else b"\n")
            before = b"" if written.settings else _use(table.id.schema)
            if written.settings != rows.settings:
                before += rows.settings.for_loading().encode()
                written.settings = rows.settings
            if not goes_on and len(text) >= _PAGE:
                before += b"\n" * ((rows.start - written.size - len(before)) % _PAGE)
            written.take(before)
            self._last = written, Range(written.path, before, source, rows.start, rows.end)
        written.take(text)

    def _give(self, line_end: bytes) -> None:
        if self._last:
            written, last = self._last
            written.take(line_end)
            self._copier.append(last._replace(after=line_end))

    def finish(self) -> None:
        """Wait for all rows; raise `UserError` where a file has others, such as when something else writes there."""
        self._give(b"\n")
        self._copier.finish()
        for written in self.files.values():
            if (size := written.path.stat().st_size) != written.size:
                what = f"{written.path.name} has {size:,} bytes where {written.size:,} were written"
                raise UserError(what, "see that no other program writes there, and run it again")


def rows_file_name(table: Table) -> str:
    """A name that every file system takes; the number tells apart what differs in case or in odd letters only."""
    plain = re.sub(r"[^0-9A-Za-z_.]+", "-", str(table.id))
    return f"{table.number:05d}-{plain[:80].rstrip('.')}.sql"


def _use(schema: str) -> bytes:
    return _in_utf8(f"USE {quoted(schema)};\n")


def _in_utf8(statement: str) -> bytes:
    """A statement of our own, which says what it is written in where that matters."""
    names = "" if statement.isascii() else "SET NAMES utf8mb4;\n"
    return (names + statement).encode("utf-8", "surrogateescape")
