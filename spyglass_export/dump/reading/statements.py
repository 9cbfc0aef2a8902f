"""Read an SQL dump as a stream of statements: exact, in constant memory, at about the speed of the disk."""

import re
from collections.abc import Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from spyglass_export.dump.reading.rows import SINGLE, RowScan
from spyglass_export.dump.reading.sources import Hashed

FIRST_WINDOW = 1 << 14
BLOCK = 1 << 18  # fits a core's cache: the passes over a block cost less than reading it
LONGEST_STATEMENT = 1 << 22  # of statements that are held whole; rows are not
LONGEST_COMMENT = 1 << 25  # mysqldump writes its whole condition into one
HEADER_ROOM = 1 << 17  # longer than any INSERT's part before VALUES: 4,096 column names are refused by MySQL

NAME = rb"(?:`(?:[^`]|``)+`|[0-9A-Za-z$_\x80-\xff]+)"
DOUBLE = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
TABLE_NAME = NAME + rb"(?:\s*\.\s*" + NAME + rb")?"

_COMMENT_START = re.compile(rb"(?:--(?=[\x00-\x20]|\Z)|#)|/\*(?!M?!)|/\*M!999999\\-")
_SPACE = re.compile(rb"(?:\s|--\r?\n)+")
ROWS_HEAD = re.compile(
    rb"(?i:INSERT|REPLACE)\s+(?:(?i:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s+)*(?:(?i:INTO)\s+)?"
    rb"(?P<table>" + TABLE_NAME + rb")\s*(?:\((?P<columns>(?:[^()'\"`]|`(?:[^`]|``)*`)*)\)\s*)?(?i:VALUES?)(?=[\s(])"
)
_DELIMITER = re.compile(rb"(?i:DELIMITER)[ \t]+(\S+)[^\n]*(?:\n|\Z)")
DUMP_HEADER = re.compile(rb"-- (?:MySQL|MariaDB) dump ")
DUMP_FOOTER = b"-- Dump completed"
_FIRST_LINES = (b"-- MySQL dump ", b"-- MariaDB dump ")

_TOKEN = (
    SINGLE + rb"|" + DOUBLE + rb"|`[^`]*`|/\*(?!M?!).*?\*/|(?:--(?=[\s\x00-\x20])|#)[^\n]*\n"
    rb"|(?P<open>['\"`#]|/\*(?!M?!)|--(?=[\s\x00-\x20]|\Z))"
)
# Most statements: they have no comments and no escapes, and are found at once.
_PLAIN = re.compile(rb"[^'\"`/#;*-]*(?:(?:'[^'\\]*'|`[^`]*`|/\*!|\*/(?!\*))[^'\"`/#;*-]*)*;")


class Kind(Enum):
    """What a span of a dump holds."""

    BLANK = auto()  # white space, comments, DELIMITER, the byte-order mark, MariaDB's sandbox line
    ROWS = auto()  # INSERT or REPLACE ... VALUES of one table: a block of one or more, or of a long one
    OTHER = auto()  # any other statement


class Statement(NamedTuple):
    """A span of a dump, in bytes from its beginning.

    ``text`` is what stands there. Rows have the ``table`` and ``columns`` of their INSERT, and what `RowScan` says of
    their years.
    """

    kind: Kind
    start: int
    end: int
    text: bytes
    delimiter: bytes = b";"
    table: bytes = b""
    columns: bytes | None = None
    may_have_late_year: bool = False


class DamagedDumpError(Exception):
    """The dump cannot be whole; ``offset`` is where the trouble starts, in bytes from the beginning."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


def read_statements(stream: BinaryIO | Hashed) -> Iterator[Statement]:
    """Yield the spans of a dump in order, without a gap; raise `DamagedDumpError` where it was cut short."""
    return _Reader(stream).statements()


class _Reader:
    def __init__(self, stream: BinaryIO | Hashed) -> None:
        self.stream = stream
        self.buffer = b""
        self.base = 0  # offset of the buffer in the stream
        self.at = 0  # where we are in the buffer
        self.at_end = False
        self.delimiter = b";"
        self.dump_start: int | None = None  # offset of the header of the dump we are in

    @property
    def offset(self) -> int:
        return self.base + self.at

    def fill(self, wanted: int) -> bool:
        """Have ``wanted`` bytes from here on in the buffer; false when the stream ends before."""
        while len(self.buffer) - self.at < wanted and not self.at_end:
            part = self.stream.read(max(BLOCK, wanted))
            self.at_end = not part
            left = self.buffer[self.at :]
            self.buffer = left + part if left else part  # without a copy where it can be
            self.base += self.at
            self.at = 0
        return len(self.buffer) - self.at >= wanted

    def statements(self) -> Iterator[Statement]:
        self.fill(HEADER_ROOM)
        if self.buffer.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DamagedDumpError("is written in UTF-16, as PowerShell's '>' does", 0)
        if self.buffer.startswith(b"\xef\xbb\xbf"):
            self.at = 3
            yield Statement(Kind.BLANK, 0, 3, self.buffer[:3])
        while self.fill(HEADER_ROOM) or self.at < len(self.buffer):
            head = ROWS_HEAD.match(self.buffer, self.at) if self.delimiter == b";" else None
            if head:
                yield from self.rows(head)
            else:
                yield self.blank() or self.other()
        if self.dump_start is not None:
            raise DamagedDumpError("has no '-- Dump completed' after this", self.dump_start)

    def take(self, kind: Kind, length: int) -> Statement:
        start, text = self.offset, self.buffer[self.at : self.at + length]
        self.at += length
        return Statement(kind, start, start + length, text, self.delimiter)

    def blank(self) -> Statement | None:
        """White space, one comment, or the mysql client's DELIMITER command."""
        if command := _DELIMITER.match(self.buffer, self.at):
            self.delimiter = command[1]
            return self.take(Kind.BLANK, command.end() - self.at)
        if space := _SPACE.match(self.buffer, self.at):
            return self.take(Kind.BLANK, space.end() - self.at)
        opening = _COMMENT_START.match(self.buffer, self.at)
        if not opening:
            return None
        ending = b"*/" if opening.group().startswith(b"/") else b"\n"
        wanted = HEADER_ROOM
        has_more = True
        while (end := self.buffer.find(ending, self.at + len(opening.group()))) < 0 and has_more:
            wanted *= 2
            if wanted > LONGEST_COMMENT:
                raise DamagedDumpError("has a comment that does not end", self.offset)
            has_more = self.fill(wanted)
        if end < 0 and ending == b"*/":
            raise DamagedDumpError("ends within a comment", self.offset)
        end = end + len(ending) if end >= 0 else len(self.buffer)
        self.note_comment(self.buffer[self.at : end])
        return self.take(Kind.BLANK, end - self.at)

    def note_comment(self, comment: bytes) -> None:
        """Follow the first and last lines by which mysqldump frames what it writes."""
        if DUMP_HEADER.match(comment):
            if self.dump_start is not None:
                raise DamagedDumpError("has no '-- Dump completed' after this", self.dump_start)
            self.dump_start = self.offset
        elif comment.startswith(DUMP_FOOTER):
            if self.dump_start is None:
                raise DamagedDumpError("has a '-- Dump completed' whose beginning is missing", self.offset)
            self.dump_start = None
        elif comment.startswith(b"-- M") and any(line.startswith(comment) for line in _FIRST_LINES):
            raise DamagedDumpError("ends within the first line of a dump", self.offset)

    def other(self) -> Statement:
        """A statement that is held whole."""
        plain = _PLAIN.match(self.buffer, self.at) if self.delimiter == b";" else None
        if plain:
            return self.take(Kind.OTHER, plain.end() - self.at)
        token = _tokens_until(self.delimiter)
        wanted = HEADER_ROOM
        while True:
            opened = b""
            for found in token.finditer(self.buffer, self.at):
                if found.lastgroup == "end":
                    return self.take(Kind.OTHER, found.end() - self.at)
                if found.lastgroup == "open":
                    opened = found.group()
                    break
            if self.at_end and not self.fill(wanted):
                what = {b"'": "a string", b'"': "a string", b"`": "a name"}.get(opened, "a statement")
                raise DamagedDumpError(f"ends within {what}", self.offset)
            wanted *= 2
            if wanted > LONGEST_STATEMENT:
                raise DamagedDumpError("has a statement here that does not end within 4 MB", self.offset)
            self.fill(wanted)

    def rows(self, head: re.Match[bytes]) -> Iterator[Statement]:
        """Rows of one table, block by block, up to the first statement that begins otherwise."""
        first = start = self.offset
        before, scan = head.group(), RowScan(head.group())
        self.at = head.end()
        window, end = FIRST_WINDOW, False
        while not end:
            more = self.fill(window)
            block = self.buffer[self.at : self.at + window if window < BLOCK else None]
            if not block:
                what = "ends within a string" if scan.is_open else "ends within a statement"
                raise DamagedDumpError(what, first)
            looked_at, end = scan.advance(block, more=more)
            if scan.damage:
                raise DamagedDumpError(scan.damage, first)
            self.at += looked_at
            if looked_at:
                told = head["table"], head["columns"], scan.may_have_late_year
                yield Statement(Kind.ROWS, start, self.offset, before + block[:looked_at], b";", *told)
                before, start = b"", self.offset
            window = min(2 * window, BLOCK) if looked_at else 2 * window


@lru_cache(maxsize=64)
def _tokens_until(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?P<end>" + re.escape(delimiter) + rb")|" + _TOKEN, re.S)
