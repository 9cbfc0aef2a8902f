"""Keep apart under utf8mb4 what was apart in the source: keys that differ in accents, and text that grows in bytes.

Dropping a collation such as ``latin1_swedish_ci`` means ``utf8mb4_0900_ai_ci``, for which 'Bjorn' and 'Björn' are one
key, as are 'a' and 'a' with a NUL byte after it. ASCII without control characters compares alike in all collations that
ignore case, so one of two such keys is beyond that.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from spyglass_export.changes import Change
from spyglass_export.dump.contents import Export, Rows, Table
from spyglass_export.dump.ddl import BINARY_COLLATION, DEFAULT_COLLATION, keeps_case
from spyglass_export.dump.keys import Group
from spyglass_export.dump.sources import COPY_AGAIN
from spyglass_export.dump.tables import Column, Index, TableDefinition
from spyglass_export.dump.tokens import quoted, shown
from spyglass_export.dump.values import is_ascii, is_usual, may_be_unusual, read_values, text_of
from spyglass_export.errors import UserError

# Bytes: https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_TEXT_BYTES = {"TINYTEXT": 255, "TEXT": 65535, "MEDIUMTEXT": 16777215, "LONGTEXT": 4294967295}
_UNICODE = ("utf8mb4", "utf8mb3", "utf8")
# Letters with a stroke, and ligatures, are no decompositions in Unicode but weigh like these in its collation.
_ALIKE = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
_IGNORED = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f]")


def fold(text: str) -> str:
    """A form that is the same for any two texts that ``utf8mb4_0900_ai_ci`` takes for equal."""
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_ALIKE)
    marks = (letter for letter in plain if unicodedata.category(letter) not in ("Mn", "Me", "Mc", "Cf"))
    kana = (chr(ord(letter) - 0x60) if "\u30a1" <= letter <= "\u30f6" else letter for letter in marks)
    return _IGNORED.sub("", unicodedata.normalize("NFKD", "".join(kana)))


def keep_apart(export: Export, groups: Mapping[tuple[str, str, str], Group]) -> list[Change]:
    """Give ``utf8mb4_bin`` to columns whose keys would collide, and to those tied to them; widen text that grows.

    ``groups`` are the columns tied by foreign keys, by schema, table and column in lower case. To be called before
    collations are taken out of the definitions. Raises `UserError` for rows dumped as bytes of another character set.
    """
    changes = []
    for table in export.tables.values():
        definition = table.definition
        if definition is None:
            continue
        for column in definition.columns:
            if column.type in ("ENUM", "SET") and _members_collide(definition, column):
                changes += _make_binary(table, [column], groups)
        concerned = [(index, columns) for index in definition.indexes if (columns := _concerned(definition, index))]
        bytes_of_old, texts = _dumped_as_bytes(table, definition), _growing_texts(definition)
        for index, columns in concerned:
            if _keys_collide(table, definition, index):
                changes += _make_binary(table, columns, groups)
        if (bytes_of_old or texts) and not is_ascii(table):
            _refuse_bytes(table, bytes_of_old)
            changes += _widen_text(table, definition, texts)
    return changes


def _concerned(definition: TableDefinition, index: Index) -> list[Column]:
    """The text columns of a unique index that compare by other rules than they did."""
    if index.kind not in ("PRIMARY", "UNIQUE"):
        return []
    columns = [definition.column(name) for name, _ in index.parts]
    return [column for column in columns if column is not None and column.is_text and _changes(definition, column)]


def _changes(definition: TableDefinition, column: Column) -> bool:
    character_set, collation = definition.collation_of(column)
    if character_set in (None, "binary") or column.binary:
        return False
    return not keeps_case(character_set, collation) and collation != DEFAULT_COLLATION


def _keys_collide(table: Table, definition: TableDefinition, index: Index) -> bool:
    """Whether any two different keys of the rows fold to the same, one of them at least unusual."""
    names = [name for name, _ in index.parts]
    texts = {column.name.lower() for column in _concerned(definition, index)}
    if not may_be_unusual(table, list(texts)):
        return False
    lengths = [None if prefix is None else int(definition.tokens[prefix].text) for _, prefix in index.parts]
    # By hashes, as there may be millions: two texts of one hash would cost no more than a collation.
    unusual: dict[int, int] = {}
    for rows, keys in _keys(table, names):
        for key in keys:
            if not is_usual(b"".join(key)):
                texts_of_key = _decoded(rows, key, lengths)
                if unusual.setdefault(_folded(texts_of_key, names, texts), hash(texts_of_key)) != hash(texts_of_key):
                    return True
    if not unusual:
        return False
    for rows, keys in _keys(table, names):
        for key in keys:
            texts_of_key = _decoded(rows, key, lengths)
            if unusual.get(_folded(texts_of_key, names, texts), hash(texts_of_key)) != hash(texts_of_key):
                return True
    return False


def _keys(table: Table, names: list[str]) -> Iterable[tuple[Rows, Iterable[tuple[bytes, ...]]]]:
    for rows, block in read_values(table, names):
        if all(name in block for name in names):
            yield rows, zip(*(block[name] for name in names), strict=True)


def _decoded(rows: Rows, key: tuple[bytes, ...], lengths: list[int | None]) -> tuple[str, ...]:
    """The key's values, as much of each as the index holds."""
    parts = zip(key, lengths, strict=True)
    return tuple(rows.settings.decode(text_of(literal))[:length] for literal, length in parts)


def _folded(key: tuple[str, ...], names: list[str], texts: set[str]) -> int:
    """The hash of a form of the key that is the same for any two that MySQL takes for equal."""
    return hash(tuple(fold(part) if name.lower() in texts else part for part, name in zip(key, names, strict=True)))


def _members_collide(definition: TableDefinition, column: Column) -> bool:
    if not _changes(definition, column):
        return False
    members = [definition.tokens[at].text for at in column.arguments if definition.tokens[at].text != ","]
    texts = {text_of(member.encode("latin-1")).decode("utf-8", "surrogateescape").rstrip(" ") for member in members}
    return len({fold(text) for text in texts}) < len(texts)


def _make_binary(table: Table, columns: list[Column], groups: Mapping[tuple[str, str, str], Group]) -> list[Change]:
    changes = []
    for column in columns:
        group = groups.get((table.schema, table.name, column.name.lower()))
        for tied_table, tied in group.columns if group else [(table, column)]:
            if not tied.binary:
                tied.binary = True
                where = f"{tied_table.where}.{shown(quoted(tied.name))}"
                reason = "its values differ in accents only, and would be one key"
                changes.append(Change("collation", where, "", f"COLLATE {BINARY_COLLATION}", reason))
    return changes


def _dumped_as_bytes(table: Table, definition: TableDefinition) -> list[str]:
    """Columns of which ``SET NAMES binary`` gave the bytes of a character set that is about to change."""
    if not any(rows.settings.names == "binary" for rows in table.rows):
        return []
    return [column.name for column in definition.columns if column.is_text and _is_local(definition, column)]


def _is_local(definition: TableDefinition, column: Column) -> bool:
    """Whether text takes other bytes in utf8mb4 than in its own character set."""
    return definition.collation_of(column)[0] not in (*_UNICODE, None, "binary")


def _refuse_bytes(table: Table, names: list[str]) -> None:
    for rows, block in read_values(table, names) if names else ():
        if rows.settings.names == "binary" and not all(b"".join(literals).isascii() for literals in block.values()):
            raise UserError(
                f"{rows.source.name}: text of {table.where} was dumped as bytes (SET NAMES binary)",
                f"dump again with --default-character-set=utf8mb4; or {COPY_AGAIN}",
            )


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
            where = f"{table.where}.{shown(quoted(column.name))}"
            reason = f"its longest value takes {longest[column.name]} bytes in utf8mb4"
            changes.append(Change("column type", where, column.type.lower(), wider, reason))
            definition.tokens[column.type_at].text = wider
    return changes
