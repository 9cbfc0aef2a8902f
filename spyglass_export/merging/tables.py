"""What a server's tables are: columns, keys and references, as information_schema tells them."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging.server import Server

NOT_SYSTEM = "NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys', 'ndbinfo')"
# MySQL before 8.0.19 and MariaDB give integers a width, which says nothing about their values.
_WIDTH = re.compile(r"\b(tinyint|smallint|mediumint|int|bigint|year)\(\d+\)| zerofill")


@dataclass(frozen=True)
class Column:
    """A column; ``kind`` is its type's name, ``type`` all of it; ``length`` in characters, or bytes for bytes."""

    name: str
    kind: str
    type: str
    is_nullable: bool
    has_default: bool
    charset: str | None
    collation: str | None
    length: int | None
    octets: int | None
    is_auto: bool
    is_generated: bool


_COLUMN = (
    "column_name, LOWER(data_type), column_type, is_nullable = 'YES',"
    " column_default IS NOT NULL OR is_nullable = 'YES' OR LOCATE('auto_increment', extra) > 0, character_set_name,"
    " collation_name, character_maximum_length, character_octet_length, LOCATE('auto_increment', extra) > 0,"
    " extra REGEXP 'VIRTUAL|STORED|PERSISTENT'"
)


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to the columns of a parent."""

    name: str
    columns: tuple[str, ...]
    parent: TableId
    parent_columns: tuple[str, ...]

    def joins(self, child: str = "t", parent: str = "p") -> str:
        """The condition that a row of the child refers to one of the parent, by their names in the statement."""
        pairs = zip(self.columns, self.parent_columns, strict=True)
        return " AND ".join(f"{parent}.{quoted(other)} = {child}.{quoted(own)}" for own, other in pairs)


@dataclass
class Table:
    """A base table. Columns are kept by their names in lower case, as names of columns do not depend on case."""

    id: TableId
    engine: str
    row_length: int  # bytes, about
    columns: dict[str, Column] = field(default_factory=dict)
    uniques: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the primary key among them
    references: list[ForeignKey] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key; empty where there is none."""
        return self.uniques.get("PRIMARY", ())

    @property
    def number(self) -> str | None:
        """The column that is the primary key alone and counted up by the server; None where there is none."""
        return self.key[0] if len(self.key) == 1 and self.columns[self.key[0]].is_auto else None


def read_tables(server: Server, schemas: Collection[str] | None = None) -> dict[TableId, Table]:
    """Read the base tables of these schemas, or of all but the server's own, with what refers to what."""
    condition = f"table_schema {NOT_SYSTEM}" if schemas is None else f"table_schema IN (''{', %s' * len(schemas)})"
    schemas = schemas or ()
    tables = {
        TableId(schema, name): Table(TableId(schema, name), engine, int(length))
        for schema, name, engine, length in server.rows(
            "SELECT table_schema, table_name, LOWER(COALESCE(engine, '')), COALESCE(avg_row_length, 0)"
            f" FROM information_schema.tables WHERE {condition} AND table_type = 'BASE TABLE' ORDER BY 1, 2",
            *schemas,
        )
    }
    for schema, name, *facts in server.rows(
        f"SELECT table_schema, table_name, {_COLUMN} FROM information_schema.columns"
        f" WHERE {condition} ORDER BY table_schema, table_name, ordinal_position",
        *schemas,
    ):
        if table := tables.get(TableId(schema, name)):
            facts[2] = _WIDTH.sub(r"\1", facts[2])
            table.columns[facts[0].lower()] = Column(*facts)
    for (schema, name, index), (columns, prefixes) in _grouped(
        server,
        "SELECT table_schema, table_name, index_name, LOWER(column_name), sub_part FROM information_schema.statistics"
        f" WHERE {condition} AND non_unique = 0 ORDER BY seq_in_index",
        schemas,
    ):
        # An expression has no column, and a prefix is not the whole value: the server itself tells when one is taken.
        if TableId(schema, name) in tables and all(columns) and not any(prefixes):
            tables[TableId(schema, name)].uniques[index] = columns
    for child, key in foreign_keys(server, condition, *schemas):
        if child in tables:
            tables[child].references.append(key)
    return tables


def foreign_keys(server: Server, condition: str, *names: str) -> list[tuple[TableId, ForeignKey]]:
    """The foreign keys of which a condition holds in key_column_usage, each with the table that has it."""
    return [
        (TableId(schema, name), ForeignKey(key, columns, TableId(parent_schemas[0], parents[0]), parent_columns))
        for (schema, name, key), (columns, parent_schemas, parents, parent_columns) in _grouped(
            server,
            "SELECT table_schema, table_name, constraint_name, LOWER(column_name), referenced_table_schema,"
            " referenced_table_name, LOWER(referenced_column_name) FROM information_schema.key_column_usage"
            f" WHERE {condition} AND referenced_table_name IS NOT NULL ORDER BY ordinal_position",
            names,
        )
    ]


def _grouped(
    server: Server, sql: str, names: Collection[str]
) -> Iterator[tuple[tuple[str, str, str], list[tuple[Any, ...]]]]:
    """The rows of each key, which has three columns; of the other columns, the values of each."""
    rows = sorted(server.rows(sql, *names), key=lambda row: row[:3])
    for key, group in groupby(rows, key=lambda row: row[:3]):
        yield key, list(zip(*(row[3:] for row in group), strict=True))


def in_order(tables: dict[TableId, Table]) -> list[list[TableId]]:
    """Parents before children; tables that refer to one another in a circle come as one group."""
    above: dict[TableId, list[TableId]] = {}
    for name in tables:
        reached: set[TableId] = set()
        to_visit = [name]
        while to_visit:
            if (one := to_visit.pop()) not in reached:
                reached.add(one)
                to_visit += [key.parent for key in tables[one].references if key.parent in tables]
        above[name] = sorted(reached)
    # Tables of a circle reach the same, and a child reaches more than its parent.
    ordered = sorted(tables, key=lambda name: (len(above[name]), above[name], name))
    return [list(group) for _, group in groupby(ordered, key=above.__getitem__)]
