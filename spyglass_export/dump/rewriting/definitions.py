"""Rewrite the definitions of tables and databases, token by token, so that they load into any MySQL 8 or newer."""

import re
from collections.abc import Iterable
from itertools import pairwise

from sqlparse import tokens as types

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Table
from spyglass_export.dump.sql.create_table import Column, Cursor, TableDefinition
from spyglass_export.dump.sql.session import known_collation
from spyglass_export.dump.sql.tokens import Token, Tokens, join, printable, quoted
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
    # Of MariaDB.
    "PAGE_CHECKSUM": _UNKNOWN,
    "TRANSACTIONAL": _UNKNOWN,
    "PAGE_COMPRESSED": _UNKNOWN,
    "PAGE_COMPRESSION_LEVEL": _UNKNOWN,
    "ENCRYPTED": _UNKNOWN,
    "ENCRYPTION_KEY_ID": _UNKNOWN,
    # Of FEDERATED, with an account in it, and of MERGE.
    "CONNECTION": "it leads to another server",
    "INSERT_METHOD": "InnoDB does not know it",
}
# All others forget their rows, have them elsewhere, or are in few servers: MEMORY, BLACKHOLE, CSV, ARCHIVE, FEDERATED,
# MERGE, NDB; Aria, ROCKSDB, TokuDB, CONNECT, SPIDER of MariaDB and Percona.
_KEPT_ENGINES = {"INNODB", "MYISAM"}
# https://mariadb.com/kb/en/temporal-tables/ and https://mariadb.com/kb/en/sequences/
_MARIADB_ONLY = {
    ("SYSTEM", "VERSIONING"): "tables with a history",
    ("PERIOD", "FOR"): "periods of time",
    ("BY", "SYSTEM_TIME"): "partitions by a row's history",
    ("NEXTVAL", "("): "sequences",
    ("NEXT", "VALUE"): "sequences",
}
_MARIADB_TYPES = {"UUID": "char(36)", "INET6": "varchar(39)", "INET4": "varchar(15)"}
# https://mariadb.com/kb/en/function-differences-between-mariadb-and-mysql/
_MARIADB_FUNCTIONS = {
    "ADD_MONTHS", "CHR", "JSON_COMPACT", "JSON_DETAILED", "JSON_EXISTS", "JSON_LOOSE", "JSON_QUERY", "KDF", "LASTVAL",
    "NATURAL_SORT_KEY", "NVL", "NVL2", "SETVAL", "SFORMAT", "SYS_GUID", "TO_CHAR", "UUID_V4", "UUID_V7",
}  # fmt: skip
_SMALL_ROW_FORMATS = {"COMPACT", "REDUNDANT", "FIXED", "PAGE"}
_KEEPS_CASE = re.compile(r"_bin$|_cs$|_cs_ks$|_turkish_|_tr_0900_|^(cp866|latin7)_general_ci$")
_HAS_CHARACTER_SET = re.compile(
    r"(^| )_\w+ ''$|(CHARSET|CHARACTER SET)( =)? [^ ]+$|^(CONVERT|CAST) \(.* (USING|CHARSET|CHARACTER SET) [^ ]+ \)$"
)
_BLOB_TYPES = {"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON"}
_NOW = ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP")


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


def rewrite_collate(tokens: Tokens, where: str, depth: int = 0) -> list[Change]:
    """``COLLATE`` in expressions, within ``depth`` parentheses at least, as columns have it now; what was changed.

    Operands with a character set of their own keep it: ``_latin1'x'``, ``CONVERT(... USING latin1)``, and the types of
    variables and results, ``CHARSET latin1``.
    """
    changes: list[Change] = []
    if "COLLATE" not in tokens.words:
        return changes
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
                before = take_out(tokens, cursor.since(first))
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


def read_database_options(create_database: str, where: str) -> tuple[bool, list[Change]]:
    """Whether a database compares case by case; and what of its options goes: character set, collation, encryption."""
    changes, is_case_sensitive = _rewrite_options(Tokens(create_database), 0, where)
    return is_case_sensitive, changes


def rewrite_table(table: Table) -> list[Change]:
    """Edit the definition's tokens; what was changed.

    Character sets and collations go. Those that compare case by case become ``utf8mb4_bin``, so that keys that differ
    in case stay apart, and ``binary`` stays. What MySQL does not know but MariaDB writes is said in MySQL's words.

    Raises `UserError` for what MySQL has nothing like, `NotUnderstoodError` for what is not SQL.
    """
    definition = table.definition
    _refuse_unknown(table)
    changes, _ = _rewrite_options(definition.tokens, definition.options_at, table.where)
    is_case_sensitive = keeps_case(definition.character_set, definition.collation)
    for column in definition.columns:
        where = table.column_where(column.name)
        if column.binary or not {"CHARACTER", "CHARSET", "COLLATE", "ASCII", "UNICODE"}.isdisjoint(column.words):
            changes += _rewrite_collation(definition, column, where, table_is_case_sensitive=is_case_sensitive)
        changes += _rewrite_type(table, column, where)
        if rows_hold(table, column):
            changes += _make_plain(definition, column, where)
    return changes + rewrite_collate(definition.tokens, table.where, depth=2)


def _refuse_unknown(table: Table) -> None:
    """Stop at what only MariaDB has and MySQL has nothing like."""
    definition = table.definition
    cursor = Cursor(definition.tokens, definition.name_at + 1)
    words = [cursor.word(ahead) for ahead in range(len(cursor.indexes))]
    for at, pair in enumerate(pairwise(words)):
        if pair in _MARIADB_ONLY:
            index = cursor.indexes[at]
            column = next((column for column in definition.columns if column.first <= index < column.last), None)
            place = table.where if column is None else f"{table.where}, column {printable(quoted(column.name))}"
            raise UserError(
                f"{place}: MySQL knows no {_MARIADB_ONLY[pair]}",
                "take that out of the table's definition in the source, and export again",
            )


def rows_hold(table: Table, column: Column) -> bool:
    """Whether any INSERT with such a list of columns, or with none, has values for the column."""
    return any(names is None or column.name.lower() in names for names in table.column_lists)


def generated_at(table: TableDefinition, column: Column) -> list[int]:
    """The tokens that say from what a column is generated; none for other columns."""
    if "AS" not in column.words:
        return []
    cursor = Cursor(table.tokens, column.first, column.last)
    while cursor.peek() is not None:
        first = cursor.at
        cursor.accept("GENERATED", "ALWAYS")
        if cursor.word(1) == "(" and cursor.accept("AS"):
            cursor.skip_parentheses()
            cursor.accept("VIRTUAL") or cursor.accept("STORED") or cursor.accept("PERSISTENT")
            return cursor.since(first)
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


def _rewrite_options(tokens: Tokens, start: int, where: str) -> tuple[list[Change], bool]:
    """Options of a table, its partitions, or a database; whether the default collation has become ``utf8mb4_bin``."""
    changes: list[Change] = []
    found: list[list[int]] = []
    said: dict[str, str] = {}
    cursor = Cursor(tokens, start)

    def leave_out(first: int, reason: str, shown: str = "") -> None:
        before = take_out(tokens, cursor.since(first))
        changes.append(Change("table option", where, shown or printable(before), "", reason))

    while cursor.peek() is not None:
        first = cursor.at
        cursor.accept("DEFAULT")
        word = cursor.word()
        if cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET") or cursor.accept("COLLATE"):
            cursor.accept("=")
            said["COLLATE" if word == "COLLATE" else "CHARSET"] = tokens[cursor.take()].text.strip("'\"`").lower()
            found.append(cursor.since(first))
        elif word in _DROPPED_OPTIONS or cursor.word(1) == "DIRECTORY":
            cursor.take()
            cursor.accept("DIRECTORY")
            cursor.accept("=")
            cursor.take()
            leave_out(first, _DROPPED_OPTIONS.get(word, _SOURCE_ONLY), "CONNECTION" if word == "CONNECTION" else "")
        elif word == "UNION" and cursor.word(1 + (cursor.word(1) == "=")) == "(":
            cursor.take()
            cursor.accept("=")
            cursor.skip_parentheses()
            leave_out(first, "InnoDB does not know it: the rows are those of these tables")
        elif word == "ROW_FORMAT" and cursor.word(1 + (cursor.word(1) == "=")) in _SMALL_ROW_FORMATS:
            cursor.take()
            cursor.accept("=")
            cursor.take()
            leave_out(first, "its keys hold 767 bytes only")
        elif cursor.accept("ENGINE"):
            cursor.accept("=")
            engine = tokens[cursor.take()]
            if engine.text.strip("'\"`").upper() not in _KEPT_ENGINES:
                reason = "it forgets its rows, has them elsewhere, or is not in MySQL"
                changes.append(Change("storage engine", where, engine.text, "InnoDB", reason))
                engine.text = "InnoDB"
        else:
            cursor.take()
    is_case_sensitive = keeps_case(said.get("CHARSET"), said.get("COLLATE"))
    after = f"COLLATE={BINARY_COLLATION}" if is_case_sensitive else ""
    return changes + _replace_collation(tokens, found, after, where), is_case_sensitive


def _replace_collation(tokens: Tokens, found: list[list[int]], after: str, where: str) -> list[Change]:
    """Take out the clauses ``found``, and put ``after`` in the place of the last."""
    if not found:
        return []
    before = [take_out(tokens, indexes) for indexes in found[:-1]]
    last = found[-1][0]
    space = tokens[last - 1].text
    before.append(take_out(tokens, found[-1]))
    if after:
        tokens[last - 1].text = space
        tokens[last].text = after
    text = " ".join(before)
    return [] if text == after else [Change("character set", where, text, after, _CHARACTER_SET_REASON)]


def _rewrite_collation(
    table: TableDefinition, column: Column, where: str, *, table_is_case_sensitive: bool
) -> list[Change]:
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
            found.append(cursor.since(first))
        elif column.is_text and (cursor.accept("BINARY") or cursor.accept("ASCII") or cursor.accept("UNICODE")):
            found.append(cursor.since(first))
        else:
            cursor.take()
    collation = target_collation(table, column)
    if not found:
        if column.binary:
            end = cursor.indexes[cursor.indexes.index(column.arguments[-1]) + 1] if column.arguments else column.type_at
            table.tokens[end].after = f" COLLATE {collation}"
        return []
    is_default = collation == DEFAULT_COLLATION and not table_is_case_sensitive
    return _replace_collation(table.tokens, found, "" if is_default else f"COLLATE {collation}", where)


def _rewrite_type(table: Table, column: Column, where: str) -> list[Change]:
    """MariaDB's types, and its defaults that MySQL wants in parentheses."""
    changes = []
    tokens = table.definition.tokens
    if column.type in _MARIADB_TYPES:
        token = tokens[column.type_at]
        changes.append(Change("column type", where, token.text, _MARIADB_TYPES[column.type], _UNKNOWN))
        token.text = _MARIADB_TYPES[column.type]
    if {"DEFAULT", "ON"}.isdisjoint(column.words):
        return changes
    cursor = Cursor(tokens, column.first, column.last)
    while cursor.peek() is not None:
        if cursor.word() == "(":
            cursor.skip_parentheses()
        elif cursor.accept("DEFAULT"):
            changes += _rewrite_default(table, column, cursor, where)
        elif cursor.accept("ON", "UPDATE"):
            changes += _rewrite_on_update(table, column, cursor, where)
        else:
            cursor.take()
    return changes


def _precision(table: Table, arguments: list[int]) -> str:
    return "".join(table.definition.tokens[at].text for at in arguments) or "0"


def _rewrite_default(table: Table, column: Column, cursor: Cursor, where: str) -> list[Change]:
    tokens = table.definition.tokens
    start = cursor.at
    word = cursor.word()
    if word in ("NULL", "("):
        return []
    cursor.take()
    call = cursor.skip_parentheses() if (is_call := cursor.word() == "(") else []
    if is_call and word in _MARIADB_FUNCTIONS:
        raise UserError(
            f"{where}: MySQL knows no function {word.lower()}(), which its default calls",
            "change the column's default in the source, and export again",
        )
    if word in _NOW:  # MariaDB takes it for any type, MySQL for these two at the column's own precision
        if column.type in ("DATETIME", "TIMESTAMP") and _precision(table, call) == _precision(table, column.arguments):
            return []
    elif not is_call:
        if column.type not in _BLOB_TYPES:
            return []
        if cursor.word(-1).startswith("_") or cursor.word(-1) in "-+":
            cursor.take()
    taken = cursor.since(start)
    before = join(tokens[taken[0] : taken[-1] + 1])
    tokens[taken[0]].before, tokens[taken[-1]].after = "(", ")"
    return [Change("default", where, before, f"({before})", "MySQL wants an expression in parentheses")]


def _rewrite_on_update(table: Table, column: Column, cursor: Cursor, where: str) -> list[Change]:
    """MySQL wants the column's own precision there; a time that is set with more digits is the same time."""
    tokens = table.definition.tokens
    start = cursor.at
    if cursor.word() not in _NOW:
        return []
    cursor.take()
    call = cursor.skip_parentheses() if cursor.word() == "(" else []
    precision = _precision(table, column.arguments)
    if _precision(table, call) == precision and column.type in ("DATETIME", "TIMESTAMP"):
        return []
    if column.type not in ("DATETIME", "TIMESTAMP"):
        raise UserError(
            f"{where}: MySQL sets no {column.type.lower()} ON UPDATE",
            "take ON UPDATE out of the column's definition in the source, and export again",
        )
    taken = cursor.since(start)
    before = take_out(tokens, taken)
    tokens[taken[0]].text = after = f"CURRENT_TIMESTAMP({precision})"
    tokens[taken[0]].before = " "
    return [Change("on update", where, before, after, "MySQL wants the column's own precision")]
