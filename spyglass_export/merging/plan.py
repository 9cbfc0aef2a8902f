"""What a merge would do: by table what is new, the same, in conflict or cannot go, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.merging.rows import Part, Rows
from spyglass_export.merging.server import Server
from spyglass_export.merging.tables import Table

MOST_LISTED = 100  # conflicts of one table that are told one by one; the others are counted


@dataclass(frozen=True)
class Conflict:
    """A row of the paper that cannot go: its key, and what is against it; ``ours`` and ``theirs`` are values."""

    key: dict[str, str]
    why: str
    column: str = ""
    ours: str = ""
    theirs: str = ""


@dataclass
class TablePlan:
    """A table of the paper: ``conflict`` and ``left_out`` count rows that cannot go, for themselves or for a parent.

    ``whole`` says why none of its rows can go. ``unchecked`` are foreign keys with rows whose parent is nowhere.
    """

    id: TableId
    target: TableId
    is_new: bool
    rows: Rows | None = None
    total: int = 0
    new: int = 0
    same: int = 0
    conflict: int = 0
    left_out: int = 0
    whole: str = ""
    parts: list[Part] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    renumbered: dict[int, int] = field(default_factory=dict)
    in_circle: bool = False
    unchecked: list[str] = field(default_factory=list)
    was_empty: bool = True

    def add(self, conflict: Conflict) -> None:
        """Keep a conflict, as long as there are few."""
        if len(self.conflicts) < MOST_LISTED:
            self.conflicts.append(conflict)


@dataclass
class Plan:
    """All of a merge; tables come parents first. ``stays`` says what is not merged, and why."""

    source: str
    target: str
    tables: list[TablePlan] = field(default_factory=list)
    schemas: list[str] = field(default_factory=list)
    definitions: dict[TableId, str] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)

    @property
    def new(self) -> int:
        """Rows that would be inserted."""
        return sum(table.new for table in self.tables)

    @property
    def stuck(self) -> int:
        """Rows that cannot go."""
        return sum(table.conflict + table.left_out for table in self.tables)

    @property
    def nothing_to_do(self) -> bool:
        """Whether all is there already."""
        return not self.new and not self.definitions

    def to_insert(self) -> Iterator[tuple[TablePlan, Rows]]:
        """The tables that get rows, parents first."""
        for table in self.tables:
            if table.new and table.rows:
                yield table, table.rows

    def as_json(self) -> dict[str, Any]:
        """The plan for machines."""
        return {
            "source": self.source,
            "target": self.target,
            "schemas_made": self.schemas,
            "tables_made": [str(table) for table in self.definitions],
            "stays": self.stays,
            "files": self.files,
            "tables": [
                {
                    "table": str(table.target), "new": table.new, "same": table.same, "conflict": table.conflict,
                    "left_out": table.left_out, "cannot_go": table.whole, "notes": table.notes,
                    "renumbered": {str(old): new for old, new in table.renumbered.items()},
                    "conflicts": [vars(conflict) for conflict in table.conflicts],
                }
                for table in self.tables
            ],
        }  # fmt: skip


@dataclass
class Comparison:
    """Both sides, and what was found so far; ``names`` are those of our tables to theirs."""

    paper: Server
    target: Server
    plan: Plan
    ours: dict[TableId, Table]
    theirs: dict[TableId, Table]
    names: dict[TableId, TableId]
    done: dict[TableId, TablePlan] = field(default_factory=dict)
