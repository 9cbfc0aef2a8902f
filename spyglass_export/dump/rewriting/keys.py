"""Fit the lengths of columns: those of today's Spyglass, and whatever MySQL's limits ask for at 4 bytes a character.

No value is ever cut: a column gets at least the length of the longest value that the export holds for it, and
columns that foreign keys tie together are fitted together.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from sqlparse import tokens as types

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.reading.values import read_values, text_of
from spyglass_export.dump.rewriting.tied_columns import Group, Place, fitted_columns, old_lengths, place_of
from spyglass_export.dump.sql.create_table import Column, Cursor, Index, TableDefinition
from spyglass_export.dump.sql.limits import (
    BYTES_PER_CHARACTER,
    INDEX_LIMITS,
    PAGE_LIMIT,
    PAGE_POINTER,
    ROW_LIMIT,
    fixed_size,
    is_virtual,
    length_bytes,
    page_size,
)
from spyglass_export.dump.sql.tokens import Token, printable, quoted, unquoted
from spyglass_export.errors import UserError

_SHOWN = 9  # columns in an error


@dataclass(slots=True)
class _Limited:
    """Columns whose bytes together have a limit: an index, or a whole row."""

    table: Table
    name: str
    limit: int
    fixed: int  # bytes that no length can change
    parts: list[Column]
    index: Index | None = None
    most: int = ROW_LIMIT  # characters of a column that count

    def characters(self, column: Column) -> int:
        """As many of the column's characters as count."""
        return min(column.length or 0, self.most)


def fit_lengths(export: Export, groups: dict[Place, Group]) -> list[Change]:
    """Shorten columns in the definitions; what was changed.

    A column that Spyglass 0.4.3 shortened gets its new length, and columns of an index or a row over MySQL's
    limit are cut as far as needed; both only as far as the values allow. Where that is not enough, an index that
    need not be unique takes the beginnings of its values.

    Raises `UserError`, which names table, index, columns and the longest value, where that is not enough.
    """
    tables = export.tables.values()
    limited = [entry for table in tables for entry in _limited(table)]
    changes = [change for entry in limited if _excess(entry) > 0 for change in _cut_prefixes(entry)]
    over = [entry for entry in limited if _excess(entry) > 0]
    wanted = {id(group): group for group in groups.values() if group.shorter is not None}
    for group in wanted.values():
        group.longest = group.shorter or 0  # shorter values change nothing, unless an index has to be cut
    for entry in over:
        for column in entry.parts:
            group = groups[place_of(entry.table, column)]
            wanted[id(group)] = group
            group.longest = 0
    _measure(wanted.values())
    before = {(id(table), column.name): column.length for table in tables for column in fitted_columns(table)}
    for group in wanted.values():
        if group.shorter is not None:
            _cut(
                group,
                max(group.shorter, group.longest),
                "today's Spyglass has this length; all values fit",
                only_old=True,
            )
    too_long = [entry for entry in over if _excess(entry) > 0 and not _share_out(entry, groups)]
    changes += [_take_beginnings(entry, groups) for entry in too_long if _excess(entry) > 0]
    return changes + [
        change
        for table in tables
        for column in fitted_columns(table)
        for change in _apply(table, column, before[id(table), column.name], groups[place_of(table, column)].reason)
    ]


def _cut_prefixes(entry: _Limited) -> list[Change]:
    """Shorten the prefixes of an index that need not be unique, for which any length will do."""
    definition = entry.table.definition
    if entry.index is None or entry.index.kind != "KEY":
        return []
    prefixes = [
        definition.tokens[prefix]
        for name, prefix in entry.index.parts
        if prefix is not None and (column := definition.column(name)) and column.is_text
    ]
    lengths = [int(token.text) for token in prefixes]
    if not any(length > 1 for length in lengths):
        return []
    excess = -(-_excess(entry) // BYTES_PER_CHARACTER)
    longest = _longest_without(lengths, min(excess, sum(lengths) - len(lengths)))
    changes = []
    for token, length in zip(prefixes, lengths, strict=True):
        if length > longest:
            token.text = str(longest)
            entry.fixed -= (length - longest) * BYTES_PER_CHARACTER
            changes.append(_prefix_change(entry, str(length), token.text))
    return changes


def _limited(table: Table) -> Iterator[_Limited]:
    """The indexes of a table, and its row."""
    definition = table.definition
    limit = INDEX_LIMITS.get(definition.engine, INDEX_LIMITS["INNODB"])
    for index in definition.indexes:
        if index.kind in ("FULLTEXT", "SPATIAL"):
            continue
        fixed = 0
        parts = []
        for name, prefix in index.parts:
            column = definition.column(name)
            if column is None:
                continue
            if column in fitted_columns(table) and prefix is None:
                parts.append(column)
            elif prefix is not None:
                size = int(definition.tokens[prefix].text)
                fixed += size * (BYTES_PER_CHARACTER if column.is_text else 1)
            else:
                fixed += fixed_size(column, definition.tokens)
        yield _Limited(table, f"index {quoted(index.name)}", limit, fixed, parts, index)
    fitted = fitted_columns(table)
    fixed = sum(fixed_size(column, definition.tokens) for column in definition.columns if column not in fitted)
    fixed += (len(definition.columns) + 7) // 8
    yield _Limited(table, "row", ROW_LIMIT, fixed, fitted)
    if definition.engine == "INNODB":
        stored = [column for column in fitted if not is_virtual(column)]
        fixed = page_size(definition, stored)
        most = PAGE_POINTER // BYTES_PER_CHARACTER
        yield _Limited(table, "row in a page", PAGE_LIMIT, fixed, stored, most=most)


def _excess(entry: _Limited) -> int:
    """Bytes over the limit."""
    size = sum(entry.characters(column) * BYTES_PER_CHARACTER for column in entry.parts)
    if entry.name == "row":
        size += sum(length_bytes(column) for column in entry.parts)
    return entry.fixed + size - entry.limit


def _measure(groups: Iterable[Group]) -> None:
    """Read the rows of the groups' tables, and set each group's longest value."""
    by_table: dict[int, list[tuple[Column, Group]]] = defaultdict(list)
    tables: dict[int, Table] = {}
    for group in groups:
        for table, column in group.columns:
            by_table[id(table)].append((column, group))
            tables[id(table)] = table
            group.longest = max(group.longest, _length_without_rows(table, column))
    for key, wanted in by_table.items():
        names = [column.name for column, _ in wanted]
        longest = [group for _, group in wanted]
        for rows, block in read_values(tables[key], names, lambda: min(group.longest for group in longest)):  # noqa: B023
            for column, group in wanted:
                for literal in _long(block.get(column.name, ()), group.longest):
                    characters = rows.settings.characters(text_of(literal))
                    if characters > group.longest:
                        group.longest, group.example = characters, literal


def _long(literals: tuple[bytes, ...], length: int) -> list[bytes]:
    """The literals that may be longer than this many characters: no literal is shorter than its value."""
    if not literals or len(max(literals, key=len)) - 2 <= length:
        return []
    return sorted((literal for literal in set(literals) if len(literal) - 2 > length), key=len, reverse=True)


def _length_without_rows(table: Table, column: Column) -> int:
    """A cut default would be refused, so it counts as a value. What MySQL computes is in no row, and may be any."""
    tokens = table.definition.tokens
    if "AS" in column.words:
        return column.length or 0
    words = [token for token in tokens[column.first : column.last] if token.matters]
    for word, value in pairwise(words):
        if word.word == "DEFAULT" and value.type is types.String:
            return len(text_of(value.text.encode("utf-8", "surrogateescape")))
    return 0


def _cut(group: Group, length: int, reason: str, *, only_old: bool = False) -> None:
    lengths = old_lengths() if only_old else {}
    for _, column in group.columns:
        if (column.length or 0) > length and (not only_old or (column.name, column.length) in lengths):
            column.length = length
            group.reason = reason


def _share_out(entry: _Limited, groups: dict[Place, Group]) -> bool:
    """Cut the columns of what is over its limit, each in proportion to what its values leave free, until it fits.

    Columns of one group are cut together, once. Columns that do not count in full would have to give up most of their
    length, and are cut only where the others are not enough. False where the values leave too little free.
    """
    excess = -(-_excess(entry) // BYTES_PER_CHARACTER)
    in_full = [column for column in entry.parts if (column.length or 0) <= entry.most]
    for columns in in_full, entry.parts:
        own: dict[int, tuple[Group, list[int]]] = {}
        for column in columns:
            group = groups[place_of(entry.table, column)]
            own.setdefault(id(group), (group, []))[1].append(entry.characters(column))
        free = [sum(max(0, length - max(1, group.longest)) for length in lengths) for group, lengths in own.values()]
        if excess <= sum(free):
            for (group, lengths), share in zip(own.values(), free, strict=True):
                if share and _excess(entry) > 0:
                    reason = f"the {entry.name} of {entry.table.where} holds {entry.limit} bytes"
                    _cut(group, _longest_without(lengths, -(-excess * share // sum(free))), reason)
            return True
    return False


def _longest_without(lengths: list[int], characters: int) -> int:
    """The length to which all of these are cut where together they give up at least so many characters."""
    longest = max(lengths)
    while sum(max(0, length - longest) for length in lengths) < characters:
        longest -= 1
    return longest


def _take_beginnings(entry: _Limited, groups: dict[Place, Group]) -> Change:
    """Give prefixes to the columns of an index that need not be unique, but those that a foreign key needs whole.

    These are cut, too, where they leave no room. Raises `UserError` where that is not allowed, or not enough.
    """
    columns = [column for column in entry.parts if not groups[place_of(entry.table, column)].in_foreign_key]
    if entry.index is None or entry.index.kind != "KEY" or not columns:
        raise _too_long(entry, groups)
    whole = [column for column in entry.parts if column not in columns]
    with_shortest = replace(entry, parts=whole, fixed=entry.fixed + len(columns) * BYTES_PER_CHARACTER)
    if _excess(with_shortest) > 0 and not _share_out(with_shortest, groups):
        raise _too_long(entry, groups)
    lengths = [column.length or 0 for column in columns]
    excess = -(-_excess(entry) // BYTES_PER_CHARACTER)
    longest = _longest_without(lengths, excess)
    tokens = _column_tokens(entry.table.definition, entry.index)
    shortened = [tokens[column.name.lower()] for column in columns if (column.length or 0) > longest]
    before = ", ".join(token.text for token in shortened)
    for token in shortened:
        token.after = f"({longest})"
    return _prefix_change(entry, before, ", ".join(token.text + token.after for token in shortened))


def _column_tokens(definition: TableDefinition, index: Index) -> dict[str, Token]:
    """The tokens of an index's columns, by their names in lower case."""
    cursor = Cursor(definition.tokens)
    found: dict[str, Token] = {}
    while list(found) != [name.lower() for name, _ in index.parts]:
        while not (cursor.accept("KEY") or cursor.accept("INDEX")):
            cursor.take()
        name = index.kind if cursor.word() in ("(", "USING") else cursor.name()
        if name == index.name:
            while cursor.word() != "(":
                cursor.take()
            inside = Cursor(definition.tokens, cursor.skip_parentheses()[0], cursor.indexes[cursor.at - 1])
            found = {}
            while inside.peek() is not None:
                if inside.word() == "(":
                    inside.skip_parentheses()
                elif not (inside.accept(",") or inside.accept("ASC") or inside.accept("DESC")):
                    token = definition.tokens[inside.take()]
                    found[unquoted(token.text).lower()] = token
    return found


def _prefix_change(entry: _Limited, before: str, after: str) -> Change:
    where = entry.table.column_where(entry.index.name if entry.index else "")
    return Change("index prefix", where, before, after, "MySQL's limit, with 4 bytes for each character")


def _too_long(entry: _Limited, groups: dict[Place, Group]) -> UserError:
    own = [(column, groups[place_of(entry.table, column)]) for column in entry.parts]
    own.sort(key=lambda pair: pair[1].longest, reverse=True)
    free = sum(max(0, entry.characters(column) - max(1, group.longest)) for column, group in own)
    needed = entry.limit + _excess(entry) - free * BYTES_PER_CHARACTER
    what = f"{entry.table.where}: its {entry.name} needs {needed} bytes in utf8mb4, and MySQL takes {entry.limit}"
    if entry.limit == PAGE_LIMIT:
        return UserError(what, "give some of its columns a table of their own in the source database, and export again")
    columns = ", ".join(f"{quoted(column.name)} up to {group.longest} characters" for column, group in own[:_SHOWN])
    value = text_of(own[0][1].example).decode("utf-8", "replace") if own else ""
    return UserError(
        f"{what} ({printable(columns)}; the longest value is {value!r})",
        "shorten these values in the source database, and export again",
    )


def _apply(table: Table, column: Column, before: int | None, reason: str) -> list[Change]:
    if column.length == before:
        return []
    tokens = table.definition.tokens
    tokens[column.arguments[0]].text = str(column.length)
    for index in table.definition.indexes:
        for name, prefix in index.parts:
            if prefix is not None and name.lower() == column.name.lower() and column.length is not None:
                tokens[prefix].text = str(min(int(tokens[prefix].text), column.length))
    kind = column.type.lower()
    where = table.column_where(column.name)
    return [Change("column length", where, f"{kind}({before})", f"{kind}({column.length})", reason)]
