"""How many bytes columns take, and MySQL's limits on them."""

import re
from collections.abc import Sequence

from spyglass_export.dump.tables import Column, Cursor
from spyglass_export.dump.tokens import Token

BYTES_PER_CHARACTER = 4  # utf8mb4
# https://dev.mysql.com/doc/refman/9.7/en/innodb-limits.html, also .../myisam-storage-engine.html and
# .../column-count-limit.html
INDEX_LIMITS = {"INNODB": 3072, "MYISAM": 1000}
ROW_LIMIT = 65535

# https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_SIZES = {
    "TINYINT": 1,
    "BOOL": 1,
    "BOOLEAN": 1,
    "SMALLINT": 2,
    "MEDIUMINT": 3,
    "INT": 4,
    "INTEGER": 4,
    "BIGINT": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
    "REAL": 8,
    "YEAR": 1,
    "DATE": 3,
    "TIME": 3,
    "DATETIME": 5,
    "TIMESTAMP": 4,
    "UUID": 36 * BYTES_PER_CHARACTER,
    "INET6": 39 * BYTES_PER_CHARACTER,
    "INET4": 15 * BYTES_PER_CHARACTER,
    "TINYTEXT": 9,  # in the row; the value itself is kept outside
    "TINYBLOB": 9,
    "TEXT": 10,
    "BLOB": 10,
    "MEDIUMTEXT": 11,
    "MEDIUMBLOB": 11,
    "LONGTEXT": 12,
    "LONGBLOB": 12,
    "JSON": 12,
}
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4)  # of a decimal's digits that do not fill 9


_NUMBER = re.compile("[0-9]{1,10}")


def said_of(column: Column, tokens: Sequence[Token]) -> list[str]:
    """The words of a column's definition, in capitals, without what is in parentheses."""
    cursor = Cursor(tokens, column.first, column.last)
    words = []
    while cursor.peek() is not None:
        if cursor.word() == "(":
            cursor.skip_parentheses()
        else:
            words.append(cursor.word())
            cursor.take()
    return words


def fixed_size(column: Column, tokens: Sequence[Token]) -> int:
    """Bytes of a value in an index or a row, for types whose length is never changed."""
    numbers = [int(tokens[at].text) for at in column.arguments if _NUMBER.fullmatch(tokens[at].text)]
    if column.type in ("DECIMAL", "NUMERIC", "DEC", "FIXED"):
        digits, scale = ([*numbers, 0] if numbers else [10, 0])[:2]
        return sum(part // 9 * 4 + _DIGIT_BYTES[part % 9] for part in (digits - scale, scale))
    if column.type == "BIT":
        return ((numbers or [1])[0] + 7) // 8
    members = sum(tokens[at].text == "," for at in column.arguments) + 1
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
    if column.type not in ("VARCHAR", "NVARCHAR"):
        return 0
    return 1 if (column.length or 0) * BYTES_PER_CHARACTER < 256 else 2
