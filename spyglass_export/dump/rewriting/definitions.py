"""Rewrite the definitions of tables and databases, token by token, so that they load into any MySQL 8 or newer."""

import hashlib
import re
from collections.abc import Sequence

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.sql.create_table import Column, Cursor, TableDefinition
from spyglass_export.dump.sql.session import known_collation
from spyglass_export.dump.sql.tokens import Tokens, printable, quoted, unquoted
from spyglass_export.errors import UserError

BINARY_COLLATION = "utf8mb4_bin"
EXACT_COLLATION = "utf8mb4_0900_bin"  # for which spaces at the end count too; since MySQL 8.0.17
DEFAULT_COLLATION = "utf8mb4_0900_ai_ci"  # of utf8mb4 in MySQL 8 and newer
_CHARACTER_SET_REASON = "everything is utf8mb4, the server's default"
_SOURCE_ONLY = "only makes sense on the source server"
_UNKNOWN = "MySQL does not know it"
_MARIADB_OPTIONS = (
    "ENCRYPTED", "ENCRYPTION_KEY_ID", "PAGE_CHECKSUM", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "TRANSACTIONAL",
)  # fmt: skip
_DROPPED_OPTIONS = dict.fromkeys(_MARIADB_OPTIONS, _UNKNOWN) | {
    "TABLESPACE": _SOURCE_ONLY,
    "ENCRYPTION": _SOURCE_ONLY,
    # Of FEDERATED, with an account in it, and of MERGE.
    "CONNECTION": "it leads to another server",
    "INSERT_METHOD": "InnoDB does not know it",
    "UNION": "InnoDB does not know it: the rows are those of these tables",
    "ROW_FORMAT": "its keys hold 767 bytes only",
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
_MARIADB_BEGINNINGS = {first for first, _ in _MARIADB_ONLY}
_MARIADB_TYPES = {"UUID": "char(36)", "INET6": "varchar(39)", "INET4": "varchar(15)"}
# https://mariadb.com/kb/en/function-differences-between-mariadb-and-mysql/
_MARIADB_FUNCTIONS = {
    "ADD_MONTHS", "CHR", "JSON_COMPACT", "JSON_DETAILED", "JSON_EXISTS", "JSON_LOOSE", "JSON_QUERY", "KDF", "LASTVAL",
    "NATURAL_SORT_KEY", "NVL", "NVL2", "SETVAL", "SFORMAT", "SYS_GUID", "TO_CHAR", "UUID_V4", "UUID_V7",
}  # fmt: skip
_SMALL_ROW_FORMATS = {"COMPACT", "REDUNDANT", "FIXED", "PAGE"}  # of tables that MySQL 5.6 and older made, or Aria
_KEEPS_CASE = re.compile(r"_bin$|_cs$|_cs_ks$|_turkish_|_tr_0900_|^(cp866|latin7)_general_ci$")
# What stands before COLLATE, and has a character set of its own: _latin1'x', CONVERT(... USING latin1), CHARSET latin1.
_HAS_CHARACTER_SET = re.compile(r"(^| )(_\w+ ''|(CHARSET|CHARACTER SET)( =)? [^ ]+( \))?|USING [^ ]+ \))$")
_BLOB_TYPES = {"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON"}
_LONGEST_NAME = 64  # https://dev.mysql.com/doc/refman/9.7/en/identifier-length.html
_NUMBERED = re.compile(r"(?:_ibfk|_chk)?_[0-9]{1,6}$")
_TIMES = ("DATETIME", "TIMESTAMP")
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
    if column.kept_apart:
        return column.kept_apart
    return BINARY_COLLATION if keeps_case(*table.collation_of(column)) else DEFAULT_COLLATION


def rewrite_collate(tokens: Tokens, where: str, depth: int = 0) -> list[Change]:
    """``COLLATE`` in expressions, within ``depth`` parentheses at least, as columns have it now; what was changed.

    Servers write it into views and generated columns. Where its operand has a character set of its own, it stays.
    """
    changes: list[Change] = []
    if "COLLATE" not in tokens.words:
        return changes
    words = tokens.outside_strings
    for at, word in enumerate(words):
        depth -= (word == "(") - (word == ")")
        said = at + 2 if words[at + 1 : at + 2] == ["="] else at + 1
        if word != "COLLATE" or depth > 0 or not at or not tokens.texts[said]:  # or it went with a generated column
            continue
        before = tokens.texts[said]
        after = _new_collation(before, " ".join(words[max(0, at - 4) : at]))
        if after:
            tokens.texts[said] = after
        else:
            before = tokens.take_out(range(at, said + 1))
        if after != before:
            changes.append(Change("collation", where, before, after, _CHARACTER_SET_REASON))
    return changes


def _new_collation(name: str, operand: str) -> str:
    """What stands for a collation after the words of this operand; '' where it has to go."""
    collation = name.strip("'\"`").lower()
    known = known_collation(collation)
    if collation.startswith(("utf8mb4_", "binary")):
        return name if known == collation else known
    if _HAS_CHARACTER_SET.search(operand):
        return name if known == collation else ""
    return BINARY_COLLATION if keeps_case(None, collation) else DEFAULT_COLLATION


def rewrite_table(table: Table) -> list[Change]:
    """Edit the definition's tokens; what was changed.

    Character sets and collations go. Those that compare case by case become ``utf8mb4_bin``, so that keys that differ
    in case stay apart, and ``binary`` stays. What MySQL does not know but MariaDB writes is said in MySQL's words.

    Raises `UserError` for what MySQL has nothing like.
    """
    definition = table.definition
    _refuse_unknown(table)
    changes, _ = rewrite_options(definition.tokens, definition.options_at, table.where)
    if definition.engine not in _KEPT_ENGINES:
        definition.engine = "INNODB"
    is_case_sensitive = keeps_case(definition.character_set, definition.collation)
    for column in definition.columns:
        if column.collation_at or column.kept_apart:
            changes += _rewrite_collation(table, column, table_is_case_sensitive=is_case_sensitive)
        if column.type in _MARIADB_TYPES:
            at = range(column.type_at, column.type_at + 1)
            changes.append(_replace(table, column, "column type", at, _MARIADB_TYPES[column.type], _UNKNOWN))
        if column.default:
            changes += _rewrite_default(table, column)
        if column.on_update:
            changes += _rewrite_on_update(table, column)
        if column.generated and rows_hold(table, column):
            before = definition.tokens.take_out(column.generated)
            reason = "the rows hold its values, which MySQL refuses"  # as MariaDB writes them
            changes.append(Change("generated column", table.column_where(column.name), before, "", reason))
    return changes + rewrite_collate(definition.tokens, table.where, depth=2)


def _refuse_unknown(table: Table) -> None:
    """Stop at what only MariaDB has and MySQL has nothing like."""
    definition = table.definition
    words = definition.tokens.words
    if _MARIADB_BEGINNINGS.isdisjoint(words):
        return
    for at in range(definition.name_at + 1, len(words) - 1):
        if what := _MARIADB_ONLY.get((words[at], words[at + 1])):
            raise UserError(
                f"{place(table, definition.column_at(at))}: MySQL knows no {what}",
                "take that out of the table's definition in the source, and export again",
            )


def place(table: Table, column: Column | None) -> str:
    """The table, and the column of it where there is one, for an error."""
    return table.where if column is None else f"{table.where}, column {printable(quoted(column.name))}"


def rows_hold(table: Table, column: Column) -> bool:
    """Whether any INSERT with such a list of columns, or with none, has values for the column."""
    return any(names is None or column.name.lower() in names for names in table.column_lists)


def rewrite_options(tokens: Tokens, start: int, where: str) -> tuple[list[Change], bool]:
    """What goes of a table's options, its partitions', or a database's; whether ``utf8mb4_bin`` is the default now."""
    changes: list[Change] = []
    found: list[range] = []
    said: dict[str, str] = {}
    cursor = Cursor(tokens, start)
    while cursor.word():
        first = cursor.at
        cursor.accept("DEFAULT")
        word = unquoted(cursor.word()).upper()  # MariaDB quotes options that are its own
        if cursor.accept("CHARACTER", "SET") or cursor.accept("CHARSET") or cursor.accept("COLLATE"):
            said["COLLATE" if word == "COLLATE" else "CHARSET"] = cursor.plain()
            found.append(cursor.since(first))
        elif cursor.accept("ENGINE"):
            cursor.accept("=")
            engine = tokens.texts[cursor.take()]
            if engine.strip("'\"`").upper() not in _KEPT_ENGINES:
                tokens.texts[cursor.at - 1] = "InnoDB"
                reason = "it forgets its rows, has them elsewhere, or is not in MySQL"
                changes.append(Change("storage engine", where, engine, "InnoDB", reason))
        elif why := _why_to_drop(word, cursor):
            cursor.take()
            cursor.accept("DIRECTORY")
            cursor.accept("=")
            cursor.step()
            before = printable(tokens.take_out(cursor.since(first)))
            shown = word if word == "CONNECTION" else before  # there is an account in it
            changes.append(Change("table option", where, shown, "", why))
        else:
            cursor.take()
    is_case_sensitive = keeps_case(said.get("CHARSET"), said.get("COLLATE"))
    after = f"COLLATE={BINARY_COLLATION}" if is_case_sensitive else ""
    return changes + _replace_collation(tokens, found, after, where), is_case_sensitive


def _why_to_drop(option: str, cursor: Cursor) -> str | None:
    if cursor.word(1) == "DIRECTORY":
        return _SOURCE_ONLY
    value = cursor.word(2 if cursor.word(1) == "=" else 1)
    if (option == "UNION" and value != "(") or (option == "ROW_FORMAT" and value not in _SMALL_ROW_FORMATS):
        return None
    return _DROPPED_OPTIONS.get(option)


def _replace_collation(tokens: Tokens, found: Sequence[range], after: str, where: str) -> list[Change]:
    """Take out the clauses ``found``, and put ``after`` in the place of the last."""
    if not found:
        return []
    before = [tokens.take_out(at) for at in found[:-1]]
    before.append(tokens.replace(found[-1], after) if after else tokens.take_out(found[-1]))
    text = " ".join(before)
    return [] if text == after else [Change("character set", where, text, after, _CHARACTER_SET_REASON)]


def _rewrite_collation(table: Table, column: Column, *, table_is_case_sensitive: bool) -> list[Change]:
    if "binary" in (column.character_set, column.collation):
        return []
    tokens = table.definition.tokens
    collation = target_collation(table.definition, column)
    if not column.collation_at:  # its keys are kept apart
        tokens.texts[column.arguments.stop or column.type_at] += f" COLLATE {collation}"
        return []
    is_default = collation == DEFAULT_COLLATION and not table_is_case_sensitive
    after = "" if is_default else f"COLLATE {collation}"
    return _replace_collation(tokens, column.collation_at, after, table.column_where(column.name))


def _replace(table: Table, column: Column, kind: str, at: range, after: str, reason: str) -> Change:
    before = table.definition.tokens.replace(at, after)
    return Change(kind, table.column_where(column.name), before, after, reason)


def _digits(table: Table, arguments: range) -> str:
    return "".join(table.definition.tokens.texts[at] for at in arguments) or "0"


def _is_taken(table: Table, column: Column, time: range) -> bool:
    """Whether MySQL takes a call such as ``NOW(6)`` for the column: for two types, with the column's own digits."""
    return column.type in _TIMES and _digits(table, time[2:-1]) == _digits(table, column.arguments)


def _rewrite_default(table: Table, column: Column) -> list[Change]:
    """Put what MySQL takes in parentheses only into parentheses: MariaDB writes none."""
    words = table.definition.tokens.words
    word = words[column.default[0]]
    is_call = words[column.default[0] + 1] == "("
    if word in ("NULL", "("):
        return []
    if is_call and word in _MARIADB_FUNCTIONS:
        raise UserError(
            f"{table.column_where(column.name)}: MySQL knows no function {word.lower()}(), which its default calls",
            "change the column's default in the source, and export again",
        )
    is_literal = not is_call and column.type not in _BLOB_TYPES
    if _is_taken(table, column, column.default) if word in _NOW else is_literal:
        return []
    after = f"({table.definition.tokens.between(column.default)})"
    return [_replace(table, column, "default", column.default, after, "MySQL wants an expression in parentheses")]


def _rewrite_on_update(table: Table, column: Column) -> list[Change]:
    """MySQL wants the column's own precision, MariaDB takes any; a time that is set with more digits is the same."""
    if table.definition.tokens.words[column.on_update[0]] not in _NOW or _is_taken(table, column, column.on_update):
        return []
    after = f"CURRENT_TIMESTAMP({_digits(table, column.arguments)})"
    return [_replace(table, column, "on update", column.on_update, after, "MySQL wants the column's own precision")]


def rename_constraints(export: Export) -> list[Change]:
    """Rename what has too long a name, as servers before MySQL 8 made of long names of tables, or one that is taken.

    MariaDB numbers the checks of each table anew: `CONSTRAINT_1`.
    """
    changes = []
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
                changes.append(Change("constraint name", table.where, printable(name), printable(new), reason))
            taken.add((table.id.schema, kind, new.lower()))
    return changes
