"""Rewrite the definitions of tables and databases, token by token, so that they load into any MySQL 8 or newer."""

import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise

from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.rewriting.collations import DEFAULT_COLLATION, new_collation, target_collation
from spyglass_export.dump.sql.create_table import Column, Cursor
from spyglass_export.dump.sql.session import known_collation
from spyglass_export.dump.sql.tokens import Tokens, printable, quoted, unquoted
from spyglass_export.errors import UserError

_CHARACTER_SET_REASON = "everything is utf8mb4, the server's default"
_SOURCE_ONLY = "only makes sense on the source server"
# Of MariaDB's compressed, encrypted and Aria tables; of FEDERATED, with an account in it; and of MERGE.
_DROPPED_OPTIONS = dict.fromkeys(
    (
        "ENCRYPTED", "ENCRYPTION_KEY_ID", "PAGE_CHECKSUM", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "TRANSACTIONAL",
        "CONNECTION", "INSERT_METHOD", "UNION",
    ),
    "InnoDB does not know it",
) | {"TABLESPACE": _SOURCE_ONLY, "ENCRYPTION": _SOURCE_ONLY}  # fmt: skip
# All others forget their rows, have them elsewhere, or are in few servers: MEMORY, BLACKHOLE, CSV, ARCHIVE, FEDERATED,
# MERGE, NDB; Aria, ROCKSDB, TokuDB, CONNECT, SPIDER of MariaDB and Percona.
_KEPT_ENGINES = {"INNODB", "MYISAM"}
_MARIADB_TYPES = {"UUID": "char(36)", "INET6": "varchar(39)", "INET4": "varchar(15)"}
# https://mariadb.com/kb/en/function-differences-between-mariadb-and-mysql/
_MARIADB_FUNCTIONS = (
    "ADD_MONTHS", "CHR", "JSON_COMPACT", "JSON_DETAILED", "JSON_EXISTS", "JSON_LOOSE", "JSON_QUERY", "KDF", "LASTVAL",
    "NATURAL_SORT_KEY", "NEXTVAL", "NVL", "NVL2", "SETVAL", "SFORMAT", "SYS_GUID", "TO_CHAR", "UUID_V4", "UUID_V7",
)  # fmt: skip
# https://mariadb.com/kb/en/temporal-tables/
_MARIADB_ONLY = {(function, "(") for function in _MARIADB_FUNCTIONS} | {
    ("SYSTEM", "VERSIONING"), ("PERIOD", "FOR"), ("BY", "SYSTEM_TIME"), ("NEXT", "VALUE"),
}  # fmt: skip
# These row formats are of tables that MySQL 5.6 and older made, or Aria.
_DROPPED_PAIRS = dict.fromkeys(
    [("ROW_FORMAT", kind) for kind in ("COMPACT", "REDUNDANT", "FIXED", "PAGE")], "its keys hold 767 bytes only"
) | {("DATA", "DIRECTORY"): _SOURCE_ONLY, ("INDEX", "DIRECTORY"): _SOURCE_ONLY}
# What stands before COLLATE, and has a character set of its own: _latin1'x', CONVERT(... USING latin1), CHARSET latin1.
_HAS_CHARACTER_SET = re.compile(r"(^| )(_\w+ ''|(CHARSET|CHARACTER SET)( =)? [^ ]+( \))?|USING [^ ]+ \))$")
_BLOB_TYPES = {"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON"}
_LONGEST_NAME = 64  # https://dev.mysql.com/doc/refman/9.7/en/identifier-length.html
_NUMBERED = re.compile(r"(?:_ibfk|_chk)?_[0-9]{1,6}$")
_NOW = ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP")


def rewrite_collate(export: Export, tokens: Tokens, where: str, depth: int = 0) -> None:
    """Have ``COLLATE`` in expressions, within ``depth`` parentheses at least, as columns have it now.

    Servers write it into views and generated columns. Where its operand has a character set of its own, it stays.
    """
    if "COLLATE" not in tokens.words:
        return
    words = tokens.outside_strings
    for at, word in enumerate(words):
        depth -= (word == "(") - (word == ")")
        said = at + 2 if words[at + 1 : at + 2] == ["="] else at + 1
        if word != "COLLATE" or depth > 0 or not at or not tokens.texts[said]:  # or it went with a generated column
            continue
        after = _new_collation(tokens.texts[said], " ".join(words[max(0, at - 4) : at]))
        before = tokens.replace(range(said if after else at, said + 1), after)
        if after != before:
            export.note("collation", where, before, after, _CHARACTER_SET_REASON)


def _new_collation(name: str, operand: str) -> str:
    """What stands for a collation after the words of this operand; '' where it has to go."""
    collation = name.strip("'\"`").lower()
    known = known_collation(collation)
    if collation.startswith(("utf8mb4_", "binary")):
        return name if known == collation else known
    if _HAS_CHARACTER_SET.search(operand):
        return name if known == collation else ""
    return new_collation(None, collation)


def rewrite_table(export: Export, table: Table) -> None:
    """Edit the definition's tokens; raise `UserError` for what MySQL has nothing like.

    Character sets and collations go. Those that compare case by case become ``utf8mb4_bin``, so that keys that differ
    in case stay apart, and ``binary`` stays. What MySQL does not know but MariaDB writes is said in MySQL's words.
    """
    definition = table.definition
    rewrite_options(export, definition.tokens, definition.options_at, table.id.where)
    collation = new_collation(definition.character_set, definition.collation)
    for column in definition.columns:
        _rewrite_column(export, table, column, collation)
    for at, pair in enumerate(pairwise(definition.tokens.words)):
        if pair in _MARIADB_ONLY and definition.tokens.texts[at]:  # where it is there still
            where = next((table.column_where(one.name) for one in definition.columns if at in one.at), table.id.where)
            what = f"{where}: MySQL knows no {' '.join(pair).lower().strip(' (')}"
            raise UserError(what, "take that out of the table's definition in the source, and export again")
    rewrite_collate(export, definition.tokens, table.id.where, depth=2)


def _rewrite_column(export: Export, table: Table, column: Column, of_table: str) -> None:
    tokens = table.definition.tokens

    def replace(kind: str, at: range, after: str, reason: str) -> None:
        export.note(kind, table.column_where(column.name), tokens.replace(at, after), after, reason)

    def digits(at: range) -> str:
        return "".join(tokens.texts[index] for index in at) or "0"

    def is_taken(time: range) -> bool:
        """Whether MySQL takes a call such as ``NOW(6)`` for the column: for two types, with the column's own digits."""
        return column.type in ("DATETIME", "TIMESTAMP") and digits(time[2:-1]) == digits(column.arguments)

    if (column.collation_at or column.kept_apart) and "binary" not in (column.character_set, column.collation):
        collation = target_collation(table.definition, column)
        if not column.collation_at:  # its keys are kept apart
            tokens.texts[column.arguments.stop or column.type_at] += f" COLLATE {collation}"
        after = "" if collation == of_table == DEFAULT_COLLATION else f"COLLATE {collation}"
        _replace_collation(export, tokens, column.collation_at, after, table.column_where(column.name))
    if column.type in _MARIADB_TYPES:
        at = range(column.type_at, column.type_at + 1)
        replace("column type", at, _MARIADB_TYPES[column.type], "MySQL does not know it")
    if column.default:
        word = tokens.words[column.default[0]]
        is_literal = tokens.words[column.default[0] + 1] != "(" and column.type not in _BLOB_TYPES
        is_known = is_taken(column.default) if word in _NOW else is_literal
        if not is_known and word not in ("NULL", "("):  # MariaDB writes no parentheses
            after = f"({tokens.between(column.default)})"
            replace("default", column.default, after, "MySQL wants an expression in parentheses")
    # MariaDB takes any precision; a time that is set with more digits is the same.
    if column.on_update and tokens.words[column.on_update[0]] in _NOW and not is_taken(column.on_update):
        after = f"CURRENT_TIMESTAMP({digits(column.arguments)})"
        replace("on update", column.on_update, after, "MySQL wants the column's own precision")
    if column.generated and table.rows_hold(column.name):  # as MariaDB writes them
        replace("generated column", column.generated, "", "the rows hold its values, which MySQL refuses")


def rewrite_options(export: Export, tokens: Tokens, start: int, where: str) -> str:
    """Take out what goes of the options of a table, its partitions, or a database; its collation where not MySQL's."""
    found: list[range] = []
    said: dict[str, str] = {}
    cursor = Cursor(tokens, start)
    while cursor.word():
        first = cursor.at
        cursor.accept("DEFAULT")
        word = unquoted(cursor.word()).upper()  # MariaDB quotes options that are its own
        value = cursor.word(2 if cursor.word(1) == "=" else 1)
        if cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET") or cursor.accept("COLLATE"):
            said["COLLATE" if word == "COLLATE" else "CHARSET"] = cursor.plain()
            found.append(range(first, cursor.at))
        elif cursor.accept("ENGINE"):
            if cursor.plain().upper() not in _KEPT_ENGINES:
                engine = tokens.replace(range(cursor.at - 1, cursor.at), "InnoDB")
                reason = "it forgets its rows, has them elsewhere, or is not in MySQL"
                export.note("storage engine", where, engine, "InnoDB", reason)
        elif why := _DROPPED_OPTIONS.get(word) or _DROPPED_PAIRS.get((word, value)):
            cursor.take()
            cursor.accept("DIRECTORY")
            cursor.accept("=")
            cursor.step()
            before = printable(tokens.replace(range(first, cursor.at)))
            shown = word if word == "CONNECTION" else before  # there is an account in it
            export.note("table option", where, shown, "", why)
        else:
            cursor.take()
    collation = new_collation(said.get("CHARSET"), said.get("COLLATE"))
    collation = "" if collation == DEFAULT_COLLATION else collation
    _replace_collation(export, tokens, found, collation and f"COLLATE={collation}", where)
    return collation


def _replace_collation(export: Export, tokens: Tokens, found: Sequence[range], after: str, where: str) -> None:
    """Take out the clauses ``found``, and put ``after`` in the place of the last."""
    before = " ".join(tokens.replace(at, after if at == found[-1] else "") for at in found)
    if before != after and found:
        export.note("character set", where, before, after, _CHARACTER_SET_REASON)


def rename_constraints(export: Export) -> None:
    """Shorten names that servers before MySQL 8 made, and tell MariaDB's `CONSTRAINT_1` of one table from another's."""
    taken: set[tuple[str, str, str]] = set()
    for table in export.tables.values():
        texts = table.definition.tokens.texts
        for kind, at in table.definition.constraints:
            name = new = unquoted(texts[at])
            if len(name) > _LONGEST_NAME or (table.id.schema, kind, name.lower()) in taken:
                digest = hashlib.sha256(f"{table.id.name}.{name}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
                number = found.group() if (found := _NUMBERED.search(name)) else ""
                end = f"_{digest}{number}"
                new = name.removesuffix(number)[: _LONGEST_NAME - len(end)] + end
                texts[at] = quoted(new)
                reason = f"MySQL takes {_LONGEST_NAME} characters, and each name once in a schema"
                export.note("constraint name", table.id.where, printable(name), printable(new), reason)
            taken.add((table.id.schema, kind, new.lower()))
