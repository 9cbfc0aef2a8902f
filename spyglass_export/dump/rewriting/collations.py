"""Keep apart under utf8mb4 what was apart in the source: keys that differ in accents, and text that grows in bytes.

Dropping a collation such as ``latin1_swedish_ci`` means ``utf8mb4_0900_ai_ci``, for which 'Bjorn' and 'Björn' are one
key, as are 'a' and 'a' with a NUL byte after it. ASCII without control characters compares alike in all collations that
ignore case, so one of two such keys is beyond that. Where it is beyond the letters of Western Europe too, the column
gets ``utf8mb4_bin`` at once: what is alike in other scripts is more than can be told here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise, repeat

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export, Rows, Table
from spyglass_export.dump.reading.sources import COPY_AGAIN
from spyglass_export.dump.reading.values import is_ascii, is_usual, may_be_unusual, read_values, text_of
from spyglass_export.dump.rewriting.definitions import (
    BINARY_COLLATION,
    DEFAULT_COLLATION,
    EXACT_COLLATION,
    generated_at,
    keeps_case,
    rows_hold,
    target_collation,
)
from spyglass_export.dump.rewriting.tied_columns import Group
from spyglass_export.dump.sql.create_table import Column, Cursor, Index, TableDefinition
from spyglass_export.dump.sql.tokens import join, printable, quoted, unquoted
from spyglass_export.errors import UserError

# Bytes: https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_TEXT_BYTES = {"TINYTEXT": 255, "TEXT": 65535, "MEDIUMTEXT": 16777215, "LONGTEXT": 4294967295}
_UNICODE = ("utf8mb4", "utf8mb3", "utf8")
# fmt: off
_BYTE_FUNCTIONS = {
    "AES_DECRYPT", "AES_ENCRYPT", "ASCII", "BIT_LENGTH", "CAST", "COMPRESS", "CONVERT", "CRC32", "FROM_BASE64", "HEX",
    "LENGTH", "MD5", "OCTET_LENGTH", "ORD", "SHA", "SHA1", "SHA2", "TO_BASE64", "UNHEX", "WEIGHT_STRING",
}
# fmt: on
_NOT_AS_ASCII = ("ucs2", "utf16", "utf16le", "utf32", "swe7")  # in which ASCII takes other bytes
# Letters with a stroke, and ligatures, are no decompositions in Unicode but weigh like these in its collation.
_ALIKE = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
_IGNORED = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f]")


def fold(text: str) -> str:
    """A form that is the same for any two texts that ``utf8mb4_0900_ai_ci`` takes for equal.

    That is certain for texts with the letters of `is_known`; each was compared in MySQL 9.7, by WEIGHT_STRING().
    """
    if text.isascii() and text.isprintable():  # as nearly all are, and told in a twentieth of the time
        return text.lower()
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_ALIKE)
    return _IGNORED.sub("", "".join(letter for letter in plain if unicodedata.category(letter) not in ("Mn", "Cf")))


def is_known(text: str) -> bool:
    """Whether all letters are of ASCII and cp1252, MySQL's latin1."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


Groups = Mapping[tuple[str, str, str], Group]


def keep_apart(export: Export, groups: Groups) -> list[Change]:
    """Give ``utf8mb4_bin`` to columns whose keys may collide, and to those tied to them; widen text that grows.

    Keys that ``utf8mb4_bin`` takes for equal, as they differ in spaces at their end only, get ``utf8mb4_0900_bin``.
    ``groups`` are the columns tied by foreign keys, by schema, table and column in lower case. To be called before
    collations are taken out of the definitions. Raises `UserError` for rows dumped as bytes of another character set.
    """
    changes: list[Change] = []
    for table in export.tables.values():
        if table.schema in export.case_sensitive:
            changes += _tell_from_database(table, table.definition)
        changes += _keep_letters_apart(table, groups)
    # Which columns get utf8mb4_bin is known only now.
    for table in export.tables.values():
        changes += _keep_spaces_apart(table, groups)
    return changes


def _keep_letters_apart(table: Table, groups: Groups) -> list[Change]:
    changes: list[Change] = []
    definition = table.definition
    for column in definition.columns:
        if column.type in ("ENUM", "SET") and _members_collide(table, definition, column):
            changes += _set_collation(table, [column], groups, BINARY_COLLATION)
    for index in definition.indexes:
        columns = [column for column in _columns(definition, index) if _changes(definition, column)]
        if columns and _keys_collide(table, definition, index, columns, DEFAULT_COLLATION):
            changes += _set_collation(table, columns, groups, BINARY_COLLATION)
    for columns in _in_unique_expressions(definition):
        changing = [column for column in columns if _changes(definition, column)]
        if changing and not _is_usual(table, _texts(definition)):
            changes += _set_collation(table, changing, groups, BINARY_COLLATION)
    _refuse_bytes(table, definition)
    _refuse_byte_functions(table, definition)
    texts = _growing_texts(definition)
    if texts and not is_ascii(table):
        changes += _widen_text(table, definition, texts)
    return changes


def _keep_spaces_apart(table: Table, groups: Groups) -> list[Change]:
    changes: list[Change] = []
    definition = table.definition
    for index in definition.indexes:
        columns = [column for column in _columns(definition, index) if _loses_spaces(definition, column)]
        if columns and _keys_collide(table, definition, index, columns, BINARY_COLLATION):
            changes += _set_collation(table, columns, groups, EXACT_COLLATION)
    for columns in _in_unique_expressions(definition):
        changing = [column for column in columns if _loses_spaces(definition, column)]
        changes += _set_collation(table, changing, groups, EXACT_COLLATION)
    return changes


def _tell_from_database(table: Table, definition: TableDefinition) -> list[Change]:
    """In a database that compares case by case, a table that does not has to say so."""
    if not definition.character_set and not definition.collation:
        definition.collation = BINARY_COLLATION
    if keeps_case(definition.character_set, definition.collation):
        return []
    definition.tokens[definition.options_at - 1].after = f" COLLATE={DEFAULT_COLLATION}"
    return [Change("collation", table.where, "", f"COLLATE {DEFAULT_COLLATION}", "its database compares case by case")]


def _texts(definition: TableDefinition) -> list[str]:
    return [column.name for column in definition.columns if column.is_text]


def _in_unique_expressions(definition: TableDefinition) -> Iterator[list[Column]]:
    """The text columns that each unique index over an expression, ``UNIQUE KEY ((lower(`k`)))``, names."""
    if all(index.kind != "UNIQUE" for index in definition.indexes):
        return
    cursor = Cursor(definition.tokens, definition.name_at + 1, definition.options_at)
    while cursor.peek() is not None:
        if not cursor.accept("UNIQUE"):
            cursor.take()
            continue
        while cursor.word() not in ("(", ",", ""):
            cursor.take()
        if cursor.word() == "(":
            words = [definition.tokens[index].text for index in cursor.skip_parentheses()]
            if any(before in ("", ",") and word == "(" for before, word in pairwise(["", *words])):
                columns = [definition.column(unquoted(word)) for word in words]
                yield [column for column in columns if column is not None and column.is_text]


def _columns(definition: TableDefinition, index: Index) -> list[Column]:
    """The text columns of a unique index."""
    if index.kind not in ("PRIMARY", "UNIQUE"):
        return []
    columns = [definition.column(name) for name, _ in index.parts]
    return [column for column in columns if column is not None and column.is_text]


def _changes(definition: TableDefinition, column: Column) -> bool:
    """Whether text is about to compare by rules under which keys may be one that were two; or that is not known."""
    is_default = definition.collation_of(column)[1] == DEFAULT_COLLATION
    return column.is_text and target_collation(definition, column) == DEFAULT_COLLATION and not is_default


def _is_told(definition: TableDefinition, column: Column) -> bool:
    """Whether the definition says how text compares; if not, that may have been as it will be."""
    return definition.collation_of(column) != (None, None)


def _loses_spaces(definition: TableDefinition, column: Column) -> bool:
    """Whether spaces at the end of text count, or may, and will not any more.

    They count in collations of UCA 9.0.0 and newer and in MariaDB's that say so:
    https://dev.mysql.com/doc/refman/9.7/en/charset-binary-collations.html
    """
    character_set, collation = definition.collation_of(column)
    count = "_0900_" in collation or "_nopad_" in collation if collation else character_set in ("utf8mb4", None)
    return count and target_collation(definition, column) == BINARY_COLLATION


def _keys_collide(
    table: Table, definition: TableDefinition, index: Index, columns: list[Column], collation: str
) -> bool:
    """Whether two different keys of the rows are or may be one where ``columns`` of theirs get ``collation``."""
    is_default = collation == DEFAULT_COLLATION
    names = [name for name, _ in index.parts]
    if any(generated_at(definition, column) and not rows_hold(table, column) for column in columns):
        return not is_default or not _is_usual(table, _texts(definition))
    # Where nothing is said, the source may have told capitals apart.
    is_told = all(_is_told(definition, column) for column in columns)
    if is_default and is_told and _is_usual(table, [column.name for column in columns]):
        return False
    forms = [_form_of(definition, definition.column(name)) for name in names]
    at_risk = [place for place, form in enumerate(forms) if form is (fold if is_default else _without_end)]
    lengths = [None if prefix is None else int(definition.tokens[prefix].text) for _, prefix in index.parts]
    # By hashes, as there may be millions: two texts of one hash would cost no more than a collation.
    odd: dict[int, int] = {}
    for rows, keys in _keys(table, names):
        for key in keys:
            values = [text_of(key[place]) for place in at_risk]
            if not (is_told and all(map(is_usual, values))) if is_default else b" " in b"".join(values):
                texts = _decoded(rows, key, lengths)
                if is_default and is_told and not all(is_known(texts[place]) for place in at_risk):
                    return True
                if odd.setdefault(_folded(texts, forms), hash(texts)) != hash(texts):
                    return True
    if not odd:
        return False
    for rows, keys in _keys(table, names):
        for key in keys:
            texts = _decoded(rows, key, lengths)
            if odd.get(_folded(texts, forms), hash(texts)) != hash(texts):
                return True
    return False


def _is_usual(table: Table, names: list[str]) -> bool:
    """Whether a quick look says that these columns have nothing unusual; it does not see what is written in hex."""
    is_readable = all(rows.settings.names != "binary" for rows in table.rows)
    return is_readable and not may_be_unusual(table, names)


def _keys(table: Table, names: list[str]) -> Iterator[tuple[Rows, Iterable[tuple[bytes, ...]]]]:
    for rows, block in read_values(table, names):
        if block:
            # What an INSERT leaves out is the same in all rows: the column's default.
            yield rows, zip(*(block.get(name) or repeat(b"DEFAULT") for name in names), strict=False)


def _decoded(rows: Rows, key: tuple[bytes, ...], lengths: list[int | None]) -> tuple[str, ...]:
    """The key's values, as much of each as the index holds."""
    parts = zip(key, lengths, strict=True)
    return tuple(rows.settings.decode(text_of(literal))[:length] for literal, length in parts)


def _form_of(definition: TableDefinition, column: Column | None) -> Callable[[str], str]:
    """What gives one form to all texts that are equal in the collation that the column gets."""
    if column is None or not column.is_text:
        return str
    return {DEFAULT_COLLATION: fold, BINARY_COLLATION: _without_end}.get(target_collation(definition, column), str)


def _without_end(text: str) -> str:
    return text.rstrip(" ")


def _folded(key: tuple[str, ...], forms: list[Callable[[str], str]]) -> int:
    """The hash of a form of the key that is the same for any two that MySQL takes for equal."""
    return hash(tuple(form(part) for form, part in zip(forms, key, strict=True)))


def _members_collide(table: Table, definition: TableDefinition, column: Column) -> bool:
    if not _changes(definition, column):
        return False
    members = [definition.tokens[at].text for at in column.arguments if definition.tokens[at].text != ","]
    texts = {table.settings.decode(text_of(table.settings.encode(member))).rstrip(" ") for member in members}
    if _is_told(definition, column) and not all(map(is_known, texts)):
        return True
    return len({fold(text) for text in texts}) < len(texts)


def _set_collation(
    table: Table, columns: list[Column], groups: Mapping[tuple[str, str, str], Group], collation: str
) -> list[Change]:
    """Let the columns and all tied to them have ``utf8mb4_bin`` or ``utf8mb4_0900_bin``."""
    reason = "two of its values, or of a column tied to it, differ in spaces at their end only"
    if collation == BINARY_COLLATION:
        reason = "some of its values, or of a column tied to it, may be one key else: they differ in accents only"
    changes = []
    for column in columns:
        group = groups.get((table.schema, table.name, column.name.lower()))
        for tied_table, tied in group.columns if group else [(table, column)]:
            definition = tied_table.definition
            if target_collation(definition, tied) not in (collation, EXACT_COLLATION):
                tied.binary = True
                tied.collation = EXACT_COLLATION if collation == EXACT_COLLATION else tied.collation
                where = tied_table.column_where(tied.name)
                changes.append(Change("collation", where, "", f"COLLATE {collation}", reason))
    return changes


def _is_local(definition: TableDefinition, column: Column) -> bool:
    """Whether text takes other bytes in utf8mb4 than in its own character set."""
    return column.is_text and definition.collation_of(column)[0] not in (*_UNICODE, None, "binary")


def _refuse_bytes(table: Table, definition: TableDefinition) -> None:
    """Stop where ``SET NAMES binary`` gave the bytes of a character set that is about to change."""
    local = [column for column in definition.columns if _is_local(definition, column)]
    odd = {column.name for column in local if definition.collation_of(column)[0] in _NOT_AS_ASCII}
    if not local or all(rows.settings.names != "binary" for rows in table.rows):
        return
    for rows, block in read_values(table, [column.name for column in local]):
        for name, literals in block.items():
            text = b"".join(text_of(literal) for literal in literals if literal != b"NULL")
            if rows.settings.names == "binary" and (not text.isascii() or (name in odd and text)):
                raise UserError(
                    f"{rows.source.name}: text of {table.where}, column {printable(quoted(name))}, was dumped as bytes"
                    " (SET NAMES binary)",
                    f"dump again with --default-character-set=utf8mb4; or {COPY_AGAIN}",
                )


def _refuse_byte_functions(table: Table, definition: TableDefinition) -> None:
    """Stop where MySQL makes something of the bytes of text, which are others in utf8mb4."""
    local = {column.name.lower() for column in definition.columns if _is_local(definition, column)}
    for column, call in _byte_functions(table, definition, local) if local else ():
        if not is_ascii(table) and any(
            not b"".join(literals).isascii()
            for _, block in read_values(table, sorted(local))
            for literals in block.values()
        ):
            where = table.where if column is None else f"{table.where}, column {printable(quoted(column.name))}"
            raise UserError(
                f"{where}: {call} is made of the bytes of text, which are others in utf8mb4",
                "take it out of the table's definition in the source, or make a plain column of it, and export again",
            )


def _byte_functions(table: Table, definition: TableDefinition, local: set[str]) -> Iterator[tuple[Column | None, str]]:
    """Calls in the definition that take bytes of these columns, and the column that they make."""
    if not any(token.word in _BYTE_FUNCTIONS for token in definition.tokens):
        return
    held = [generated_at(definition, column) for column in definition.columns if rows_hold(table, column)]
    cursor = Cursor(definition.tokens, definition.name_at + 1, definition.options_at)
    while cursor.peek() is not None:
        name = cursor.word()
        index = cursor.take()
        if name in _BYTE_FUNCTIONS and cursor.word() == "(" and not any(index in generated for generated in held):
            inside = Cursor(definition.tokens, index + 1, definition.options_at).skip_parentheses()
            words = {unquoted(definition.tokens[at].text).lower() for at in inside}
            if words & local and ("binary" in words or name not in ("CAST", "CONVERT")):
                column = next((column for column in definition.columns if column.first <= index < column.last), None)
                yield column, printable(join(definition.tokens[index : inside[-1] + 2]))


def _growing_texts(definition: TableDefinition) -> list[Column]:
    return [column for column in definition.columns if column.type in _TEXT_BYTES and _is_local(definition, column)]


def _widen_text(table: Table, definition: TableDefinition, texts: list[Column]) -> list[Change]:
    """Give the next larger type to text whose values take more bytes in utf8mb4 than their type holds."""
    longest = dict.fromkeys((column.name for column in texts), 0)
    for rows, block in read_values(table, list(longest)) if texts else ():
        for name, literals in block.items():
            for literal in literals:
                if 3 * len(literal) > longest[name] and 3 * len(literal) > _TEXT_BYTES["TINYTEXT"]:
                    text = rows.settings.decode(text_of(literal))
                    longest[name] = max(longest[name], len(text.encode("utf-8", "surrogateescape")))
    changes = []
    for column in texts:
        if longest[column.name] > _TEXT_BYTES[column.type]:
            wider = next(kind for kind, size in _TEXT_BYTES.items() if size >= longest[column.name]).lower()
            where = table.column_where(column.name)
            reason = f"its longest value takes {longest[column.name]} bytes in utf8mb4"
            changes.append(Change("column type", where, column.type.lower(), wider, reason))
            definition.tokens[column.type_at].text = wider
    return changes
