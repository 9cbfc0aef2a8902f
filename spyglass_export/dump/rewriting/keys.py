"""Fit lengths of columns to today's Spyglass, and to MySQL's limits at 4 bytes a character; no value is ever cut."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial

from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.reading.values import read_values, text_of
from spyglass_export.dump.rewriting.tied_columns import Group, Groups, old_lengths
from spyglass_export.dump.sql.create_table import NUMBER, Column, Index
from spyglass_export.dump.sql.tokens import printable, quoted
from spyglass_export.errors import UserError

_BYTES_PER_CHARACTER = 4  # utf8mb4
# https://dev.mysql.com/doc/refman/9.7/en/innodb-limits.html, also .../myisam-storage-engine.html and
# .../column-count-limit.html
_INDEX_LIMITS = {"INNODB": 3072, "MYISAM": 1000}
_ROW_LIMIT = 65535
# Bytes at most, in an index or a row: https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_SIZES = {
    "TINYINT": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INT": 4, "BIGINT": 8, "FLOAT": 4, "DOUBLE": 8, "DECIMAL": 30,
    "BIT": 8, "YEAR": 1, "DATE": 3, "TIME": 6, "DATETIME": 8, "TIMESTAMP": 7, "ENUM": 2, "SET": 8,
    "UUID": 36 * _BYTES_PER_CHARACTER, "INET6": 39 * _BYTES_PER_CHARACTER, "INET4": 15 * _BYTES_PER_CHARACTER,
    # In the row; the value itself is kept outside.
    "TINYTEXT": 9, "TINYBLOB": 9, "TEXT": 10, "BLOB": 10, "MEDIUMTEXT": 11, "MEDIUMBLOB": 11, "LONGTEXT": 12,
    "LONGBLOB": 12, "JSON": 12,
}  # fmt: skip


@dataclass(slots=True)
class _Limited:
    """Columns whose bytes together have a limit: an index, or a row."""

    table: Table
    name: str
    limit: int
    fixed: int  # bytes that no length can change
    parts: list[Column]
    index: Index | None = None

    @property
    def excess(self) -> int:
        """Bytes over the limit."""
        size = sum(column.length or 0 for column in self.parts) * _BYTES_PER_CHARACTER
        if not self.index:  # a row has the length of each varchar in it
            size += sum(1 if (one.length or 0) < 64 else 2 for one in self.parts if one.type == "VARCHAR")
        return self.fixed + size - self.limit

    @property
    def excess_characters(self) -> int:
        """Characters that its columns have to give up."""
        return -(-self.excess // _BYTES_PER_CHARACTER)

    def beginnings(self, groups: Groups) -> dict[int, int]:
        """The characters of columns of which a beginning would do, by the token that says or would say how many.

        None where the index must be unique, where a foreign key needs the column whole, or where it is not enough.
        """
        lengths: dict[int, int] = {}
        for part in self.index.parts if self.index and self.index.kind == "KEY" else ():
            column = self.table.definition.column(part.name)
            if column and column.is_text and part.prefix_at:
                lengths[part.prefix_at] = int(self.table.definition.tokens.texts[part.prefix_at])
            elif column in self.parts and not groups[column].in_foreign_key:
                lengths[part.at] = column.length or 0
        return lengths if self.excess_characters <= sum(lengths.values()) - len(lengths) else {}


def fit_lengths(export: Export, groups: Groups) -> None:
    """Give columns that Spyglass 0.4.3 shortened their new length, and have indexes and rows fit MySQL's limits.

    For that, an index that need not be unique takes the beginnings of its values; others have their columns cut.
    Raises `UserError`, which names table, index, columns and the longest value, where the values need more.
    """
    tables = export.tables.values()
    before = {column: column.length for column in groups}
    over = [entry for table in tables for entry in _limits(table, groups) if entry.excess > 0]
    to_cut = [entry for entry in over if not entry.beginnings(groups)]
    enough = {group: group.shorter for group in groups.values() if group.shorter is not None}
    enough |= {groups[column]: 0 for entry in to_cut for column in entry.parts}
    for table in tables:
        if wanted := [column for column in table.definition.columns if groups.get(column) in enough]:
            _measure(table, wanted, groups, enough)
    lengths = old_lengths()
    for column, group in groups.items():
        if group.shorter is not None and (column.name, column.length) in lengths:
            reason = "today's Spyglass has this length; all values fit"
            _cut(column, group, max(group.shorter, group.longest), reason)
    for entry in to_cut:
        _share_out(entry, groups)
    for entry in over:
        if entry.excess > 0:
            _take_beginnings(export, entry, groups)
    for column, group in groups.items():
        if column.length != before[column]:
            _apply(group.columns[column], column)
            kind = column.type.lower()
            old, new = f"{kind}({before[column]})", f"{kind}({column.length})"
            export.note("column length", group.columns[column].column_where(column.name), old, new, group.reason)


def _limits(table: Table, groups: Groups) -> Iterator[_Limited]:
    """The indexes of a table, and its row."""
    definition = table.definition
    limit = _INDEX_LIMITS.get(definition.engine, _INDEX_LIMITS["INNODB"])
    for index in definition.indexes:
        entry = _Limited(table, f"index {quoted(index.name)}", limit, 0, [], index)
        for part in index.parts:
            column = definition.column(part.name)
            if column is None:
                continue
            if part.prefix_at:
                characters = int(definition.tokens.texts[part.prefix_at])
                entry.fixed += characters * (_BYTES_PER_CHARACTER if column.is_text else 1)
            elif column in groups:
                entry.parts.append(column)
            else:
                entry.fixed += _SIZES.get(column.type, column.length or 1)
        if index.kind not in ("FULLTEXT", "SPATIAL"):
            yield entry
    fitted = [column for column in definition.columns if column in groups]
    others = [column for column in definition.columns if column not in groups]
    fixed = sum(_SIZES.get(column.type, column.length or 1) for column in others)
    yield _Limited(table, "row", _ROW_LIMIT, fixed + (len(definition.columns) + 7) // 8, fitted)


def _measure(table: Table, columns: list[Column], groups: Groups, enough: dict[Group, int]) -> None:
    """Find the longest values of these columns that are longer than is ``enough`` for their groups."""
    texts = table.definition.tokens.texts
    for column in columns:
        length = column.length or 0  # what MySQL computes is in no row, and may be any
        if not column.generated:  # a default that is cut would be refused
            default = texts[column.default[0]] if column.default else ""
            length = len(text_of(default.encode("utf-8", "surrogateescape"))) if default.startswith("'") else 0
        groups[column].longest = max(groups[column].longest, length)

    def least(*columns: Column) -> int:
        return min(max(groups[column].longest, enough[groups[column]]) for column in columns)

    for rows, block in read_values(table, [column.name for column in columns], partial(least, *columns)):
        for column in columns:
            literals = block.get(column.name, ())
            longest = least(column)
            if len(max(literals, key=len, default=b"")) - 2 > longest:  # no literal is shorter than its value
                for literal in {literal for literal in literals if len(literal) - 2 > longest}:
                    characters = len(rows.settings.decode(text_of(literal)))
                    if characters > longest:
                        longest = groups[column].longest = characters
                        groups[column].example = literal


def _cut(column: Column, group: Group, length: int, reason: str) -> None:
    if (column.length or 0) > length:
        column.length = length
        group.reason = reason


def _share_out(entry: _Limited, groups: Groups) -> None:
    """Cut columns, those of a group together, in proportion to what values leave free; none where it is too little."""
    excess = entry.excess_characters
    own: dict[Group, list[int]] = {}
    for column in entry.parts:
        own.setdefault(groups[column], []).append(column.length or 0)
    free = [sum(max(0, length - max(1, group.longest)) for length in lengths) for group, lengths in own.items()]
    if excess <= sum(free):
        reason = f"the {entry.name} of {entry.table.id.where} holds {entry.limit} bytes"
        for (group, lengths), share in zip(own.items(), free, strict=True):
            if share and entry.excess > 0:
                length = _longest_without(lengths, -(-excess * share // sum(free)))
                for column in group.columns:
                    _cut(column, group, length, reason)


def _longest_without(lengths: Collection[int], characters: int) -> int:
    """The length to which all of these are cut where together they give up at least so many characters."""
    longest = max(lengths, default=0)
    while sum(max(0, length - longest) for length in lengths) < characters:
        longest -= 1
    return longest


def _take_beginnings(export: Export, entry: _Limited, groups: Groups) -> None:
    lengths = entry.beginnings(groups)
    if not lengths:
        raise _too_long(entry, groups)
    longest = _longest_without(lengths.values(), entry.excess_characters)
    texts = entry.table.definition.tokens.texts
    where = entry.table.column_where(entry.index.name if entry.index else "")
    for at, length in lengths.items():
        if length > longest:
            before = texts[at]
            texts[at] = str(longest) if NUMBER.fullmatch(before) else f"{before}({longest})"
            export.note("index prefix", where, before, texts[at], "MySQL's limit, with 4 bytes for each character")


def _too_long(entry: _Limited, groups: Groups) -> UserError:
    own = [(column, groups[column]) for column in entry.parts]
    own.sort(key=lambda pair: pair[1].longest, reverse=True)
    free = sum(max(0, (column.length or 0) - max(1, group.longest)) for column, group in own)
    needed = entry.limit + entry.excess - free * _BYTES_PER_CHARACTER
    columns = ", ".join(f"{quoted(column.name)} up to {group.longest} characters" for column, group in own[:9])
    value = text_of(own[0][1].example).decode("utf-8", "replace") if own else ""
    what = f"{entry.table.id.where}: its {entry.name} needs {needed} bytes in utf8mb4, and MySQL takes {entry.limit}"
    what += f" ({printable(columns)}; the longest value is {value!r})"
    return UserError(what, "shorten these values in the source database, and export again")


def _apply(table: Table, column: Column) -> None:
    texts = table.definition.tokens.texts
    texts[column.arguments[0]] = str(column.length)
    for index in table.definition.indexes:
        for part in index.parts:
            if part.prefix_at and part.name.lower() == column.name.lower():
                texts[part.prefix_at] = str(min(int(texts[part.prefix_at]), column.length or 0))
