"""Keep apart under utf8mb4 what was apart in the source: keys that differ in accents, and text that grows in bytes.

Dropping a collation such as ``latin1_swedish_ci`` means ``utf8mb4_0900_ai_ci``, for which 'Bjorn' and 'Björn' are one
key, as are 'a' and 'a' with a NUL byte after it. ASCII without control characters compares alike in all collations that
ignore case, so one of two such keys is beyond that. Where it is beyond the letters of Western Europe too, the column
gets ``utf8mb4_bin`` at once: what is alike in other scripts is more than can be told here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import NamedTuple

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export, Rows, Table
from spyglass_export.dump.reading.sources import COPY_AGAIN
from spyglass_export.dump.reading.values import is_ascii, is_usual, may_be_unusual, read_values, text_of
from spyglass_export.dump.rewriting.definitions import (
    BINARY_COLLATION,
    DEFAULT_COLLATION,
    EXACT_COLLATION,
    keeps_case,
    place,
    rows_hold,
    target_collation,
)
from spyglass_export.dump.rewriting.tied_columns import Groups
from spyglass_export.dump.sql.create_table import Column, Cursor, Index, TableDefinition
from spyglass_export.dump.sql.tokens import printable, quoted, unquoted
from spyglass_export.errors import UserError

# Bytes: https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_TEXT_BYTES = {"TINYTEXT": 255, "TEXT": 65535, "MEDIUMTEXT": 16777215, "LONGTEXT": 4294967295}
_UNICODE = ("utf8mb4", "utf8mb3", "utf8")
_BYTE_FUNCTIONS = {
    "AES_DECRYPT", "AES_ENCRYPT", "ASCII", "BIT_LENGTH", "CAST", "COMPRESS", "CONVERT", "CRC32", "FROM_BASE64", "HEX",
    "LENGTH", "MD5", "OCTET_LENGTH", "ORD", "SHA", "SHA1", "SHA2", "TO_BASE64", "UNHEX", "WEIGHT_STRING",
}  # fmt: skip
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


class _Rule(NamedTuple):
    """How keys that were two may become one, and the collation that keeps them apart."""

    collation: str
    reason: str
    concerns: Callable[[TableDefinition, Column], bool]
    form: Callable[[str], str]  # one for all texts that are alike without that collation
    is_apart: Callable[[bytes], bool]  # whether a value is like no other, to be told at once
    is_known: Callable[[str], bool] | None = None  # whether `form` can tell what a text is like
    are_apart: Callable[[Table], bool] | None = None  # whether a quick look says so of all values

    def has_none_in(self, table: Table) -> bool:
        """Whether there are no such keys in the rows, nor in what MySQL makes of their text, by a quick look."""
        return self.are_apart is not None and self.are_apart(table)


def _loses_letters(definition: TableDefinition, column: Column) -> bool:
    """Whether text is about to compare by other rules than it may have, under which fewer keys differ."""
    is_the_same = definition.collation_of(column)[1] == DEFAULT_COLLATION
    return column.is_text and not is_the_same and target_collation(definition, column) == DEFAULT_COLLATION


def _loses_spaces(definition: TableDefinition, column: Column) -> bool:
    """Whether spaces at the end of text count, or may, and will not any more.

    They count in collations of UCA 9.0.0 and newer and in MariaDB's that say so:
    https://dev.mysql.com/doc/refman/9.7/en/charset-binary-collations.html
    """
    if not column.is_text or target_collation(definition, column) != BINARY_COLLATION:
        return False
    character_set, collation = definition.collation_of(column)
    return "_0900_" in collation or "_nopad_" in collation if collation else character_set in ("utf8mb4", None)


def _without_end(text: str) -> str:
    return text.rstrip(" ")


def _has_no_space(value: bytes) -> bool:
    return b" " not in value


def _are_usual(table: Table) -> bool:
    is_in_hex = any(rows.settings.names == "binary" for rows in table.rows)
    return not is_in_hex and not may_be_unusual(table)


_LETTERS = _Rule(
    BINARY_COLLATION,
    "some of its values, or of a column tied to it, may be one key otherwise: they differ in accents only",
    _loses_letters,
    fold,
    is_usual,
    is_known,
    _are_usual,
)
_SPACES = _Rule(
    EXACT_COLLATION,
    "two of its values, or of a column tied to it, differ in spaces at their end only",
    _loses_spaces,
    _without_end,
    _has_no_space,
)


def keep_apart(export: Export, groups: Groups) -> list[Change]:
    """Give ``utf8mb4_bin`` to columns whose keys may collide, and to those tied to them; widen text that grows.

    Keys that ``utf8mb4_bin`` takes for equal, as they differ in spaces at their end only, get ``utf8mb4_0900_bin``.
    To be called before collations are taken out of the definitions. Raises `UserError` for rows dumped as bytes of
    another character set.
    """
    changes: list[Change] = []
    for table in export.tables.values():
        if table.id.schema in export.case_sensitive:
            changes += _tell_from_database(table, table.definition)
        for column in table.definition.columns:
            if column.type in ("ENUM", "SET") and _members_collide(table, column):
                changes += _set_collation(table, [column], groups, _LETTERS)
        changes += _keep_keys_apart(table, groups, _LETTERS)
        local = [column for column in table.definition.columns if _is_local(table.definition, column)]
        if local:
            _refuse_bytes(table, local)
            _refuse_byte_functions(table, {column.name.lower() for column in local})
            changes += _widen_text(table, [column for column in local if column.type in _TEXT_BYTES])
    for table in export.tables.values():  # which columns get utf8mb4_bin is known only now
        changes += _keep_keys_apart(table, groups, _SPACES)
    return changes


def _tell_from_database(table: Table, definition: TableDefinition) -> list[Change]:
    """In a database that compares case by case, a lab's utf8_bin, a table that does not has to say so."""
    if not definition.character_set and not definition.collation:
        definition.collation = BINARY_COLLATION
    if keeps_case(definition.character_set, definition.collation):
        return []
    definition.tokens.texts[definition.options_at - 1] += f" COLLATE={DEFAULT_COLLATION}"
    return [Change("collation", table.where, "", f"COLLATE {DEFAULT_COLLATION}", "its database compares case by case")]


def _keep_keys_apart(table: Table, groups: Groups, rule: _Rule) -> list[Change]:
    changes: list[Change] = []
    definition = table.definition
    for index in definition.indexes:
        if index.kind not in ("PRIMARY", "UNIQUE"):
            continue
        columns = [column for part in index.parts if (column := definition.column(part.name))]
        columns = [column for column in columns if rule.concerns(definition, column)]
        if columns and _keys_collide(table, index, columns, rule):
            changes += _set_collation(table, columns, groups, rule)
        # Such as ``UNIQUE KEY ((lower(`k`)))``.
        named = [definition.column(unquoted(definition.tokens.texts[at])) for at in index.expression]
        columns = [column for column in named if column and rule.concerns(definition, column)]
        if columns and not rule.has_none_in(table):
            changes += _set_collation(table, columns, groups, rule)
    return changes


def _keys_collide(table: Table, index: Index, columns: list[Column], rule: _Rule) -> bool:
    """Whether two different keys of the rows are or may be one, where ``columns`` of theirs are not told apart."""
    definition = table.definition
    if any(column.generated and not rows_hold(table, column) for column in columns):
        return not rule.has_none_in(table)
    # Where nothing is said, the source may have told capitals apart: each key is looked at.
    is_told = all(definition.collation_of(column) != (None, None) for column in columns)
    if is_told and rule.has_none_in(table):
        return False
    names = [part.name for part in index.parts]
    forms = [_form_of(definition, definition.column(name)) for name in names]
    at_risk = [at for at, form in enumerate(forms) if form is rule.form]
    lengths = [int(definition.tokens.texts[part.prefix_at]) if part.prefix_at else None for part in index.parts]
    # By hashes, as there may be millions: two texts of one hash would cost no more than a collation.
    odd: dict[int, int] = {}
    for rows, keys in _keys(table, names):
        for key in keys:
            if is_told and all(rule.is_apart(text_of(key[at])) for at in at_risk):
                continue
            texts = _decoded(rows, key, lengths)
            if is_told and rule.is_known and not all(rule.is_known(texts[at]) for at in at_risk):
                return True
            if odd.setdefault(_folded(texts, forms), hash(texts)) != hash(texts):
                return True
    if not odd:
        return False
    return any(
        odd.get(_folded(texts, forms), hash(texts)) != hash(texts)
        for rows, keys in _keys(table, names)
        for texts in (_decoded(rows, key, lengths) for key in keys)
    )


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
    forms = {DEFAULT_COLLATION: fold, BINARY_COLLATION: _without_end}
    return forms.get(target_collation(definition, column), str)


def _folded(key: tuple[str, ...], forms: list[Callable[[str], str]]) -> int:
    """The hash of a form of the key that is the same for any two that MySQL takes for equal."""
    return hash(tuple(form(part) for form, part in zip(forms, key, strict=True)))


def _members_collide(table: Table, column: Column) -> bool:
    definition = table.definition
    if not _loses_letters(definition, column):
        return False
    members = [definition.tokens.texts[at] for at in column.arguments if definition.tokens.texts[at] != ","]
    texts = {table.settings.decode(text_of(table.settings.encode(member))).rstrip(" ") for member in members}
    is_told = definition.collation_of(column) != (None, None)
    return (is_told and not all(map(is_known, texts))) or len(set(map(fold, texts))) < len(texts)


def _set_collation(table: Table, columns: list[Column], groups: Groups, rule: _Rule) -> list[Change]:
    """Let the columns and all tied to them have the collation that keeps their keys apart."""
    changes = []
    for column in columns:
        for tied, tied_table in (groups[column].columns if column in groups else {column: table}).items():
            if target_collation(tied_table.definition, tied) not in (rule.collation, EXACT_COLLATION):
                tied.kept_apart = rule.collation
                where = tied_table.column_where(tied.name)
                changes.append(Change("collation", where, "", f"COLLATE {rule.collation}", rule.reason))
    return changes


def _is_local(definition: TableDefinition, column: Column) -> bool:
    """Whether text takes other bytes in utf8mb4 than in its own character set."""
    return column.is_text and definition.collation_of(column)[0] not in (*_UNICODE, None, "binary")


def _refuse_bytes(table: Table, local: list[Column]) -> None:
    """Stop where --default-character-set=binary gave the bytes of a character set that is about to change."""
    if all(rows.settings.names != "binary" for rows in table.rows):
        return
    odd = {column.name for column in local if table.definition.collation_of(column)[0] in _NOT_AS_ASCII}
    for rows, block in read_values(table, [column.name for column in local]):
        for name, literals in block.items():
            text = b"".join(text_of(literal) for literal in literals if literal != b"NULL")
            if rows.settings.names == "binary" and (not text.isascii() or (name in odd and text)):
                raise UserError(
                    f"{rows.source.name}: text of {table.where}, column {printable(quoted(name))}, was dumped as bytes"
                    " (SET NAMES binary)",
                    f"dump again with --default-character-set=utf8mb4; or {COPY_AGAIN}",
                )


def _refuse_byte_functions(table: Table, local: set[str]) -> None:
    """Stop where generated columns, checks or indexes are made of the bytes of text, which are others in utf8mb4."""
    definition = table.definition
    tokens = definition.tokens
    if _BYTE_FUNCTIONS.isdisjoint(tokens.words):
        return
    held = [at for column in definition.columns if rows_hold(table, column) for at in column.generated]
    for at in range(definition.name_at + 1, definition.options_at):
        name = tokens.words[at]
        if name not in _BYTE_FUNCTIONS or tokens.words[at + 1] != "(" or at in held:
            continue
        inside = Cursor(tokens, at + 1).parentheses()
        words = {unquoted(tokens.texts[index]).lower() for index in inside}
        is_of_bytes = "binary" in words or name not in ("CAST", "CONVERT")
        if is_of_bytes and words & local and not is_ascii(table) and not _are_ascii(table, local):
            call = printable(tokens.between(range(at, inside.stop + 1)))
            raise UserError(
                f"{place(table, definition.column_at(at))}: {call} is made of the bytes of text,"
                " which are others in utf8mb4",
                "take it out of the table's definition in the source, or make a plain column of it, and export again",
            )


def _are_ascii(table: Table, names: set[str]) -> bool:
    blocks = (block for _, block in read_values(table, sorted(names)))
    return all(b"".join(literals).isascii() for block in blocks for literals in block.values())


def _widen_text(table: Table, texts: list[Column]) -> list[Change]:
    """Give the next larger type to text whose values take more bytes in utf8mb4 than their type holds."""
    if not texts or is_ascii(table):
        return []
    longest = dict.fromkeys((column.name for column in texts), 0)
    for rows, block in read_values(table, list(longest)):
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
            table.definition.tokens.texts[column.type_at] = wider
    return changes
