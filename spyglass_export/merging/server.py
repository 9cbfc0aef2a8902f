"""A MySQL or MariaDB server: one session on it, set so that both sides write and read values alike, and its tables."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from threading import Lock
from typing import Any

import pymysql

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError

# No statement and no value that is read gets longer than this, in bytes, whatever the servers allow.
PIECE = 2_000_000
_SESSION = (
    # Zero dates and numbers of 0 are values like others; nothing is cut to fit.
    "time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,"
    f"NO_ENGINE_SUBSTITUTION', group_concat_max_len = {PIECE}",
    "wait_timeout = 28800, net_read_timeout = 600, net_write_timeout = 600",
    # These have other names, or none, in some releases.
    "transaction_isolation = 'REPEATABLE-READ'",
    "tx_isolation = 'REPEATABLE-READ'",
    # MySQL does not look into an index where a list of keys needs more memory than this; 0 is no limit.
    "range_optimizer_max_mem_size = 0",
    # MariaDB joins with a list of keys only from this length on, and reads the whole table below it.
    "in_predicate_conversion_threshold = 2",
)


class Server:
    """One session; ``name`` is what messages call the server."""

    def __init__(self, connection: "pymysql.Connection[Any]", name: str) -> None:
        self.connection = connection
        self.name = name
        self._one_at_a_time = Lock()  # one thread may read ahead while another asks
        self._set_session()
        known = dict(self.rows("SHOW VARIABLES"))
        self.max_packet = int(known["max_allowed_packet"])
        self._folds_names = known["lower_case_table_names"] != "0"
        # MariaDB has no server_uuid.
        self.identity = known.get("server_uuid") or " ".join(known[name] for name in ("hostname", "port", "datadir"))

    def _set_session(self) -> None:
        for number, setting in enumerate(_SESSION):
            with suppress(*[pymysql.OperationalError] * (number > 1)):
                self.run(f"SET SESSION {setting}")

    def reopen(self) -> None:
        """Begin a new session: the server undoes what the earlier one did not commit."""
        with suppress(pymysql.MySQLError, OSError):
            self.connection.close()
        self.connection.connect()
        self._set_session()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that a statement gives; ``%s`` in it stand for ``values``."""
        with self._one_at_a_time, self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def one(self, sql: str, *values: object) -> Any:
        """The first value of the first row; None where there is no row."""
        rows = self.rows(sql, *values)
        return rows[0][0] if rows else None

    def run(self, sql: Any) -> int:
        """Execute a statement; the number of rows that it changed."""
        with self._one_at_a_time, self.connection.cursor() as cursor:
            cursor.execute(sql)  # bytes are sent as they are
            return int(cursor.rowcount)

    def folded(self, name: TableId) -> TableId:
        """A table's name as this server would store it."""
        return TableId(name.schema.lower(), name.name.lower()) if self._folds_names else name


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
    is_auto: bool
    is_generated: bool


_COLUMN = (
    "column_name, LOWER(data_type), column_type, is_nullable = 'YES',"
    " column_default IS NOT NULL OR is_nullable = 'YES' OR LOCATE('auto_increment', extra) > 0, character_set_name,"
    " collation_name, character_maximum_length, LOCATE('auto_increment', extra) > 0,"
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


def read_tables(
    server: Server, schemas: Collection[str] | None = None, folded: Callable[[TableId], TableId] | None = None
) -> dict[TableId, Table]:
    """Read the base tables of these schemas, or of all but the server's own, with what refers to what.

    With ``folded`` they and their parents go by the names that it makes of theirs; raises UserError where two are one.
    """
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
            tables[child].references.append(replace(key, parent=folded(key.parent)) if folded else key)
    if not folded:
        return tables
    named = {folded(name): table for name, table in tables.items()}
    for name, table in tables.items():
        if (other := named[folded(name)]) is not table:
            what = f"{server.name} has {name} and {other.id}, whose names are one where case does not count"
            raise UserError(what, "merge into a server whose lower_case_table_names is 0; nothing was changed")
    return named


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
