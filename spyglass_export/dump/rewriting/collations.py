"""Keep apart under utf8mb4 what was apart in the source: keys that differ in accents, and text that grows in bytes.

Dropping a collation such as ``latin1_swedish_ci`` means ``utf8mb4_0900_ai_ci``, for which 'Bjorn' and 'Björn' are one
key, as are 'a' and 'a' with a NUL byte after it. ASCII without control characters compares alike in all collations that
ignore case, so one of two such keys is beyond that. Where it is beyond the letters of Western Europe too, the column
gets ``utf8mb4_bin`` at once: what is alike in other scripts is more than can be told here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise, repeat

from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.reading.sources import COPY_AGAIN
from spyglass_export.dump.reading.values import is_ascii, may_be_unusual, read_values, text_of
from spyglass_export.dump.rewriting.tied_columns import Groups
from spyglass_export.dump.sql.create_table import Column, Cursor, Index, TableDefinition
from spyglass_export.dump.sql.tokens import unquoted
from spyglass_export.errors import UserError

BINARY_COLLATION = "utf8mb4_bin"
EXACT_COLLATION = "utf8mb4_0900_bin"  # for which spaces at the end count too; since MySQL 8.0.17
DEFAULT_COLLATION = "utf8mb4_0900_ai_ci"  # of utf8mb4 in MySQL 8 and newer
# Bytes: https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_TEXT_BYTES = {"TINYTEXT": 255, "TEXT": 65535, "MEDIUMTEXT": 16777215, "LONGTEXT": 4294967295}
_SAME_BYTES = ("utf8mb4", "utf8mb3", "utf8", "binary", None)
_NOT_AS_ASCII = ("ucs2", "utf16", "utf16le", "utf32", "swe7")  # in which ASCII takes other bytes
_OF_BYTES = re.compile("ASCII|BIT_LENGTH|CAST|COMPRESS|CONVERT|CRC32|HEX|(OCTET_)?LENGTH|MD5|ORD|SHA[12]?|TO_BASE64")
# Letters with a stroke, and ligatures: no decompositions in Unicode, but they weigh like these, says WEIGHT_STRING().
_ALIKE = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
_KEEPS_CASE = re.compile(r"_bin$|_cs$|_cs_ks$|_turkish_|_tr_0900_|^(cp866|latin7)_general_ci$")
_IGNORED = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f]")


def fold(text: str) -> str:
    """One form for all texts that ``utf8mb4_0900_ai_ci`` of MySQL 9.7 takes for equal, if their letters `is_known`."""
    if _is_plain(text):  # as nearly all are, and told in a twentieth of the time
        return text.lower()
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_ALIKE)
    return _IGNORED.sub("", "".join(letter for letter in plain if unicodedata.category(letter) not in ("Mn", "Cf")))


def _is_plain(text: str) -> bool:
    """Whether any two such texts compare alike in all collations that ignore case."""
    return text.isascii() and text.isprintable()


def is_known(text: str) -> bool:
    """Whether all letters are of ASCII and cp1252, MySQL's latin1."""
    return text.encode("cp1252", "ignore").decode("cp1252") == text


def new_collation(character_set: str | None, collation: str | None) -> str:
    """The collation of utf8mb4 for text of this one, or of the character set's default.

    It tells letters from their capitals where the source does for any of ASCII: for all (``_bin``, ``_cs``), for the I
    of Turkish, and by an old mistake for J in cp866 and T in latin7, as all collations of MySQL 9.7 were compared.
    """
    keeps_case = _KEEPS_CASE.search(collation) if collation else character_set in ("cp866", "latin5", "latin7")
    return BINARY_COLLATION if keeps_case else DEFAULT_COLLATION


def target_collation(table: TableDefinition, column: Column) -> str:
    """The collation that a text column gets."""
    return column.kept_apart or new_collation(*table.collation_of(column))


# What gives one form to all texts that are equal in a collation.
_FORMS: dict[str, Callable[[str], str]] = {DEFAULT_COLLATION: fold, BINARY_COLLATION: lambda text: text.rstrip(" ")}


def _may_need(collation: str, definition: TableDefinition, column: Column) -> bool:
    """Whether text is about to compare by other rules than it may have, under which fewer keys differ.

    `BINARY_COLLATION` is for letters. `EXACT_COLLATION` is for spaces at the end: they count in collations of UCA 9.0.0
    and newer and in MariaDB's that say so: https://dev.mysql.com/doc/refman/9.7/en/charset-binary-collations.html
    """
    if not column.is_text:
        return False
    character_set, old = definition.collation_of(column)
    new = target_collation(definition, column)
    if collation == BINARY_COLLATION:
        return old != DEFAULT_COLLATION and new == DEFAULT_COLLATION
    counts = "_0900_" in old or "_nopad_" in old if old else character_set in ("utf8mb4", None)
    return counts and new == BINARY_COLLATION


def keep_apart(export: Export, groups: Groups) -> None:
    """Give ``utf8mb4_bin`` to columns whose keys may collide, and to those tied to them; widen text that grows.

    Keys that ``utf8mb4_bin`` takes for equal, as they differ in spaces at their end only, get ``utf8mb4_0900_bin``.
    To be called before collations are taken out of the definitions. Raises `UserError` for rows dumped as bytes of
    another character set.
    """
    for table in export.tables.values():
        definition = table.definition
        if not definition.character_set and not definition.collation:
            definition.collation = export.collations.get(table.id.schema)
        # In a database that compares case by case, a lab's utf8_bin, a table that does not has to say so.
        own = new_collation(definition.character_set, definition.collation)
        if table.id.schema in export.collations and own == DEFAULT_COLLATION:
            definition.tokens.texts[definition.options_at - 1] += f" COLLATE={own}"
            export.note("collation", table.id.where, "", f"COLLATE {own}", "its database compares case by case")
        alike = [column for column in definition.columns if _members_collide(table, column)]
        _set_collation(export, table, alike, groups, BINARY_COLLATION)
        _keep_keys_apart(export, table, groups, BINARY_COLLATION)
        columns = [column for column in definition.columns if column.is_text]
        local = [column for column in columns if definition.collation_of(column)[0] not in _SAME_BYTES]
        if local:
            _refuse_bytes(table, local)
            _refuse_functions_of_bytes(table, local)
            _widen_text(export, table, [column for column in local if column.type in _TEXT_BYTES])
    for table in export.tables.values():  # which columns get utf8mb4_bin is known only now
        _keep_keys_apart(export, table, groups, EXACT_COLLATION)


def _keep_keys_apart(export: Export, table: Table, groups: Groups, collation: str) -> None:
    for index in [index for index in table.definition.indexes if index.kind in ("PRIMARY", "UNIQUE")]:
        columns = [column for part in index.parts if (column := table.definition.column(part.name))]
        columns = [column for column in columns if _may_need(collation, table.definition, column)]
        if columns and _keys_collide(table, index, columns, collation):
            _set_collation(export, table, columns, groups, collation)


def _keys_collide(table: Table, index: Index, columns: list[Column], collation: str) -> bool:
    """Whether two different keys of the rows are or may be one, where ``columns`` do not have this collation."""
    definition = table.definition
    of_letters = collation == BINARY_COLLATION
    if any(column.generated and not table.rows_hold(column.name) for column in columns):
        return not of_letters or may_be_unusual(table)
    # Where nothing is said, the source may have told capitals apart: each key is looked at.
    is_told = all(definition.collation_of(column) != (None, None) for column in columns)
    if of_letters and is_told and not may_be_unusual(table):
        return False
    parts = [definition.column(part.name) for part in index.parts]
    forms = [_FORMS.get(target_collation(definition, one), str) if one and one.is_text else str for one in parts]
    at_risk = [at for at, one in enumerate(parts) if one in columns]

    def form_of(key: tuple[str, ...]) -> int:
        """The same for any two keys that MySQL takes for equal."""
        return hash(tuple(form(text) for form, text in zip(forms, key, strict=True)))

    # By hashes, as there may be millions: two texts of one hash would cost no more than a collation.
    odd: dict[int, int] = {}
    for key in _keys(table, index):
        if is_told and all(_is_plain(key[at]) if of_letters else " " not in key[at] for at in at_risk):
            continue
        if of_letters and is_told and not all(is_known(key[at]) for at in at_risk):
            return True
        if odd.setdefault(form_of(key), hash(key)) != hash(key):
            return True
    return bool(odd) and any(odd.get(form_of(key), hash(key)) != hash(key) for key in _keys(table, index))


def _keys(table: Table, index: Index) -> Iterator[tuple[str, ...]]:
    """The values in a unique key, as much of each as it holds."""
    texts = table.definition.tokens.texts
    lengths = {part.name: int(texts[part.prefix_at]) if part.prefix_at else None for part in index.parts}
    for rows, block in read_values(table, list(lengths)):
        if block:
            # What an INSERT leaves out is the same in all rows: the column's default.
            literals = (block.get(name) or repeat(b"DEFAULT") for name in lengths)
            for key in zip(*literals, strict=False):
                values = zip(key, lengths.values(), strict=True)
                yield tuple(rows.settings.decode(text_of(literal))[:length] for literal, length in values)


def _members_collide(table: Table, column: Column) -> bool:
    definition = table.definition
    if column.type not in ("ENUM", "SET") or not _may_need(BINARY_COLLATION, definition, column):
        return False
    members = [definition.tokens.texts[at] for at in column.arguments if definition.tokens.texts[at] != ","]
    texts = {table.settings.decode(text_of(table.settings.encode(member))).rstrip(" ") for member in members}
    is_told = definition.collation_of(column) != (None, None)
    return (is_told and not all(map(is_known, texts))) or len(set(map(fold, texts))) < len(texts)


_REASONS = {
    BINARY_COLLATION: "some of its values, or of a column tied to it, may be one key otherwise: they differ in accents"
    " only",
    EXACT_COLLATION: "two of its values, or of a column tied to it, differ in spaces at their end only",
}


def _set_collation(export: Export, table: Table, columns: list[Column], groups: Groups, collation: str) -> None:
    """Let the columns and all tied to them have the collation that keeps their keys apart."""
    for column in columns:
        for one, of in (groups[column].columns if column in groups else {column: table}).items():
            if target_collation(of.definition, one) not in (collation, EXACT_COLLATION):
                one.kept_apart = collation
                export.note("collation", of.column_where(one.name), "", f"COLLATE {collation}", _REASONS[collation])


def _refuse_bytes(table: Table, local: list[Column]) -> None:
    """Stop where --default-character-set=binary gave the bytes of a character set that is about to change."""
    if all(rows.settings.names != "binary" for rows in table.rows):
        return
    odd = {column.name for column in local if table.definition.collation_of(column)[0] in _NOT_AS_ASCII}
    for rows, block in read_values(table, [column.name for column in local]):
        for name, literals in block.items():
            text = b"".join(text_of(literal) for literal in literals if literal != b"NULL")
            if rows.settings.names == "binary" and (not text.isascii() or (name in odd and text)):
                what = f"{rows.source.name}: text of {table.column_where(name)} was dumped as bytes (SET NAMES binary)"
                raise UserError(what, f"dump again with --default-character-set=utf8mb4; or {COPY_AGAIN}")


def _refuse_functions_of_bytes(table: Table, local: list[Column]) -> None:
    """Stop where generated columns, checks or indexes are made of the bytes of text, which are others in utf8mb4."""
    tokens = table.definition.tokens
    names = {column.name.lower() for column in local}
    computed = [column for column in table.definition.columns if column.generated]
    plain = [at for column in computed if table.rows_hold(column.name) for at in column.generated]
    for at, (word, after) in enumerate(pairwise(tokens.words)):
        if after == "(" and _OF_BYTES.fullmatch(word) and at not in plain and not is_ascii(table):
            inside = {unquoted(tokens.texts[part]).lower() for part in Cursor(tokens, at + 1).parentheses()}
            is_of_bytes = "binary" in inside or word not in ("CAST", "CONVERT")
            blocks = (block for _, block in read_values(table, [column.name for column in local]))
            are_ascii = (b"".join(literals).isascii() for block in blocks for literals in block.values())
            if is_of_bytes and inside & names and not all(are_ascii):
                what = f"{table.id.where}: {word.lower()}() is made of the bytes of text, which are others in utf8mb4"
                raise UserError(what, "make a plain column of it in the source, or take it out, and dump again")


def _widen_text(export: Export, table: Table, texts: list[Column]) -> None:
    """Give the next larger type to text whose values take more bytes in utf8mb4 than their type holds."""
    if not texts or is_ascii(table):
        return
    longest = dict.fromkeys((column.name for column in texts), _TEXT_BYTES["TINYTEXT"])
    for rows, block in read_values(table, list(longest)):
        for name, literals in block.items():
            for literal in literals:
                if 3 * len(literal) > longest[name]:
                    text = rows.settings.decode(text_of(literal))
                    longest[name] = max(longest[name], len(text.encode("utf-8", "surrogateescape")))
    for column in texts:
        if longest[column.name] > _TEXT_BYTES[column.type]:
            wider = next(kind for kind, size in _TEXT_BYTES.items() if size >= longest[column.name]).lower()
            where = table.column_where(column.name)
            reason = f"its longest value takes {longest[column.name]} bytes in utf8mb4"
            export.note("column type", where, column.type.lower(), wider, reason)
            table.definition.tokens.texts[column.type_at] = wider
