"""How many bytes columns take, and MySQL's limits on them."""

from collections.abc import Collection, Sequence

from spyglass_export.dump.sql.create_table import NUMBER, Column, TableDefinition

BYTES_PER_CHARACTER = 4  # utf8mb4
# https://dev.mysql.com/doc/refman/9.7/en/innodb-limits.html, also .../myisam-storage-engine.html and
# .../column-count-limit.html
INDEX_LIMITS = {"INNODB": 3072, "MYISAM": 1000}
ROW_LIMIT = 65535
# Of a row's part in a page of InnoDB, in which no value of variable length counts for more than a pointer to it:
# dict_index_too_big_for_tree in MySQL's storage/innobase/dict/dict0dict.cc; measured on MySQL 9.7, too.
PAGE_LIMIT = 8125
PAGE_POINTER = 40

# https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_SIZES = {
    "TINYINT": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INT": 4, "BIGINT": 8, "FLOAT": 4, "DOUBLE": 8,
    "YEAR": 1, "DATE": 3, "TIME": 3, "DATETIME": 5, "TIMESTAMP": 4,
    "UUID": 36 * BYTES_PER_CHARACTER, "INET6": 39 * BYTES_PER_CHARACTER, "INET4": 15 * BYTES_PER_CHARACTER,
    # In the row; the value itself is kept outside.
    "TINYTEXT": 9, "TINYBLOB": 9, "TEXT": 10, "BLOB": 10, "MEDIUMTEXT": 11, "MEDIUMBLOB": 11, "LONGTEXT": 12,
    "LONGBLOB": 12, "JSON": 12,
}  # fmt: skip
_VARIABLE_TYPES = {"VARCHAR", "VARBINARY", "UUID", "INET6", "INET4"}
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4)  # of a decimal's digits that do not fill 9


def fixed_size(column: Column, texts: Sequence[str]) -> int:
    """Bytes of a value in an index or a row, for types whose length is never changed; ``texts`` are the tokens'."""
    if column.type in _SIZES and not column.arguments:
        return _SIZES[column.type]
    numbers = [int(texts[at]) for at in column.arguments if NUMBER.fullmatch(texts[at])]
    if column.type in ("DECIMAL", "NUMERIC"):
        digits, scale = ([*numbers, 0] if numbers else [10, 0])[:2]
        return sum(part // 9 * 4 + _DIGIT_BYTES[part % 9] for part in (digits - scale, scale))
    if column.type == "BIT":
        return ((numbers or [1])[0] + 7) // 8
    members = sum(texts[at] == "," for at in column.arguments) + 1
    if column.type == "ENUM":
        return 1 if members < 256 else 2
    if column.type == "SET":
        return (members + 7) // 8 if members <= 32 else 8
    if column.type in ("TIME", "DATETIME", "TIMESTAMP"):
        return _SIZES[column.type] + ((numbers or [0])[0] + 1) // 2
    if column.type in ("BINARY", "VARBINARY", "CHAR", "VARCHAR"):  # text types only where they hold bytes
        return (numbers or [1])[0]
    return _SIZES.get(column.type, 0)


def length_bytes(column: Column) -> int:
    """Bytes that a row spends on a text column's length."""
    if column.type != "VARCHAR":
        return 0
    return 1 if (column.length or 0) * BYTES_PER_CHARACTER < 256 else 2


def page_size(definition: TableDefinition, texts: Collection[Column]) -> int:
    """Bytes of a row in a page of InnoDB, without the values of the columns ``texts``."""
    keys = [index for index in definition.indexes if index.kind in ("PRIMARY", "UNIQUE")]
    primary = {part.name.lower() for index in keys if index.kind == "PRIMARY" for part in index.parts}
    size = 5 + 6 + 7  # the record's header, its transaction, its place in the undo log
    nullable = 0  # a bit each
    has_key = bool(keys)
    for column in definition.columns:
        if column.is_virtual:
            continue
        has_key = has_key or column.is_key
        nullable += column.is_nullable and not column.is_key and column.name.lower() not in primary
        if column in texts:
            size += 1  # for its length
        elif column.type.endswith(("TEXT", "BLOB", "JSON")):
            size += PAGE_POINTER + 1
        elif column.type in _VARIABLE_TYPES:
            size += min(fixed_size(column, definition.tokens.texts), PAGE_POINTER) + 1
        else:
            size += fixed_size(column, definition.tokens.texts)
    return size + (nullable + 7) // 8 + (0 if has_key else 6)  # a number where no key gives its place
