"""Fit lengths of columns to today's Spyglass, and to MySQL's limits at 4 bytes a character; no value is ever cut."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
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
# https://dev.mysql.com/doc/refman/9.7/en/storage-requirements.html
_SIZES = {
    "TINYINT": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INT": 4, "BIGINT": 8, "FLOAT": 4, "DOUBLE": 8,
    "YEAR": 1, "DATE": 3, "TIME": 3, "DATETIME": 5, "TIMESTAMP": 4,
    "UUID": 36 * _BYTES_PER_CHARACTER, "INET6": 39 * _BYTES_PER_CHARACTER, "INET4": 15 * _BYTES_PER_CHARACTER,
    # In the row; the value itself is kept outside.
    "TINYTEXT": 9, "TINYBLOB": 9, "TEXT": 10, "BLOB": 10, "MEDIUMTEXT": 11, "MEDIUMBLOB": 11, "LONGTEXT": 12,
    "LONGBLOB": 12, "JSON": 12,
}  # fmt: skip
_ROW = Index("", "ROW", [])  # has a limit as an index has
_PREFIX_REASON = "MySQL's limit, with 4 bytes for each character"
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4)  # of a decimal's digits that do not fill 9


@dataclass(slots=True)
class _Limited:
    """Columns whose bytes together have a limit: an index, or a row."""

    table: Table
    name: str
    limit: int
    fixed: int  # bytes that no length can change
    parts: list[Column]
    index: Index

    @property
    def excess(self) -> int:
        """Bytes over the limit."""
        size = sum(column.length or 0 for column in self.parts) * _BYTES_PER_CHARACTER
        if self.index is _ROW:  # which has the length of each varchar in it
            size += sum(1 if (one.length or 0) < 64 else 2 for one in self.parts if one.type == "VARCHAR")
        return self.fixed + size - self.limit

    @property
    def excess_characters(self) -> int:
        """Characters that its columns have to give up."""
        return -(-self.excess // _BYTES_PER_CHARACTER)


def fit_lengths(export: Export, groups: Groups) -> None:
    """Shorten columns in the definitions.

    A column that Spyglass 0.4.3 shortened gets its new length, and columns of an index or a row over MySQL's limit are
    cut as far as needed; both only as far as the values allow. Where that is not enough, an index that need not be
    unique takes the beginnings of its values; any other raises `UserError`, with its columns and the longest value.
    """
    tables = export.tables.values()
    before = {column: column.length for column in groups}
    over = [entry for table in tables for entry in _limits(table, groups) if entry.excess > 0]
    for entry in over:
        _cut_prefixes(export, entry)
    over = [entry for entry in over if entry.excess > 0]
    enough = {group: group.shorter for group in groups.values() if group.shorter is not None}
    enough |= {groups[column]: 0 for entry in over for column in entry.parts}
    for table in tables:
        if wanted := [column for column in table.definition.columns if groups.get(column) in enough]:
            _measure(table, wanted, groups, enough)
    lengths = old_lengths()
    for column, group in groups.items():
        if group.shorter is not None and (column.name, column.length) in lengths:
            reason = "today's Spyglass has this length; all values fit"
            _cut(column, group, max(group.shorter, group.longest), reason)
    too_long = [entry for entry in over if entry.excess > 0 and not _share_out(entry, groups)]
    for entry in too_long:
        if entry.excess > 0:
            _take_beginnings(export, entry, groups)
    for column, group in groups.items():
        if column.length != before[column]:
            _apply(group.columns[column], column)
            old, new = (f"{column.type.lower()}({length})" for length in (before[column], column.length))
            export.note("column length", group.columns[column].column_where(column.name), old, new, group.reason)


def _limits(table: Table, groups: Groups) -> Iterator[_Limited]:
    """The indexes of a table, and its row."""
    definition = table.definition
    texts = definition.tokens.texts
    limit = _INDEX_LIMITS.get(definition.engine, _INDEX_LIMITS["INNODB"])  # which all others become
    for index in definition.indexes:
        entry = _Limited(table, f"index {quoted(index.name)}", limit, 0, [], index)
        for part in index.parts:
            column = definition.column(part.name)
            if column and part.prefix_at:
                entry.fixed += int(texts[part.prefix_at]) * (_BYTES_PER_CHARACTER if column.is_text else 1)
            elif column in groups:
                entry.parts.append(column)
            elif column:
                entry.fixed += fixed_size(column, texts)
        if index.kind not in ("FULLTEXT", "SPATIAL"):
            yield entry
    fitted = [column for column in definition.columns if column in groups]
    fixed = sum(fixed_size(column, texts) for column in definition.columns if column not in groups)
    yield _Limited(table, "row", _ROW_LIMIT, fixed + (len(definition.columns) + 7) // 8, fitted, _ROW)


def _cut_prefixes(export: Export, entry: _Limited) -> None:
    """Shorten prefixes, such as latin1's ``KEY (notes(1000))``, where any length will do: nothing need be unique."""
    definition = entry.table.definition
    texts = definition.tokens.texts
    if entry.index.kind != "KEY":
        return
    lengths = {
        part.prefix_at: int(texts[part.prefix_at])
        for part in entry.index.parts
        if part.prefix_at and (column := definition.column(part.name)) and column.is_text
    }
    longest = _longest_without(lengths.values(), min(entry.excess_characters, sum(lengths.values()) - len(lengths)))
    for at, length in lengths.items():
        if length > longest:
            texts[at] = str(longest)
            entry.fixed -= (length - longest) * _BYTES_PER_CHARACTER
            where = entry.table.column_where(entry.index.name)
            export.note("index prefix", where, str(length), texts[at], _PREFIX_REASON)


def _measure(table: Table, columns: list[Column], groups: Groups, enough: dict[Group, int]) -> None:
    """Find the longest values of these columns that are longer than is ``enough`` for their groups."""
    for column in columns:
        length = column.length or 0  # what MySQL computes is in no row, and may be any
        if not column.generated:  # a default that is cut would be refused
            default = table.definition.tokens.texts[column.default[0]] if column.default else ""
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


def _share_out(entry: _Limited, groups: Groups) -> bool:
    """Cut the columns of what is over its limit, each in proportion to what its values leave free, until it fits.

    Columns of one group are cut together, once. False where the values leave too little free.
    """
    excess = entry.excess_characters
    own: dict[Group, list[int]] = {}
    for column in entry.parts:
        own.setdefault(groups[column], []).append(column.length or 0)
    free = [sum(max(0, length - max(1, group.longest)) for length in lengths) for group, lengths in own.items()]
    if excess > sum(free):
        return False
    reason = f"the {entry.name} of {entry.table.id.where} holds {entry.limit} bytes"
    for (group, lengths), share in zip(own.items(), free, strict=True):
        if share and entry.excess > 0:
            length = _longest_without(lengths, -(-excess * share // sum(free)))
            for column in group.columns:
                _cut(column, group, length, reason)
    return True


def _longest_without(lengths: Collection[int], characters: int) -> int:
    """The length to which all of these are cut where together they give up at least so many characters."""
    longest = max(lengths, default=0)
    while sum(max(0, length - longest) for length in lengths) < characters:
        longest -= 1
    return longest


def _take_beginnings(export: Export, entry: _Limited, groups: Groups) -> None:
    """Give prefixes to the columns of an index that need not be unique, but those that a foreign key needs whole.

    These are cut, too, where they leave no room. Raises `UserError` where that is not allowed, or not enough.
    """
    columns = [column for column in entry.parts if not groups[column].in_foreign_key]
    whole = [column for column in entry.parts if column not in columns]
    with_shortest = replace(entry, parts=whole, fixed=entry.fixed + len(columns) * _BYTES_PER_CHARACTER)
    may_begin = entry.index.kind == "KEY" and columns
    if not may_begin or (with_shortest.excess > 0 and not _share_out(with_shortest, groups)):
        raise _too_long(entry, groups)
    longest = _longest_without([column.length or 0 for column in columns], entry.excess_characters)
    shortened = {column.name.lower() for column in columns if (column.length or 0) > longest}
    places = [part.at for part in entry.index.parts if part.name.lower() in shortened]
    texts = entry.table.definition.tokens.texts
    before = ", ".join(texts[at] for at in places)
    for at in places:
        texts[at] += f"({longest})"
    after = ", ".join(texts[at] for at in places)
    export.note("index prefix", entry.table.column_where(entry.index.name), before, after, _PREFIX_REASON)


def _too_long(entry: _Limited, groups: Groups) -> UserError:
    own = sorted(((one, groups[one]) for one in entry.parts), key=lambda pair: pair[1].longest, reverse=True)
    free = sum(max(0, (column.length or 0) - max(1, group.longest)) for column, group in own)
    needed = entry.limit + entry.excess - free * _BYTES_PER_CHARACTER
    what = f"{entry.table.id.where}: its {entry.name} needs {needed} bytes in utf8mb4, and MySQL takes {entry.limit}"
    columns = ", ".join(f"{quoted(column.name)} up to {group.longest} characters" for column, group in own[:9])
    value = text_of(own[0][1].example).decode("utf-8", "replace") if own else ""
    what = f"{what} ({printable(columns)}; the longest value is {value!r})"
    return UserError(what, "shorten these values in the source database, and export again")


def _apply(table: Table, column: Column) -> None:
    texts = table.definition.tokens.texts
    texts[column.arguments[0]] = str(column.length)
    for index in table.definition.indexes:
        for part in index.parts:
            if part.prefix_at and part.name.lower() == column.name.lower():
                texts[part.prefix_at] = str(min(int(texts[part.prefix_at]), column.length or 0))


def fixed_size(column: Column, texts: Sequence[str]) -> int:
    """Bytes of a value in an index or a row, for types whose length is never changed; ``texts`` are the tokens'."""
    numbers = [int(texts[at]) for at in column.arguments if NUMBER.fullmatch(texts[at])]
    if column.type in ("DECIMAL", "NUMERIC"):
        digits, scale = ([*numbers, 0] if numbers else [10, 0])[:2]
        return sum(part // 9 * 4 + _DIGIT_BYTES[part % 9] for part in (digits - scale, scale))
    if column.type == "BIT":
        return ((numbers or [1])[0] + 7) // 8
    members = sum(texts[at] == "," for at in column.arguments) + 1
    if column.type == "ENUM":
        return 1 if members < 256 else 2
    if column.type == "SET":
        return (members + 7) // 8 if members <= 32 else 8
    if column.type in ("TIME", "DATETIME", "TIMESTAMP"):
        return _SIZES[column.type] + ((numbers or [0])[0] + 1) // 2
    if column.type in ("BINARY", "VARBINARY", "CHAR", "VARCHAR"):  # text types only where they hold bytes
        return (numbers or [1])[0]
    return _SIZES.get(column.type, 0)
