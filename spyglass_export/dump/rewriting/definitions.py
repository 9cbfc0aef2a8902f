"""Rewrite the definitions of tables and databases, token by token, so that they load into any MySQL 8 or newer."""

import re
from collections.abc import Iterable

from sqlparse import tokens as types

from spyglass_export.changes import Change
from spyglass_export.dump.sql.create_table import Column, Cursor, TableDefinition
from spyglass_export.dump.sql.session import known_collation
from spyglass_export.dump.sql.tokens import Token, join, quoted, shown, tokenize, unquoted
from spyglass_export.errors import UserError

BINARY_COLLATION = "utf8mb4_bin"
EXACT_COLLATION = "utf8mb4_0900_bin"  # for which spaces at the end count too; since MySQL 8.0.17
DEFAULT_COLLATION = "utf8mb4_0900_ai_ci"  # of utf8mb4 in MySQL 8 and newer
_CHARACTER_SET_REASON = "everything is utf8mb4, the server's default"
_SOURCE_ONLY = "only makes sense on the source server"
_UNKNOWN = "MySQL does not know it"
_DROPPED_OPTIONS = {
    "TABLESPACE": _SOURCE_ONLY,
    "ENCRYPTION": _SOURCE_ONLY,
    "PAGE_CHECKSUM": _UNKNOWN,
    "TRANSACTIONAL": _UNKNOWN,
    "PAGE_COMPRESSED": _UNKNOWN,
    "PAGE_COMPRESSION_LEVEL": _UNKNOWN,
    "ENCRYPTED": _UNKNOWN,
    "ENCRYPTION_KEY_ID": _UNKNOWN,
}
# https://mariadb.com/kb/en/temporal-tables/ and https://mariadb.com/kb/en/sequences/
_MARIADB_ONLY = {
    ("ROW", "START"): "row that has a history",
    ("ROW", "END"): "row that has a history",
    ("BY", "SYSTEM_TIME"): "partitions by a row's history",
    ("WITHOUT", "OVERLAPS"): "keys WITHOUT OVERLAPS",
    ("NEXTVAL", "("): "sequences",
    ("NEXT", "VALUE"): "sequences",
}
_MARIADB_TYPES = {"UUID": "char(36)", "INET6": "varchar(39)", "INET4": "varchar(15)"}
_SMALL_ROW_FORMATS = {"COMPACT", "REDUNDANT", "FIXED", "PAGE"}
_KEEPS_CASE = re.compile(r"_bin$|_cs$|_cs_ks$|_turkish_|_tr_0900_|^(cp866|latin7)_general_ci$")
_HAS_CHARACTER_SET = re.compile(
    r"(^| )_\w+ ''$|(CHARSET|CHARACTER SET)( =)? [^ ]+$|^(CONVERT|CAST) \(.* (USING|CHARSET|CHARACTER SET) [^ ]+ \)$"
)
_BLOB_TYPES = {"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON"}


def keeps_case(character_set: str | None, collation: str | None) -> bool:
    """Whether any letter of ASCII and its capital are two in this collation, or in the character set's default.

    That is so for all letters (``_bin``, ``_cs``), for the I of Turkish, and by an old mistake for J in cp866 and T in
    latin7: all letters were compared in all collations of MySQL 9.7.
    """
    if collation is None:
        return character_set in ("cp866", "latin5", "latin7")
    return _KEEPS_CASE.search(collation) is not None


def target_collation(table: TableDefinition, column: Column) -> str:
    """The collation that a text column gets."""
    if column.binary:
        return EXACT_COLLATION if column.collation == EXACT_COLLATION else BINARY_COLLATION
    return BINARY_COLLATION if keeps_case(*table.collation_of(column)) else DEFAULT_COLLATION


def take_out(tokens: list[Token], indexes: Iterable[int]) -> str:
    """Empty these tokens and the white space before the first; what stood there, with single spaces."""
    at = sorted(indexes)
    text = " ".join("".join(token.text for token in tokens[at[0] : at[-1] + 1]).split())
    for index in range(at[0], at[-1] + 1):
        if tokens[index].type not in types.Comment or index in at:
            tokens[index].text = ""
    if at[0] and tokens[at[0] - 1].type is types.Whitespace:
        tokens[at[0] - 1].text = ""
    return text


def rewrite_collate(tokens: list[Token], where: str, depth: int = 0) -> list[Change]:
    """``COLLATE`` in expressions, within ``depth`` parentheses at least, as columns have it now; what was changed.

    Operands with a character set of their own keep it: ``_latin1'x'``, ``CONVERT(... USING latin1)``, and the types of
    variables and results, ``CHARSET latin1``.
    """
    changes = []
    cursor = Cursor(tokens)
    opened: list[int] = []
    start = 0  # of the call, or the parentheses, that ended last
    while cursor.peek() is not None:
        first = cursor.at
        if len(opened) >= depth and cursor.peek(1) and cursor.accept("COLLATE"):
            cursor.accept("=")
            token = tokens[cursor.take()]
            operand = cursor.indexes[start if cursor.word(first - 1 - cursor.at) == ")" else max(0, first - 4) : first]
            before, after = token.text, _new_collation(token.text, [tokens[index] for index in operand])
            if not after:
                before = take_out(tokens, cursor.indexes[first : cursor.at])
            if after != before:
                token.text = after
                changes.append(Change("collation", where, before, after, _CHARACTER_SET_REASON))
            continue
        if cursor.word() == "(":
            opened.append(max(0, first - 1))
        elif cursor.word() == ")" and opened:
            start = opened.pop()
        cursor.take()
    return changes


def _new_collation(name: str, operand: list[Token]) -> str:
    """What stands for a collation after this operand; '' where it has to go."""
    collation = name.strip("'\"`").lower()
    known = known_collation(collation)
    if collation.startswith(("utf8mb4_", "binary")):
        return name if known == collation else known
    words = " ".join("''" if token.type in types.String else token.word or token.text for token in operand)
    if _HAS_CHARACTER_SET.search(words):
        return name if known == collation else ""
    return BINARY_COLLATION if keeps_case(None, collation) else DEFAULT_COLLATION


def read_database_options(create_database: bytes, where: str) -> tuple[bool, list[Change]]:
    """Whether a database compares case by case; and what of its options goes: character set, collation, encryption."""
    changes, is_case_sensitive = _rewrite_options(tokenize(create_database.rstrip(b"; \r\n")), 0, where)
    return is_case_sensitive, changes


def rewrite_table(table: TableDefinition, where: str, column_lists: Iterable[bytes | None] = ()) -> list[Change]:
    """Edit the definition's tokens; what was changed. ``column_lists`` are those of the rows.

    Character sets and collations go. Those that compare case by case become ``utf8mb4_bin``, so that keys that differ
    in case stay apart, and ``binary`` stays. What MySQL does not know but MariaDB writes is said in MySQL's words.
    """
    _refuse_unknown(table, where)
    changes, _ = _rewrite_options(table.tokens, table.options_at, where)
    binary = keeps_case(table.character_set, table.collation)
    for column in table.columns:
        column_where = f"{where}.{shown(quoted(column.name))}"
        changes += _rewrite_collation(table, column, column_where, table_is_binary=binary)
        changes += _rewrite_type(table, column, column_where)
        if rows_hold(column, column_lists):
            changes += _make_plain(table, column, column_where)
    return changes + _take_out_periods(table, where) + rewrite_collate(table.tokens, where, depth=2)


def _refuse_unknown(table: TableDefinition, where: str) -> None:
    """Stop at what only MariaDB has and MySQL has nothing like."""
    cursor = Cursor(table.tokens, table.name_at + 1)
    while cursor.peek() is not None:
        words = cursor.word(), cursor.word(1)
        index = cursor.take()
        if words in _MARIADB_ONLY:
            column = next((column for column in table.columns if column.first <= index < column.last), None)
            place = where if column is None else f"{where}, column {shown(quoted(column.name))}"
            raise UserError(
                f"{place}: MySQL knows no {_MARIADB_ONLY[words]}",
                "take that out of the table's definition in the source, and export again",
            )


def _take_out_periods(table: TableDefinition, where: str) -> list[Change]:
    """``PERIOD FOR``, which but gives a name to two columns."""
    changes = []
    cursor = Cursor(table.tokens, table.name_at + 1, table.options_at)
    while cursor.peek() is not None:
        first = cursor.at
        if cursor.accept(",", "PERIOD", "FOR"):
            cursor.take()
            cursor.skip_parentheses()
            before = take_out(table.tokens, cursor.indexes[first + 1 : cursor.at])
            take_out(table.tokens, cursor.indexes[first : first + 1])
            changes.append(Change("period", where, before, "", _UNKNOWN))
        else:
            cursor.take()
    return changes


def rows_hold(column: Column, column_lists: Iterable[bytes | None]) -> bool:
    """Whether any INSERT with such a list of columns, or with none, has values for the column."""
    return any(names is None or column.name.lower() in _names(names) for names in column_lists)


def _names(column_list: bytes) -> list[str]:
    return [unquoted(token.text).lower() for token in tokenize(column_list) if token.matters and token.text != ","]


def generated_at(table: TableDefinition, column: Column) -> list[int]:
    """The tokens that say from what a column is generated; none for other columns."""
    cursor = Cursor(table.tokens, column.first, column.last)
    while cursor.peek() is not None:
        first = cursor.at
        cursor.accept("GENERATED", "ALWAYS")
        if cursor.word(1) == "(" and cursor.accept("AS"):
            cursor.skip_parentheses()
            cursor.accept("VIRTUAL") or cursor.accept("STORED") or cursor.accept("PERSISTENT")
            return cursor.indexes[first : cursor.at]
        if cursor.word() == "(":
            cursor.skip_parentheses()
        elif cursor.at == first:
            cursor.take()
    return []


def _make_plain(table: TableDefinition, column: Column, where: str) -> list[Change]:
    """MariaDB writes the values of generated columns too; MySQL takes them for plain columns only."""
    generated = generated_at(table, column)
    if not generated:
        return []
    before = take_out(table.tokens, generated)
    return [Change("generated column", where, before, "", "the rows hold its values, which MySQL refuses")]


def _rewrite_options(tokens: list[Token], start: int, where: str) -> tuple[list[Change], bool]:
    """Options of a table, its partitions, or a database; whether the default collation has become ``utf8mb4_bin``."""
    changes: list[Change] = []
    found: list[list[int]] = []
    character_set = collation = None
    cursor = Cursor(tokens, start)
    while cursor.peek() is not None:
        first = cursor.at
        cursor.accept("DEFAULT")
        word = cursor.word()
        if cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET"):
            cursor.accept("=")
            character_set = tokens[cursor.take()].text.strip("'\"`").lower()
            found.append(cursor.indexes[first : cursor.at])
        elif cursor.accept("COLLATE"):
            cursor.accept("=")
            collation = tokens[cursor.take()].text.strip("'\"`").lower()
            found.append(cursor.indexes[first : cursor.at])
        elif word in _DROPPED_OPTIONS or cursor.word(1) == "DIRECTORY":
            cursor.take()
            cursor.accept("DIRECTORY")
            cursor.accept("=")
            value = cursor.take()
            if word != "TABLESPACE" or tokens[value].text:
                before = take_out(tokens, cursor.indexes[first : cursor.at])
                changes.append(Change("table option", where, before, "", _DROPPED_OPTIONS.get(word, _SOURCE_ONLY)))
        elif cursor.accept("WITH", "SYSTEM", "VERSIONING"):
            before = take_out(tokens, cursor.indexes[first : cursor.at])
            changes.append(Change("table option", where, before, "", _UNKNOWN))
        elif word == "ROW_FORMAT" and cursor.word(1 + (cursor.word(1) == "=")) in _SMALL_ROW_FORMATS:
            cursor.take()
            cursor.accept("=")
            cursor.take()
            before = take_out(tokens, cursor.indexes[first : cursor.at])
            changes.append(Change("table option", where, before, "", "its keys hold 767 bytes only"))
        elif cursor.accept("ENGINE"):
            cursor.accept("=")
            engine = cursor.take()
            if tokens[engine].text.upper() == "ARIA":
                changes.append(Change("storage engine", where, tokens[engine].text, "InnoDB", _UNKNOWN))
                tokens[engine].text = "InnoDB"
        else:
            cursor.take()
    binary = keeps_case(character_set, collation)
    changes += _replace_collation(tokens, found, BINARY_COLLATION if binary else None, where, option=True)
    return changes, binary


def _replace_collation(
    tokens: list[Token], found: list[list[int]], collation: str | None, where: str, *, option: bool = False
) -> list[Change]:
    """Take out the clauses ``found``, and put ``COLLATE collation`` in the place of the last."""
    if not found:
        return []
    before = []
    for indexes in found[:-1]:
        before.append(take_out(tokens, indexes))
    last = found[-1]
    space = tokens[last[0] - 1].text
    before.append(take_out(tokens, last))
    after = ""
    if collation:
        after = f"COLLATE={collation}" if option else f"COLLATE {collation}"
        tokens[last[0] - 1].text = space
        tokens[last[0]].text = after
    text = " ".join(before)
    if text == after:
        return []
    return [Change("character set", where, text, after, _CHARACTER_SET_REASON)]


def _rewrite_collation(table: TableDefinition, column: Column, where: str, *, table_is_binary: bool) -> list[Change]:
    if "binary" in (column.character_set, column.collation):
        return []
    cursor = Cursor(table.tokens, column.first, column.last)
    cursor.at = cursor.indexes.index(column.arguments[-1] if column.arguments else column.type_at) + 1
    found: list[list[int]] = []
    while (token := cursor.peek()) is not None:
        first = cursor.at
        if token.text == "(":
            cursor.skip_parentheses()
        elif cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET") or cursor.accept("COLLATE"):
            cursor.accept("=")
            cursor.take()
            found.append(cursor.indexes[first : cursor.at])
        elif column.is_text and (cursor.accept("BINARY") or cursor.accept("ASCII") or cursor.accept("UNICODE")):
            found.append(cursor.indexes[first : cursor.at])
        else:
            cursor.take()
    collation = target_collation(table, column)
    if not found:
        if column.binary:
            end = cursor.indexes[cursor.indexes.index(column.arguments[-1]) + 1] if column.arguments else column.type_at
            table.tokens[end].after = f" COLLATE {collation}"
        return []
    is_default = collation == DEFAULT_COLLATION and not table_is_binary
    return _replace_collation(table.tokens, found, None if is_default else collation, where)


def _rewrite_type(table: TableDefinition, column: Column, where: str) -> list[Change]:
    """MariaDB's types, and its defaults that MySQL wants in parentheses."""
    changes = []
    if column.type in _MARIADB_TYPES:
        token = table.tokens[column.type_at]
        changes.append(Change("column type", where, token.text, _MARIADB_TYPES[column.type], _UNKNOWN))
        token.text = _MARIADB_TYPES[column.type]
    cursor = Cursor(table.tokens, column.first, column.last)
    while cursor.peek() is not None:
        first = cursor.at
        if cursor.word() == "(":
            cursor.skip_parentheses()
        elif cursor.accept("WITH", "SYSTEM", "VERSIONING") or cursor.accept("WITHOUT", "SYSTEM", "VERSIONING"):
            before = take_out(table.tokens, cursor.indexes[first : cursor.at])
            changes.append(Change("column option", where, before, "", _UNKNOWN))
        elif cursor.accept("DEFAULT"):
            changes += _rewrite_default(table, column, cursor, where)
        else:
            cursor.take()
    return changes


def _rewrite_default(table: TableDefinition, column: Column, cursor: Cursor, where: str) -> list[Change]:
    start = cursor.at
    if cursor.word() in ("NULL", "(", "CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"):
        return []
    cursor.take()
    is_call = cursor.word() == "("
    if is_call:
        cursor.skip_parentheses()
    elif column.type in _BLOB_TYPES:
        if cursor.word(-1).startswith("_") or cursor.word(-1) in "-+":
            cursor.take()
    else:
        return []
    first, last = table.tokens[cursor.indexes[start]], table.tokens[cursor.indexes[cursor.at - 1]]
    before = join(table.tokens[cursor.indexes[start] : cursor.indexes[cursor.at - 1] + 1]).decode("latin-1")
    first.before, last.after = "(", ")"
    return [Change("default", where, before, f"({before})", "MySQL wants an expression in parentheses")]
