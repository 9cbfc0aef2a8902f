"""How a column's values are written in SQL, so that equal values give equal text on any server.

Every function gives an expression; ``value`` is the SQL of the column itself.
"""

from collections.abc import Sequence

from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging.tables import Column, Table, text_literal

INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_BLOBS = {"tinyblob", "blob", "mediumblob", "longblob"}
_SPACES = {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
           "geomcollection", "geometrycollection", "vector"}  # fmt: skip
BYTES = {"binary", "varbinary", *_BLOBS, *_SPACES}
_LONG_TEXTS = {"tinytext", "text", "mediumtext", "longtext", "json"}
_TEXTS = {"char", "varchar", *_LONG_TEXTS}
_NUMBERS = {*INTEGERS, "decimal", "bit"}
# Of these, one value can be longer than a statement may be.
HUGE = {"mediumblob", "longblob", "mediumtext", "longtext", "json", *_SPACES}


def is_text(column: Column) -> bool:
    """Whether the column has a character set."""
    return column.kind in _TEXTS or column.kind in ("enum", "set")


def utf8(column: Column, value: str) -> str:
    """A text value in utf8mb4."""
    return f"CAST({value} AS CHAR)" if column.kind == "json" else f"CONVERT({value} USING utf8mb4)"


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
    return f"IFNULL({value} + 0, 'NULL')" if column.kind in _NUMBERS else f"QUOTE({value})"


def canonical(column: Column, value: str, *, is_long: bool) -> str:
    """The value as text that is the same on any server; ``is_long`` where either side's column may hold much."""
    if is_long:
        return f"IFNULL(SHA2({value if column.kind in BYTES else utf8(column, value)}, 256), 'NULL')"
    if column.kind in ("float", "double"):
        # The eight bytes of the number, as a point has them: MySQL and MariaDB write the same number differently, and
        # MariaDB has no -0.
        return f"IFNULL(SUBSTRING(HEX(POINT({value} + 0e0, 0)), 19, 16), 'NULL')"
    return literal(column, value)


def is_long(column: Column) -> bool:
    """Whether a digest stands for the column's values."""
    return column.kind in _BLOBS or column.kind in _SPACES or column.kind in _LONG_TEXTS


def row_digest(expressions: Sequence[str]) -> str:
    """SHA-256 over a row's values in their canonical form, in hexadecimal."""
    return f"SHA2(CONCAT_WS(',', {', '.join(expressions)}), 256)"


def fold_digests(digest: str) -> str:
    """One number of 64 bits for any number of rows, in any order."""
    return f"BIT_XOR(CAST(CONV(LEFT({digest}, 16), 16, 10) AS UNSIGNED))"


def tuple_of(literals: Sequence[str]) -> str:
    """Several values as one SQL row; a single one stays itself."""
    return literals[0] if len(literals) == 1 else f"CONCAT('(', CONCAT_WS(',', {', '.join(literals)}), ')')"


def row_of(names: Sequence[str], table: Table) -> str:
    """Several columns as one SQL row."""
    columns = (table.columns[name] for name in names)
    return tuple_of([literal(column, f"t.{quoted(column.name)}") for column in columns])


def columns_sql(names: Sequence[str], table: Table, alias: str = "t.") -> str:
    """Several columns as SQL for the left side of IN."""
    listed = ", ".join(f"{alias}{quoted(table.columns[name].name)}" for name in names)
    return listed if len(names) == 1 else f"({listed})"


def differs(ours: Column, theirs: Column) -> str | None:
    """Why no value of a column of ours can go into theirs; None where values can be looked at one by one."""
    both = {ours.kind, theirs.kind}
    if theirs.is_generated:
        return f"{theirs.name} is computed in your database, and stored in the paper"
    is_alike = (
        both <= set(INTEGERS)
        or both <= _TEXTS - {"json"}
        or (ours.kind == "json" and theirs.kind in ("json", "longtext"))
        or both <= _BLOBS
        or (len(both) == 1 and both & {"enum", "set", "varbinary"})
    )
    if is_alike or ours.type.lower() == theirs.type.lower():
        return None
    return f"{ours.name} is {ours.type} in the paper, and {theirs.type} in your database"


def misfits(ours: Column, theirs: Column, value: str, max_packet: int) -> list[tuple[str, str]]:
    """Conditions that single values of ours do not fit into theirs, each with the reason in words."""
    found = []
    if ours.is_nullable and not theirs.is_nullable:
        found.append((f"{value} IS NULL", "is empty (NULL), which your database does not allow"))
    if ours.kind in INTEGERS and theirs.kind in INTEGERS and ours.type != theirs.type:
        low, high = integer_range(theirs)
        found.append((f"{value} NOT BETWEEN {low} AND {high}", f"does not fit into {theirs.type}"))
    if ours.kind in BYTES and (theirs.length or 0) < (ours.length or 0):
        found.append((f"OCTET_LENGTH({value}) > {theirs.length}", f"is longer than your {theirs.type} holds"))
    if ours.kind in ("enum", "set") and ours.type != theirs.type:
        found.append((_no_member(ours, theirs, value), "is none of the values of your column"))
    elif is_text(ours) and is_text(theirs) and ours.kind != "json":
        found += _text_misfits(ours, theirs, value)
    if ours.kind in HUGE:
        length = f"OCTET_LENGTH({value if ours.kind in BYTES else utf8(ours, value)})"
        found.append((f"{length} > {max_packet - 4096}", "is longer than your server's max_allowed_packet"))
    return found


def integer_range(column: Column) -> tuple[int, int]:
    """The least and the greatest value that an integer column holds."""
    bits = INTEGERS[column.kind]
    return (0, 2**bits - 1) if "unsigned" in column.type else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _no_member(ours: Column, theirs: Column, value: str) -> str:
    members, allowed = members_of(ours), members_of(theirs)
    missing = [text_literal(member) for member in members if member not in allowed]
    if ours.kind == "enum":
        text = f"CAST({utf8(ours, value)} AS BINARY)"
        return " OR ".join(f"{text} = CAST({member} AS BINARY)" for member in missing) or "FALSE"
    return " OR ".join(f"FIND_IN_SET({member}, {value})" for member in missing) or "FALSE"


def members_of(column: Column) -> list[str]:
    """The values of an ENUM or SET column."""
    inside = column.type[column.type.index("(") + 2 : -2]
    return [member.replace("''", "'").replace("\\\\", "\\") for member in inside.split("','")]


def _text_misfits(ours: Column, theirs: Column, value: str) -> list[tuple[str, str]]:
    found = []
    text = utf8(ours, value)
    if (theirs.length or 0) < (ours.length or 0):
        found.append((f"CHAR_LENGTH({text}) > {theirs.length}", f"is longer than your {theirs.type} holds"))
    if theirs.charset not in (None, "utf8mb4"):
        changed = f"CONVERT({text} USING {theirs.charset})"
        back = f"CAST(CONVERT({changed} USING utf8mb4) AS BINARY)"
        found.append((f"{back} <> CAST({text} AS BINARY)", f"has letters that {theirs.charset} does not have"))
        text = changed
    if theirs.kind in _LONG_TEXTS:
        found.append((f"OCTET_LENGTH({text}) > {theirs.octets}", f"is longer than your {theirs.type} holds"))
    if theirs.kind == "char" and ours.kind != "char":
        found.append((f"RIGHT({text}, 1) = ' '", "ends with a space, which your char column does not keep"))
    return found


def key_literal(table: Table, names: Sequence[str], row: Sequence[object]) -> str:
    """A key as a record keeps it, as one SQL row; what comes after the key in ``row`` is left alone."""
    listed = []
    for name, value in zip(names, row, strict=False):
        kind = table.columns[name].kind
        if kind in BYTES:
            listed.append(f"x'{value}'")
        elif kind in ("decimal", "bit") or isinstance(value, int):
            listed.append(str(value))
        else:
            listed.append(text_literal(str(value)))
    return listed[0] if len(listed) == 1 else f"({','.join(listed)})"
