"""Columns that must have the same values, and so one length and one collation: tied by foreign keys, and by name."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.resources import files

from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.sql.create_table import Column
from spyglass_export.dump.sql.table_id import TableId


@dataclass(slots=True, eq=False)
class Group:
    """Columns that must have the same values, and what is known of these."""

    columns: dict[Column, Table] = field(default_factory=dict)
    shorter: int | None = None  # the length that today's Spyglass gives to columns of this name
    in_foreign_key: bool = False
    longest: int = 0  # in characters, of those that were measured
    example: bytes = b""  # as the dump has it
    reason: str = ""  # why they were cut


Groups = dict[Column, Group]
_Node = tuple[TableId, str] | tuple[str, int | None]  # a table's column, or a column's name and old length


def old_lengths() -> dict[tuple[str, int | None], int]:
    """Columns that Spyglass 0.4.3 shortened: by name and old length, the new one."""
    text = files("spyglass_export.dump").joinpath("key_lengths.json").read_text(encoding="utf-8")
    return {(name, old): new for name, old, new in json.loads(text)}


def tied_columns(export: Export) -> Groups:
    """The group of each text column: joined by foreign keys, also over a parent that was not exported, and by rule."""
    leader: dict[_Node, _Node] = {}

    def find(node: _Node) -> _Node:
        while (above := leader.setdefault(node, node)) != node:
            leader[node] = leader[above]  # so that the next way is shorter
            node = above
        return node

    lengths = old_lengths()
    in_foreign_keys: set[_Node] = set()
    fitted: dict[Column, tuple[Table, _Node]] = {}
    for table in export.tables.values():
        for key in table.definition.foreign_keys:
            for name, parent_name in zip(key.columns, key.parent_columns, strict=False):
                parent = TableId(key.parent_schema or table.id.schema, key.parent), parent_name.lower()
                child = table.id, name.lower()
                leader[find(child)] = find(parent)
                in_foreign_keys |= {child, parent}
        for column in table.definition.columns:
            if column.type in ("VARCHAR", "CHAR") and column.length and column.is_text:
                node = table.id, column.name.lower()
                fitted[column] = table, node
                if column.type == "VARCHAR" and (column.name, column.length) in lengths:
                    leader[find(node)] = find((column.name, column.length))
    groups: dict[_Node, Group] = defaultdict(Group)
    for column, (table, place) in fitted.items():
        group = groups[find(place)]
        group.columns[column] = table
        group.in_foreign_key = group.in_foreign_key or place in in_foreign_keys
        if column.type == "VARCHAR" and (new := lengths.get((column.name, column.length))):
            group.shorter = max(new, group.shorter or 0)
    return {column: groups[find(place)] for column, (_, place) in fitted.items()}
