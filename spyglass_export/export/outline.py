"""What an export's SQL files say of themselves in comments and definitions: between the rows, which nobody looks at.

A dump program names database, table and condition before the rows of each call, and writes no line end within a row;
so the lines that begin in these ways are its own.
"""

import mmap
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spyglass_export.dump.reading.sources import open_source
from spyglass_export.dump.sql.tokens import unquoted

_NAME = rb"(?:`(?:[^`\r\n]|``)+`|[^\s`;.,()]+)"
# It begins with a line end and nothing else, which `re` looks for as fast as C does.
_LINE = re.compile(
    rb"\n(?:-- Host: [^\r\n]*?\bDatabase: (?P<header>[^\r\n]+)|-- Current Database: (?P<current>" + _NAME + rb")"
    rb"|(?:CREATE DATABASE [^\r\n;]*; )?USE (?P<use>" + _NAME + rb") ?;"
    rb"|-- Dumping data for table (?P<data>" + _NAME + rb")(?:\r?\n-- *\r?\n-- WHERE: (?P<where>[^\r\n]*))?"
    rb"|-- SPYGLASS VERSION: (?P<version>\S+) --"
    rb"|CREATE TABLE (?P<table>" + _NAME + rb") \(\r?\n(?P<body>(?:[^\n)][^\n]*\n)*))"
)
_KEY = re.compile(
    rb"^\s+(?:CONSTRAINT " + _NAME + rb" )?FOREIGN KEY \((?P<columns>[^\n]*?)\) REFERENCES "
    rb"(?:(?P<schema>" + _NAME + rb")\.)?(?P<parent>" + _NAME + rb") \(",
    re.MULTILINE,
)
_NOT_NULL = re.compile(rb"^\s+(`(?:[^`\n]|``)+`) (?:[^'\n]|'(?:[^'\n]|'')*')* NOT NULL", re.MULTILINE)
# DataJoint keeps tables such as `~external_raw` for itself; older releases of Export leave them out.
_DATAJOINTS_OWN = "~"

Name = tuple[str, str]  # schema and table


@dataclass(frozen=True)
class Piece:
    """The rows of one call, in ``file``; ``where`` is the condition they were dumped by, or empty."""

    file: str
    where: str


@dataclass(frozen=True)
class AbsentParent:
    """A foreign key to a table that the export lacks altogether.

    ``is_by_design`` where Export leaves it out: a table of DataJoint's own, or one that no row need refer to.
    """

    table: Name
    parent: Name
    is_by_design: bool


@dataclass
class Outline:
    """Tables in their order with their pieces; ``versions`` are Spyglass' by file, where it says which."""

    tables: dict[Name, list[Piece]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    keys: dict[AbsentParent, None] = field(default_factory=dict)  # of every foreign key, absent or not
    _in_use: dict[str, str] = field(default_factory=dict)  # the database, by file

    def absent_parents(self) -> list[AbsentParent]:
        """The foreign keys whose parent is not among the tables, by table."""
        known = {(schema.lower(), table.lower()) for schema, table in self.tables}
        return [key for key in self.keys if (key.parent[0].lower(), key.parent[1].lower()) not in known]

    def take(self, file: str, text: bytes) -> None:
        """Note what stands before, between or after the rows of a file, in order."""
        for line in _LINE.finditer(b"\n" + text):
            self.note(file, line)

    def note(self, file: str, line: re.Match[bytes]) -> None:
        """Note what a line of a file says."""
        schema = self._in_use.get(file, "")
        if database := line["current"] or line["use"] or line["header"]:
            self._in_use[file] = _name(database.strip())
        elif line["version"]:
            self.versions.setdefault(file, _text(line["version"]))
        elif line["data"]:
            pieces = self.tables.setdefault((schema, _name(line["data"])), [])
            pieces.append(Piece(file, _text(line["where"] or b"").strip()))
        elif line["table"]:
            table = schema, _name(line["table"])
            if table not in self.tables:
                self.tables[table] = []
                _note_keys(self, table, line["body"])


def read_outline(paths: Sequence[Path]) -> Outline:
    """Read the SQL files of one export at the speed of the disk, also packed ones.

    Raises UserError where one is empty or its packing broken.
    """
    outline = Outline()
    with tempfile.TemporaryDirectory(prefix="spyglass-export-") as scratch:
        for path in paths:
            plain = open_source(path, path.name, Path(scratch)).path
            with plain.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                for line in _LINE.finditer(content):
                    outline.note(path.name, line)
    return outline


def _note_keys(outline: Outline, table: Name, body: bytes) -> None:
    keys = list(_KEY.finditer(body))
    not_null = {_name(name).lower() for name in _NOT_NULL.findall(body)} if keys else set()
    for key in keys:
        columns = [_name(name).lower() for name in re.findall(_NAME, key["columns"])]
        parent = _name(key["schema"]) if key["schema"] else table[0], _name(key["parent"])
        by_design = parent[1].startswith(_DATAJOINTS_OWN) or not not_null.issuperset(columns)
        outline.keys[AbsentParent(table, parent, by_design)] = None


def _name(identifier: bytes) -> str:
    return unquoted(_text(identifier))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
