"""Columns that must have the same values, and so one length and one collation: tied by foreign keys, and by name."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.resources import files

from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.sql.create_table import Column

_FITTED_TYPES = ("VARCHAR", "CHAR", "NVARCHAR", "NCHAR")
Place = tuple[str, str, str]  # schema, table, column in lower case


@dataclass(slots=True)
class Group:
    """Columns that must have the same values, and the longest of them: ``longest`` in characters."""

    columns: list[tuple[Table, Column]] = field(default_factory=list)
    longest: int = 0
    example: bytes = b""
    shorter: int | None = None  # the length that today's Spyglass gives to columns of this name
    reason: str = ""
    in_foreign_key: bool = False


def old_lengths() -> dict[tuple[str, int], int]:
    """Columns that Spyglass 0.4.3 shortened: by name and old length, the new one."""
    text = files("spyglass_export.dump").joinpath("key_lengths.json").read_text(encoding="utf-8")
    return {(name, old): new for name, old, new in json.loads(text)}


def fitted_columns(table: Table) -> list[Column]:
    """The columns whose lengths may be changed."""
    columns = table.definition.columns
    return [column for column in columns if column.type in _FITTED_TYPES and column.is_text and column.length]


def place_of(table: Table, column: Column) -> Place:
    """By what a column is found among the groups."""
    return table.schema, table.name, column.name.lower()


def tied_columns(export: Export) -> dict[Place, Group]:
    """The group of each text column: joined by foreign keys, also over a parent that was not exported, and by rule."""
    leader: dict[object, object] = {}

    def find(place: object) -> object:
        while leader.setdefault(place, place) != place:
            place = leader[place]
        return place

    tables = export.tables.values()
    lengths = old_lengths()
    in_foreign_keys: set[Place] = set()
    for table in tables:
        for key in table.definition.foreign_keys:
            for name, parent_column in zip(key.columns, key.parent_columns, strict=False):
                parent = key.parent_schema or table.schema, key.parent, parent_column.lower()
                child = table.schema, table.name, name.lower()
                leader[find(child)] = find(parent)
                in_foreign_keys |= {child, parent}
        for column in fitted_columns(table):
            rule = column.name, column.length
            if column.type == "VARCHAR" and rule in lengths:
                leader[find(place_of(table, column))] = find(rule)
    groups: dict[object, Group] = defaultdict(Group)
    result = {}
    for table in tables:
        for column in fitted_columns(table):
            group = result[place_of(table, column)] = groups[find(place_of(table, column))]
            group.columns.append((table, column))
            group.in_foreign_key = group.in_foreign_key or place_of(table, column) in in_foreign_keys
            new = lengths.get((column.name, column.length or 0)) if column.type == "VARCHAR" else None
            if new is not None:
                group.shorter = max(new, group.shorter or 0)
    return result
