"""What a merge would do: by table what is new, the same, in conflict or cannot go, and why."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.merging.rows import Rows
from spyglass_export.merging.server import Server

EXTERNAL = "~external"  # begins the names of DataJoint's tables of files outside of the database
MOST_LISTED = 100  # conflicts of one table that are told one by one; the others are counted


@dataclass(frozen=True)
class Conflict:
    """A row of the paper that cannot go: its key, and what is against it; ``ours`` and ``theirs`` are values."""

    key: dict[str, str]
    why: str
    column: str
    ours: str
    theirs: str


@dataclass(kw_only=True)
class TablePlan(Rows):
    """A table of the paper: ``conflict`` and ``left_out`` count rows that cannot go, for themselves or for a parent.

    ``whole`` says why none of its rows can go. ``unchecked`` are foreign keys with rows whose parent is nowhere.
    """

    is_new: bool
    in_circle: bool
    whole: str
    notes: list[str]
    new: int = 0
    same: int = 0
    conflict: int = 0
    left_out: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    renumbered: dict[int, int] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)

    def add(self, own_key: str, why: str, column: str = "", ours: object = "", theirs: object = "") -> None:
        """Keep the conflict of a row in the list, as long as there are few; without a key it is one of many rows."""
        if len(self.conflicts) < MOST_LISTED:
            key = {}
            if own_key:
                shown = ", ".join(map(self.own_literal, self.key))
                [row] = self.paper.rows(f"SELECT {shown} FROM {self.ours.id.sql} AS t WHERE {self.at([own_key])}")
                key = dict(zip(self.key, map(str, row), strict=True))
            self.conflicts.append(Conflict(key, why, column, str(ours)[:80], str(theirs)[:80]))

    def count(self) -> None:
        """Count the rows by what is said of them."""
        marked = self.marked()
        self.same, self.left_out = marked.get("same", 0), marked.get("left out", 0)
        self.conflict = self.total if self.whole else marked.get("conflict", 0)
        self.new = self.total - self.same - self.conflict - self.left_out


@dataclass
class Plan:
    """All of a merge; tables come parents first. ``stays`` says what is not merged, and why."""

    paper: Server
    target: Server
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

    def to_insert(self) -> list[TablePlan]:
        """The tables that get rows, parents first."""
        return [table for table in self.tables if table.new]

    def as_json(self) -> dict[str, Any]:
        """The plan for machines."""
        as_they_are = ("new", "same", "conflict", "left_out", "notes", "renumbered")
        return {
            "source": self.paper.name,
            "target": self.target.name,
            "schemas_made": self.schemas,
            "tables_made": [str(table) for table in self.definitions],
            "stays": self.stays,
            "files": self.files,
            "tables": [
                {"table": str(table.theirs.id), "cannot_go": table.whole}
                | {name: getattr(table, name) for name in as_they_are}
                | {"conflicts": [vars(conflict) for conflict in table.conflicts]}
                for table in self.tables
            ],
        }


def expected_files(plan: Plan) -> dict[str, Any]:
    """The files that the paper's rows expect: store, path below the store's folder, bytes.

    https://docs.datajoint.com/core/datajoint-python/0.14/sysadmin/external-store/ tells where DataJoint keeps them.
    """
    expected, needed = [], {"hash", "size", "filepath", "attachment_name"}
    for table in plan.tables:
        store = table.ours.id.name.removeprefix("~external_")
        if store == table.ours.id.name or not needed <= table.ours.columns.keys():
            continue
        for digest, size, path, attached in plan.paper.rows(
            f"SELECT LOWER(HEX(hash)), size, filepath, attachment_name FROM {table.ours.id.sql} ORDER BY filepath, hash"
        ):
            name = f"{digest}.{attached}" if attached else digest
            place = PurePosixPath(path or f"{table.ours.id.schema}/{digest[:2]}/{digest[2:4]}/{name}")
            expected.append({"store": store, "path": str(place), "bytes": int(size)})
    return {"expected": expected}


def find_missing(plan: Plan, folder: Path) -> None:
    """Put into the plan which of the files are not below a folder, with or without a folder for each store."""
    plan.files["missing"] = [
        file
        for file in plan.files["expected"]
        if not any((folder / place).is_file() for place in (Path(file["store"], file["path"]), Path(file["path"])))
    ]
