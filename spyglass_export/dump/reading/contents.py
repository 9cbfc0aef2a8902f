"""What the SQL files of an export hold: schemas, tables, where their rows stand, and what comes last."""

from array import array
from dataclasses import dataclass, field

from spyglass_export.changes import Change
from spyglass_export.dump.reading.sources import Source
from spyglass_export.dump.sql.create_table import TableDefinition
from spyglass_export.dump.sql.session import Settings
from spyglass_export.dump.sql.tokens import quoted


@dataclass(slots=True)
class Rows:
    """Pieces of one source that hold rows, dumped under the same settings; ``spans`` is start, end, start, end..."""

    source: Source
    settings: Settings
    spans: "array[int]" = field(default_factory=lambda: array("Q"))

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(self.spans[1::2]) - sum(self.spans[::2])


@dataclass(slots=True)
class Table:
    """A table: its definition, to be edited, and its rows in the order of the sources."""

    schema: str
    name: str
    number: int  # from 1, in the order in which the sources name the tables
    defined_at: tuple[Source, int]  # or first named at; the offset is in bytes
    definition: TableDefinition | None = None
    text: bytes = b""
    meaning: list[str] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    rows: list[Rows] = field(default_factory=list)
    column_lists: set[bytes | None] = field(default_factory=set)  # of the INSERT statements
    is_dropped: bool = False  # by a DROP TABLE with no CREATE TABLE after it

    @property
    def where(self) -> str:
        """The table as SQL names it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def place(self) -> str:
        """File and line of its definition, or else of its first rows, for an error."""
        source, offset = self.defined_at
        return source.place(offset)

    @property
    def size(self) -> int:
        """Bytes of rows."""
        return sum(rows.size for rows in self.rows)


@dataclass(frozen=True, slots=True)
class Late:
    """A statement that is executed after all rows are there."""

    schema: str | None
    settings: Settings
    text: bytes
    delimiter: bytes


@dataclass(slots=True)
class Export:
    """All that an export holds; ``schemas`` have the ``CREATE DATABASE`` statements that differ."""

    schemas: dict[str, list[bytes]] = field(default_factory=dict)
    case_sensitive: set[str] = field(default_factory=set)  # the schemas that compare case by case, once rewritten
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    late: list[Late] = field(default_factory=list)
    changes: dict[Change, None] = field(default_factory=dict)  # in order, each once
