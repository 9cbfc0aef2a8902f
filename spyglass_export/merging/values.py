"""How a column's values are written in SQL, so that equal values give equal text on any server.

Every function gives an expression; ``value`` is the SQL of the column itself.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import cycle

from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging.server import Column

INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_BLOBS = {"tinyblob", "blob", "mediumblob", "longblob"}
_SPACES = {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
           "geomcollection", "geometrycollection", "vector"}  # fmt: skip
BYTES = {"binary", "varbinary", *_BLOBS, *_SPACES}
_LONG_TEXTS = {"tinytext", "text", "mediumtext", "longtext", "json"}
_TEXTS = {"char", "varchar", *_LONG_TEXTS}
# Of these, one value can be longer than a statement may be.
HUGE = {"mediumblob", "longblob", "mediumtext", "longtext", "json", *_SPACES}
# What `literal` writes: bytes, a text, nothing, a number.
_LITERAL = re.compile(r"x'[0-9A-Fa-f]*'|'(?:[^'\\]|\\.)*'|NULL|-?[0-9][0-9.]*", re.DOTALL)


def is_text(column: Column) -> bool:
    """Whether the column has a character set."""
    return column.kind in _TEXTS or column.kind in ("enum", "set")


def utf8(column: Column, value: str) -> str:
    """A text value in utf8mb4."""
    return f"CAST({value} AS CHAR)" if column.kind == "json" else f"CONVERT({value} USING utf8mb4)"


def in_bytes(column: Column, value: str) -> str:
    """A value of a `BYTES` or text column as the bytes that go over the network."""
    return value if column.kind in BYTES else f"CAST({utf8(column, value)} AS BINARY)"


def literal(column: Column, value: str) -> str:
    """The value as SQL that stores the same value; the text NULL for none."""
    if column.kind in BYTES:
        return f"IFNULL(CONCAT('x''', HEX({value}), ''''), 'NULL')"
    if is_text(column):
        return f"QUOTE({utf8(column, value)})"
    if column.kind == "float":
        return f"QUOTE({value} * 1e0)"  # alone, it comes with six digits
    if column.kind == "decimal":
        return f"IFNULL({value}, 'NULL')"
    return f"IFNULL({value} + 0, 'NULL')" if column.kind == "bit" or column.kind in INTEGERS else f"QUOTE({value})"


def canonical(column: Column, value: str, *, is_long: bool) -> str:
    """The value as text that is the same on any server; ``is_long`` where either side's column may hold much."""
    if is_long:
        return f"IFNULL(SHA2({in_bytes(column, value)}, 256), 'NULL')"
    if column.kind in ("float", "double"):
        # The eight bytes of the number, as a point has them: MySQL and MariaDB write the same number differently, and
        # MariaDB has no -0.
        return f"IFNULL(SUBSTRING(HEX(POINT({value} + 0e0, 0)), 19, 16), 'NULL')"
    return literal(column, value)


def is_long(column: Column) -> bool:
    """Whether a digest stands for the column's values."""
    return column.kind in _BLOBS | _SPACES | _LONG_TEXTS


def tuple_of(literals: Sequence[str]) -> str:
    """Several values as one SQL row; a single one stays itself."""
    return literals[0] if len(literals) == 1 else f"CONCAT('(', CONCAT_WS(',', {', '.join(literals)}), ')')"


def among(names: Sequence[str], keys: str, columns: Iterable[Column], alias: str = "t.") -> str:
    """The condition that columns have the values of one of some rows; ``keys`` are those as SQL."""
    listed = ", ".join(f"{alias}{quoted(name)}" for name in names)
    if len(names) == 1:
        return f"{listed} IN ({keys})"
    turn = cycle(columns)

    def as_stored(found: re.Match[str]) -> str:
        column = next(turn)
        if found[0].isascii() or column.charset in (None, "utf8mb4"):
            return found[0]
        return f"CONVERT({found[0]} USING {column.charset}) COLLATE {column.collation}"

    # MariaDB finds none of several rows whose letters are of another character set than the column's.
    return f"({listed}) IN ({keys if keys.isascii() else _LITERAL.sub(as_stored, keys)})"


def differs(ours: Column, theirs: Column) -> str | None:
    """Why no value of a column of ours can go into theirs; None where values can be looked at one by one."""
    both = {ours.kind, theirs.kind}
    if theirs.is_generated:
        return f"{theirs.name} is computed in your database, and stored in the paper"
    is_alike = (
        both <= INTEGERS
        or both <= _TEXTS - {"json"}
        or (ours.kind == "json" and theirs.kind in ("json", "longtext"))
        or both <= _BLOBS
        or (len(both) == 1 and both & {"enum", "set", "varbinary"})
    )
    if is_alike or ours.type.lower() == theirs.type.lower():
        return None
    return f"{ours.name} is {ours.type} in the paper, and {theirs.type} in your database"


def declared(column: Column) -> str:
    """What a column can hold, as SQL declares it."""
    return column.type + (f" CHARACTER SET {column.charset}" if column.charset else "")
