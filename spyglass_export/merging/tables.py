"""What a server's tables are: columns, keys and references, as information_schema tells them."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging.server import SYSTEM_SCHEMAS, Server

# MySQL before 8.0.19 and MariaDB give integers a width, which says nothing about their values.
_WIDTH = re.compile(r"\b(tinyint|smallint|mediumint|int|bigint|year)\(\d+\)")


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


@dataclass(frozen=True)
class Unique:
    """A unique key; the primary key among them."""

    name: str
    columns: tuple[str, ...]


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
    uniques: list[Unique] = field(default_factory=list)
    references: list[ForeignKey] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key; empty where there is none."""
        return next((unique.columns for unique in self.uniques if unique.name == "PRIMARY"), ())

    @property
    def number(self) -> str | None:
        """The column that is the primary key alone and counted up by the server; None where there is none."""
        return self.key[0] if len(self.key) == 1 and self.columns[self.key[0]].is_auto else None


def text_literal(text: str) -> str:
    """A string as SQL, in the same form that MySQL's QUOTE() gives it."""
    return "'" + text.translate({92: "\\\\", 39: "\\'", 0: "\\0", 26: "\\Z"}) + "'"


def read_tables(server: Server, schemas: Iterable[str] | None = None) -> dict[TableId, Table]:
    """Read the base tables of these schemas, or of all but the server's own, with what refers to what."""
    if schemas is None:
        condition = f"NOT IN ({', '.join(map(text_literal, SYSTEM_SCHEMAS))})"
    else:
        condition = f"IN ({', '.join(map(text_literal, sorted(schemas))) or 'NULL'})"
    tables = {
        TableId(schema, name): Table(TableId(schema, name), (engine or "").lower(), int(length or 0))
        for schema, name, engine, length in server.rows(
            "SELECT table_schema, table_name, engine, avg_row_length FROM information_schema.tables"
            f" WHERE table_schema {condition} AND table_type = 'BASE TABLE' ORDER BY table_schema, table_name"
        )
    }
    for schema, name, *values in server.rows(
        "SELECT table_schema, table_name, column_name, data_type, column_type, is_nullable,"
        " column_default IS NOT NULL, character_set_name, collation_name, character_maximum_length,"
        " character_octet_length, extra FROM information_schema.columns"
        f" WHERE table_schema {condition} ORDER BY table_schema, table_name, ordinal_position"
    ):
        if table := tables.get(TableId(schema, name)):
            column = _column(*values)
            table.columns[column.name.lower()] = column
    _add_uniques(server, condition, tables)
    for child, key in foreign_keys(server, f"table_schema {condition}"):
        if child in tables:
            tables[child].references.append(key)
    return tables


def _column(name, kind, type_, nullable, default, charset, collation, length, octets, extra) -> Column:  # type: ignore[no-untyped-def]
    plain = _WIDTH.sub(r"\1", str(type_)).replace(" zerofill", "")
    return Column(
        name=name,
        kind=str(kind).lower(),
        type=plain,
        is_nullable=nullable == "YES",
        has_default=bool(default) or nullable == "YES" or "auto_increment" in extra.lower(),
        charset=charset,
        collation=collation,
        length=length,
        octets=octets,
        is_auto="auto_increment" in extra.lower(),
        is_generated="VIRTUAL" in extra.upper() or "STORED" in extra.upper() or "PERSISTENT" in extra.upper(),
    )


def _add_uniques(server: Server, condition: str, tables: dict[TableId, Table]) -> None:
    found: dict[tuple[TableId, str], list[tuple[str | None, int | None]]] = defaultdict(list)
    for schema, name, index, column, prefix in server.rows(
        "SELECT table_schema, table_name, index_name, column_name, sub_part FROM information_schema.statistics"
        f" WHERE table_schema {condition} AND non_unique = 0"
        " ORDER BY table_schema, table_name, index_name, seq_in_index"
    ):
        found[TableId(schema, name), index].append((column, prefix))
    for (table, index), parts in found.items():
        # An expression has no column, and a prefix is not the whole value: the server itself tells when one is taken.
        if table in tables and (index == "PRIMARY" or all(column and not prefix for column, prefix in parts)):
            columns = tuple(column.lower() for column, _ in parts if column)
            tables[table].uniques.append(Unique(index, columns))


def foreign_keys(server: Server, condition: str) -> list[tuple[TableId, ForeignKey]]:
    """The foreign keys of which a condition holds in key_column_usage, each with the table that has it."""
    found: dict[tuple[TableId, str], list[tuple[str, TableId, str]]] = defaultdict(list)
    for schema, name, key, column, parent_schema, parent, parent_column in server.rows(
        "SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,"
        " referenced_table_name, referenced_column_name FROM information_schema.key_column_usage"
        f" WHERE {condition} AND referenced_table_name IS NOT NULL"
        " ORDER BY table_schema, table_name, constraint_name, ordinal_position"
    ):
        found[TableId(schema, name), key].append(
            (column.lower(), TableId(parent_schema, parent), parent_column.lower())
        )
    keys = []
    for (table, key), parts in found.items():
        columns, parents, parent_columns = zip(*parts, strict=True)
        keys.append((table, ForeignKey(key, columns, parents[0], parent_columns)))
    return keys


def in_order(tables: dict[TableId, Table]) -> list[list[TableId]]:
    """Parents before children; tables that refer to one another in a circle come as one group.

    Tarjan's algorithm, without recursion: Spyglass' tables are many levels deep.
    """
    parents = {
        name: sorted({key.parent for key in table.references if key.parent in tables}) for name, table in tables.items()
    }
    index: dict[TableId, int] = {}
    low: dict[TableId, int] = {}
    on_stack: dict[TableId, None] = {}
    groups: list[list[TableId]] = []
    for root in sorted(tables):
        work = [(root, iter(parents[root]))] if root not in index else []
        while work:
            node, left = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                on_stack[node] = None
            for parent in left:
                if parent not in index:
                    work.append((parent, iter(parents[parent])))
                    break
                if parent in on_stack:
                    low[node] = min(low[node], index[parent])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = []
                    while True:
                        member, _ = on_stack.popitem()
                        group.append(member)
                        if member == node:
                            break
                    groups.append(sorted(group))
    return groups
