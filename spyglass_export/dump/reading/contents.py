"""What the SQL files of an export hold: schemas, tables, where their rows stand, and what comes last."""

from dataclasses import dataclass, field
from pathlib import Path

from spyglass_export.changes import Change
from spyglass_export.dump.reading.sources import Source
from spyglass_export.dump.sql.create_table import TableDefinition
from spyglass_export.dump.sql.session import SessionSettings
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import Tokens, printable, quoted, split, unquoted


@dataclass(slots=True)
class Rows:
    """A piece of a source that holds rows of one table, dumped under the same settings; in bytes."""

    source: Source
    settings: SessionSettings
    start: int
    end: int


@dataclass(slots=True)
class Table:
    """A table: its definition, to be edited, and its rows in the order of the sources."""

    id: TableId
    number: int  # from 1, in the order in which the sources define the tables
    defined_at: tuple[Source, int]  # the offset is in bytes
    definition: TableDefinition
    settings: SessionSettings
    rows: list[Rows] = field(default_factory=list)
    column_lists: set[tuple[str, ...] | None] = field(default_factory=set)  # of the INSERT statements, in lower case
    may_have_late_year: bool = False  # as `RowScan` says
    is_dropped: bool = False  # by a DROP TABLE with no CREATE TABLE after it

    @property
    def place(self) -> str:
        """File and line of its definition, for an error."""
        source, offset = self.defined_at
        return source.place(offset)

    @property
    def size(self) -> int:
        """Bytes of rows."""
        return sum(rows.end - rows.start for rows in self.rows)

    def rows_hold(self, name: str) -> bool:
        """Whether any INSERT with such a list of columns, or with none, has values for the column."""
        return any(names is None or name.lower() in names for names in self.column_lists)

    def column_where(self, name: str) -> str:
        """One of its columns or indexes, for a person."""
        return f"{self.id.where}.{printable(quoted(name))}"


@dataclass(slots=True)
class Program:
    """A view, trigger, routine or event; made after all rows are there."""

    id: TableId
    settings: SessionSettings
    tokens: Tokens
    kind: str  # in capitals, such as VIEW
    place: str


@dataclass(slots=True)
class Export:
    """All that an export holds; ``schemas`` have the ``CREATE DATABASE`` statements that differ."""

    schemas: dict[str, list[str]] = field(default_factory=dict)
    collations: dict[str, str] = field(default_factory=dict)  # of schemas that compare case by case, once rewritten
    tables: dict[TableId, Table] = field(default_factory=dict)
    programs: dict[tuple[str, TableId], Program] = field(default_factory=dict)  # by kind and name
    changes: dict[Change, None] = field(default_factory=dict)  # in order, each once
    digests: dict[Path, str] = field(default_factory=dict)  # of what was read of each source

    def note(self, kind: str, where: str, before: str, after: str, reason: str) -> None:
        """Tell of a change, as a `Change` does."""
        self.changes[Change(kind, where, before, after, reason)] = None


def column_names(column_list: str) -> tuple[str, ...]:
    """The names of an INSERT's list of columns, in lower case."""
    return tuple(unquoted(text).lower() for text in split(column_list) if text != ",")
