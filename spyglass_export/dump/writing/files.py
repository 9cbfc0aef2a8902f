"""Write what was read from an export: definitions, rows, and what comes last."""

import re
from collections.abc import Callable
from pathlib import Path

from spyglass_export.dump.reading.contents import Export, Rows, Table
from spyglass_export.dump.sql.session import SessionSettings
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.dump.writing.copying import Copier, Range
from spyglass_export.errors import UserError

# What `clean_sql` writes is a whole dump again.
FIRST_LINE = b"-- MySQL dump cleaned by spyglass_export\n"
LAST_LINE = b"-- Dump completed\n"
# A server with a binary log, as it is by default, refuses functions that do not say what they do: ERROR 1418.
_TRUST = b"SET @OLD_TRUST=@@GLOBAL.LOG_BIN_TRUST_FUNCTION_CREATORS;\nSET GLOBAL LOG_BIN_TRUST_FUNCTION_CREATORS=ON;\n"


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


class RowsWriter:
    """Gives rows to a `Copier`, each file with all the settings that its rows need; ``target`` is a table's file."""

    def __init__(self, copier: Copier, target: Callable[[Table], Path]) -> None:
        self._copier = copier
        self._target = target
        self._in_use: dict[Path, tuple[str, SessionSettings]] = {}  # the schema and settings at a file's end
        self._last: Range | None = None  # it may go on, without a line end

    def add(self, table: Table, rows: Rows) -> None:
        """Append a piece of the table's rows."""
        target, source, last = self._target(table), rows.source.path, self._last
        goes_on = last and (last.target, last.source, last.end) == (target, source, rows.start)
        self._give(b"" if goes_on else b"\n")
        schema, settings = self._in_use.get(target, (None, None))
        before = _use(table.id.schema) if schema != table.id.schema else b""
        if before or settings != rows.settings:
            before += rows.settings.for_loading().encode()
        self._in_use[target] = table.id.schema, rows.settings
        self._last = Range(target, before, source, rows.start, rows.end)

    def _give(self, line_end: bytes) -> None:
        if self._last:
            self._copier.append(self._last._replace(after=line_end))

    def finish(self) -> None:
        """Wait for all rows; raise `UserError` where a file has others, such as when something else writes there."""
        self._give(b"\n")
        self._copier.finish()
        for target, written in self._copier.files.items():
            if (size := target.stat().st_size) != written.size:
                what = f"{target.name} has {size:,} bytes where {written.size:,} were written"
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
