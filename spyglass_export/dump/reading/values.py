"""Read chosen columns of a table's rows, a block of many rows at a time."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from spyglass_export.dump.reading.contents import Rows, Table, column_names
from spyglass_export.dump.reading.rows import SINGLE, has_odd_quotes
from spyglass_export.dump.reading.sources import COPY_AGAIN, export_changed
from spyglass_export.dump.reading.statements import HEADER_ROOM, ROWS_HEAD
from spyglass_export.errors import UserError

Least = Callable[[], int] | None
Block = dict[str, tuple[bytes, ...]]  # a column's literals, as they stand in the dump, by its name

_READ = 1 << 19
_LARGE = 1 << 18  # of a row that has begun
_KEPT = 1 << 18  # of a string in a large row: a varchar or TEXT is never longer, escapes and all
_ANY_HEAD = re.sub(rb"\?P<\w+>", b"?:", ROWS_HEAD.pattern)
_USUAL = bytes((*range(0x09, 0x0E), *range(0x20, 0x7F)))
_ESCAPED_CONTROL = re.compile(rb"\\(?:[0Z]|\Z)")  # at the end it may go on as one
# The most frequent come first, which makes all of it a third faster. No text is a value in two of these ways: a row
# that does not match would be tried in each combination of them. MySQL 8 and newer write _binary.
_VALUE = rb"(?:" + SINGLE + rb"|[^'(),;\s]+|_binary " + SINGLE + rb")"
_HEX = re.compile(rb"0[xX][0-9A-Fa-f]*")
# What is open at the end has no end: its quote may come yet, as may the rest of an escape.
_STRING = re.compile(rb"'(?P<text>[^'\\]*(?:\\.[^'\\]*)*)(?P<end>'?)", re.S)
_STRING_OR_LONG_HEX = re.compile(_STRING.pattern + rb"|(?P<hex>0x[0-9A-Fa-f]{65536})[0-9A-Fa-f]+", re.S)
_ESCAPE = re.compile(rb"\\(.)|''", re.S)
# https://dev.mysql.com/doc/refman/9.7/en/string-literals.html
_ESCAPED = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a", b"%": b"\\%", b"_": b"\\_"}


def read_values(table: Table, names: Sequence[str], longer_than: Least = None) -> Iterator[tuple[Rows, Block]]:
    """Yield the literals of the columns ``names`` in blocks of rows; a column that an INSERT leaves out is missing.

    Rows may be left out in which no string is longer, in bytes, than ``longer_than`` says at that time.
    Raises `UserError` where the rows are written as no dump program writes them.
    """
    for rows in table.rows:
        for block in _read_piece(table, rows, names, longer_than):
            yield rows, block


def is_ascii(table: Table) -> bool:
    """Whether no byte of the rows is above 127."""
    return all(part.isascii() for part in _parts(table))


def _parts(table: Table) -> Iterator[bytes]:
    """The rows in parts of any length; each piece of a source begins with a part of its own."""
    for rows in table.rows:
        with rows.source.path.open("rb", buffering=0) as stream:
            at = stream.seek(rows.start)
            while at < rows.end and (part := stream.read(min(_READ, rows.end - at))):
                at += len(part)
                yield part


def may_have_empty_string(table: Table) -> bool:
    """Whether there may be an empty string among the rows' values: a quick look, with false alarms."""
    return any(b"''" in part or part.startswith(b"'") for part in _parts(table))


def may_be_unusual(table: Table) -> bool:
    """Whether rows may have text of more than ASCII and white space: a quick look, with false alarms."""
    return any(rows.settings.names == "binary" for rows in table.rows) or any(  # which may have text in hex
        part.translate(None, _USUAL) or (b"\\" in part and _ESCAPED_CONTROL.search(part)) for part in _parts(table)
    )


def _rows_without_longer(buffer: bytes, length: int) -> int:
    """The end of a run of whole rows that have no string of more than ``length`` bytes; 0 where there may be one."""
    text = buffer.replace(b"\\\\", b"xx").replace(b"\\'", b"xx") if b"\\" in buffer else buffer
    text = text.replace(b"''", b"xx")  # one quote, in what no dump program wrote, or an empty string
    at = 0
    while at + length < len(text):  # from the last quote that may end such a string to the next: few are looked at
        at = text.rfind(b"'", at, at + length + 1) + 1
        if not at:
            return 0
    end = text.rfind(b"),(")
    while end >= 0 and has_odd_quotes(text[:end]):
        end = text.rfind(b"),(", 0, end)
    return end + 1


def _read_piece(table: Table, rows: Rows, names: Sequence[str], longer_than: Least) -> Iterator[Block]:
    left = rows.end - rows.start
    buffer = b""
    row: re.Pattern[bytes] | None = None  # as the statement that was begun has them
    longest = 2 * _KEPT * (len(table.definition.columns) + 1)  # that no row is, once its large values are cut
    with rows.source.path.open("rb", buffering=0) as stream:
        stream.seek(rows.start)
        while left or buffer:
            if left and (not buffer.startswith(b";") or len(buffer) < HEADER_ROOM):
                # A large row is looked at as often as it doubles.
                part = stream.read(min(left, max(_READ, len(buffer))))
                if not part:
                    raise export_changed()
                left -= len(part)
                buffer = _shortened(buffer + part) if len(buffer) > _LARGE else buffer + part
            if row is None or buffer.startswith(b";"):
                row = None
                buffer = buffer.lstrip(b"; \t\r\n")
                if not buffer or (left and len(buffer) < HEADER_ROOM):
                    continue
                head = ROWS_HEAD.match(buffer)
                if head is None:
                    raise _no_values(table, rows)
                buffer = buffer[head.end() :]
                row, in_order = _form(table, rows, names, head)
            if longer_than and len(table.column_lists) == 1:
                buffer = buffer[_rows_without_longer(buffer, longer_than()) :]
            found = row.findall(buffer)
            buffer = found.pop()[-1].lstrip() if found and found[-1][-1] else b""
            if found:
                yield dict(zip(in_order, zip(*found, strict=True), strict=False))
            is_row = left and len(buffer) <= longest
            if buffer and not is_row and not buffer.startswith(b";"):
                raise _no_values(table, rows)


def _form(table: Table, rows: Rows, names: Sequence[str], head: re.Match[bytes]) -> tuple[re.Pattern[bytes], list[str]]:
    """How a statement writes its rows: a pattern of one, and the names of the wanted columns in their order."""
    columns = None if head["columns"] is None else column_names(rows.settings.decode(head["columns"]))
    order = columns if columns is not None else [column.name.lower() for column in table.definition.columns]
    at = {name: place for place, name in enumerate(order)}
    places = sorted((at[name.lower()], name) for name in names if name.lower() in at)
    # Where all name the same columns any head will do, and one pattern for small tables of this form.
    is_shared = len(table.column_lists) == 1 and table.size < _LARGE
    next_head = _ANY_HEAD if is_shared else re.escape(head.group())
    row = _row_pattern(next_head, len(order), tuple(place for place, _ in places))
    return row, [name for _, name in places]


def _no_values(table: Table, rows: Rows) -> UserError:
    what = f"{rows.source.place(rows.start)}: rows of {table.id.where} are no plain list of values"
    return UserError(what, COPY_AGAIN)


def _shortened(row: bytes) -> bytes:
    """The beginning of a row that goes on, its large values cut; all others stay as they are."""

    def short(value: re.Match[bytes]) -> bytes:
        kept = _STRING.match(row, value.start(), value.start() + _KEPT)
        return b"'" + kept["text"] + value["end"] if kept else value["hex"]

    return _STRING_OR_LONG_HEX.sub(short, row)


@lru_cache(maxsize=512)  # to compile one takes as long as to read thousands of rows
def _row_pattern(next_head: bytes, count: int, places: tuple[int, ...]) -> re.Pattern[bytes]:
    """One row with what separates it from the one before; or else, in the last group, all that is left."""
    values = rb"\s*,\s*".join(b"(" + _VALUE + b")" if place in places else _VALUE for place in range(count))
    separator = rb"(?:\s*(?:,|;\s*" + next_head + rb"))?\s*"
    opening = rb"\(" if places else rb"(\()"  # `findall` gives tuples where there are two groups at least
    return re.compile(separator + opening + rb"\s*" + values + rb"\s*\)|(.+)", re.S)


def text_of(literal: bytes) -> bytes:
    """The bytes that a literal stands for, in the session's character set."""
    if _HEX.fullmatch(literal):
        return bytes.fromhex(literal[2:].decode().rjust((len(literal) - 1) // 2 * 2, "0"))
    start = literal.find(b"'")
    if start < 0 or not literal.endswith(b"'"):
        return literal
    inner = literal[start + 1 : -1]
    if b"\\" not in inner and b"''" not in inner:
        return inner
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]) if found[1] else b"'", inner)
