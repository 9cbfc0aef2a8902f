"""Read an SQL dump as a stream of statements: exact, in constant memory, at about the speed of the disk.

The spans that are read cover the input without a gap. Statements that carry rows (``INSERT ... VALUES``)
are told by their place in the file and never held whole; every other statement comes with its text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import BinaryIO

FIRST_WINDOW = 1 << 14
BLOCK = 1 << 18  # fits a core's cache: the passes over a block cost less than reading it
FEW = 64  # of anything that is found faster one by one when it is rare
PIECE = 1 << 24  # of rows, to be written while the next ones are read
LONGEST_STATEMENT = 1 << 25  # of statements that are held whole; rows are not
HEADER_ROOM = 1 << 17  # longer than any INSERT's part before VALUES: 4,096 column names are refused by MySQL

NAME = rb"(?:`(?:[^`]|``)+`|[0-9A-Za-z$_\x80-\xff]+)"
TABLE_NAME = NAME + rb"(?:\s*\.\s*" + NAME + rb")?"

_COMMENT = re.compile(rb"(?:--(?=[\s\x00-\x20]|\Z)|#)[^\n]*(?:\n|\Z)|/\*(?!M?!).*?\*/|/\*M!999999\\-.*?\*/", re.S)
_OPEN_COMMENT = re.compile(rb"(?:--(?=[\s\x00-\x20]|\Z)|#)[^\n]*\Z|/\*(?!M?!)|/\*M!999999\\-", re.S)
_SPACE = re.compile(rb"\s*")
ROWS_HEAD = re.compile(
    rb"(?i:INSERT|REPLACE)\s+(?:(?i:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s+)*(?:(?i:INTO)\s+)?"
    rb"(?P<table>" + TABLE_NAME + rb")\s*(?:\((?P<columns>(?:[^()'\"`]|`(?:[^`]|``)*`)*)\)\s*)?(?i:VALUES?)(?=[\s(])"
)
_DELIMITER = re.compile(rb"(?i:DELIMITER)[ \t]+(\S+)[^\n]*(?:\n|\Z)")
DUMP_HEADER = re.compile(rb"-- (?:MySQL|MariaDB) dump ")
DUMP_FOOTER = b"-- Dump completed"
_FIRST_LINES = (b"-- MySQL dump ", b"-- MariaDB dump ")

_SINGLE = rb"'[^'\\]*(?:\\.[^'\\]*)*'"
_DOUBLE = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = (
    _SINGLE + rb"|" + _DOUBLE + rb"|`[^`]*`|/\*(?!M?!).*?\*/|(?:--(?=[\s\x00-\x20])|#)[^\n]*\n"
    rb"|(?P<open>['\"`#]|/\*(?!M?!)|--(?=[\s\x00-\x20]|\Z))"
)
_ESCAPE = re.compile(rb"\\[\\'\"]")
_MARK = re.compile(rb"[;\"`#]|/\*(?!M?!)|--(?=[\s\x00-\x20])")
_DASH_COMMENT = re.compile(rb"--[\s\x00-\x20]")
_REST_OF = {
    "'": re.compile(rb"[^'\\]*(?:\\.[^'\\]*)*'", re.S),
    '"': re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.S),
    "`": re.compile(rb"[^`]*`"),
    "--": re.compile(rb"[^\n]*\n"),
    "#": re.compile(rb"[^\n]*\n"),
    "/*": re.compile(rb".*?\*/", re.S),
}


class Kind(Enum):
    """What a span of a dump holds."""

    BLANK = auto()  # white space, comments, the byte-order mark, MariaDB's sandbox line
    DELIMITER = auto()  # the mysql client's DELIMITER command
    ROWS = auto()  # INSERT or REPLACE ... VALUES of one table: one or more, or a piece of a long one
    OTHER = auto()  # any other statement


@dataclass(frozen=True, slots=True)
class Statement:
    """A span of a dump, ``start`` to ``end`` in bytes from its beginning.

    ``text`` is what stands there, and for rows only the part before the values. ``delimiter`` ends
    the statement. ``table`` and ``columns`` are the quoted names in the text of ``ROWS``.
    """

    kind: Kind
    start: int
    end: int
    text: bytes
    delimiter: bytes = b";"
    table: bytes = b""
    columns: bytes | None = None


class DamagedDumpError(Exception):
    """The dump cannot be whole; ``offset`` is where the trouble starts, in bytes from the beginning."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


def read_statements(stream: BinaryIO, *, thorough: bool = True) -> Iterator[Statement]:
    """Yield the spans of a dump in order, without a gap; peak memory does not depend on its size.

    Raises `DamagedDumpError` for a dump that was cut short: an open string or comment, a statement without
    its end, a ``mysqldump`` or ``mariadb-dump`` header without its ``-- Dump completed``. Where those two programs
    wrote the rows, only a ``thorough`` reader looks into them, for a string that is still open at the end of its
    line; another, three times as fast, takes their word that rows end where lines do.
    """
    return _Reader(stream, thorough).statements()


class _Reader:
    def __init__(self, stream: BinaryIO, thorough: bool) -> None:
        self.stream = stream
        self.thorough = thorough
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
        have = len(self.buffer) - self.at
        if have >= wanted:
            return True
        parts = [self.buffer[self.at :]] if have else []
        while have < wanted and not self.at_end:
            part = self.stream.read(max(BLOCK, wanted - have))
            self.at_end = not part
            parts.append(part)
            have += len(part)
        self.base += self.at
        self.at = 0
        self.buffer = parts[0] if len(parts) == 1 else b"".join(parts)  # without a copy where it can be
        return have >= wanted

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
                yield self.blank() or self.delimiter_command() or self.other()
        if self.dump_start is not None:
            raise DamagedDumpError("has no '-- Dump completed' after this", self.dump_start)

    def take(self, kind: Kind, length: int) -> Statement:
        start = self.offset
        text = self.buffer[self.at : self.at + length]
        self.at += length
        return Statement(kind, start, start + length, text, self.delimiter)

    def blank(self) -> Statement | None:
        """White space, or one comment."""
        space = _SPACE.match(self.buffer, self.at)
        if space and space.end() > self.at:
            return self.take(Kind.BLANK, space.end() - self.at)
        comment = _COMMENT.match(self.buffer, self.at)
        wanted = HEADER_ROOM
        while (comment is None or comment.end() == len(self.buffer)) and _OPEN_COMMENT.match(self.buffer, self.at):
            wanted *= 2
            if not self.fill(wanted):
                comment = _COMMENT.match(self.buffer, self.at)
                if comment is None:
                    raise DamagedDumpError("ends within a comment", self.offset)
                break
            if wanted > LONGEST_STATEMENT:
                raise DamagedDumpError("has a comment that does not end", self.offset)
            comment = _COMMENT.match(self.buffer, self.at)
        if comment is None:
            return None
        self.note_comment(comment.group())
        return self.take(Kind.BLANK, comment.end() - self.at)

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

    def delimiter_command(self) -> Statement | None:
        command = _DELIMITER.match(self.buffer, self.at)
        if not command:
            return None
        statement = self.take(Kind.DELIMITER, command.end() - self.at)
        self.delimiter = command[1]
        return statement

    def other(self) -> Statement:
        """A statement that is held whole."""
        token = _tokens_until(self.delimiter)
        wanted = HEADER_ROOM
        position = self.at
        while True:
            found = token.search(self.buffer, position)
            if found and found.lastgroup == "end":
                return self.take(Kind.OTHER, found.end() - self.at)
            if found and found.lastgroup != "open":
                position = found.end()
                continue
            if self.at_end and not self.fill(wanted):
                what = {b"'": "ends within a string", b'"': "ends within a string", b"`": "ends within a name"}
                opened = found.group() if found else b""
                raise DamagedDumpError(what.get(opened, "ends within a statement"), self.offset)
            position -= self.at
            wanted *= 2
            if wanted > LONGEST_STATEMENT:
                raise DamagedDumpError("has a statement that does not end", self.offset)
            self.fill(wanted)
            # A token, or the delimiter, may have been cut by the end of the buffer.
            position = self.at + max(0, position)

    def rows(self, head: re.Match[bytes]) -> Iterator[Statement]:
        """Rows of one table, up to the first statement that begins otherwise, in pieces of about ``PIECE`` bytes."""
        start = piece = self.offset
        framed = self.dump_start is not None
        # To look at short lines one by one takes longer than to look into them.
        by_line = framed and not self.thorough and self.buffer.count(b"\n", self.at, self.at + HEADER_ROOM) < FEW
        scan = _LineScan(head.group()) if by_line else _RowScan(head.group(), framed=framed)
        self.at = head.end()
        window = FIRST_WINDOW
        while True:
            more = self.fill(window)
            block = self.buffer[self.at : self.at + window if window < BLOCK else None]
            if not block:
                what = "ends within a string" if scan.state in ("'", '"') else "ends within a statement"
                raise DamagedDumpError(what, start)
            looked_at, end = scan.advance(block, more=more)
            if scan.open_line:
                raise DamagedDumpError("has a string that is still open at the end of its line", start)
            self.at += looked_at
            if end or self.offset - piece >= PIECE:
                yield Statement(Kind.ROWS, piece, self.offset, head.group(), b";", head["table"], head["columns"])
                piece = self.offset
            if end:
                return
            window = min(2 * window, BLOCK) if looked_at else 2 * window


class _RowScan:
    """Find where the rows of one table end; ``state`` is the quote or comment mark that is open, or ''."""

    def __init__(self, head: bytes, *, framed: bool) -> None:
        self.head = head
        self.state = ""
        self.open_line = False
        # Rows by mysqldump and mariadb-dump: strings in single quotes, without line ends; no names, no comments.
        self.framed = framed
        self.joints = (b";\n" + head, b";\r\n" + head)

    def advance(self, block: bytes, *, more: bool) -> tuple[int, bool]:
        """How much of ``block`` was looked at, and whether the rows end there; ``more`` comes after it."""
        # What may go together with the next block's first byte is left for that block.
        whole_tokens = block.rstrip(b"\\-/*M;") if more else block
        end = self._end(whole_tokens)
        return (len(whole_tokens), False) if end is None else (end, True)

    def _end(self, block: bytes) -> int | None:
        """The place in ``block`` after the end of the rows, or None where they go on."""
        if self.state not in ("", "'"):
            return self._skip(block, 0)
        # Escapes, and joints between statements of the same table, give way to as many spaces.
        text = _ESCAPE.sub(b"  ", block) if b"\\" in block else block
        if b";" in text:
            text = text.replace(self.joints[0], b" " * len(self.joints[0]))
            if b"\r" in text:
                text = text.replace(self.joints[1], b" " * len(self.joints[1]))
        may_be_open = self.framed and b"\n" in text
        inside = bool(self.state)
        position = 0
        for mark in _marks(text, framed=self.framed):
            if text.count(b"'", position, mark) & 1:
                inside = not inside
            position = mark
            if not inside:
                self.state = ""
                return mark + 1 if text.startswith(b";", mark) else self._skip(block, mark)
            if may_be_open and block.startswith((b";\n", b";\r\n"), mark):
                self.open_line = True
                return None
        if _quotes(text, position, len(text)) & 1:
            inside = not inside
        self.state = "'" if inside else ""
        return None

    def _skip(self, block: bytes, position: int) -> int | None:
        """As `_end`, token by token."""
        plain = _plain_rows(self.head)
        while position < len(block):
            if self.state:
                rest = _REST_OF[self.state].match(block, position)
                string_end = rest.end() if rest else len(block)
                if self.framed and self.state == "'" and b"\n" in block[position:string_end]:
                    self.open_line = True
                    return None
                if not rest:
                    return None
                self.state = ""
                position = string_end
            found = plain.match(block, position)
            position = found.end() if found else position
            if block.startswith(b";", position):
                return position + 1
            for mark in _REST_OF:
                if block.startswith(mark.encode(), position):
                    self.state = "--" if mark == "#" else mark
                    position += len(mark)
                    break
            else:
                position += 1  # a backslash that ends the file
        return None


class _LineScan:
    """Find where the rows of one table end by line ends alone, in what mysqldump or mariadb-dump wrote.

    Neither has a line end within a string. A line of theirs ends with ``);``, ``),`` or, the first, ``VALUES``.
    """

    state = ""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.open_line = False
        self.after_head = True
        # Between rows, and between statements of the same table.
        self.joint = re.compile(rb"\)(?:,\r?\n|;\r?\n" + re.escape(head) + rb"(?:\r?\n)?)")

    def advance(self, block: bytes, *, more: bool) -> tuple[int, bool]:
        """How much of ``block`` was looked at, and whether the rows end there; ``more`` comes after it."""
        at = 0
        if self.after_head:
            at = len(block) - len(block.lstrip())
            self.after_head = at == len(block)
        line_end = block.find(b"\n", at)
        while line_end >= 0:
            before = block[line_end - 1 : line_end] == b"\r"
            joint = self.joint.match(block, line_end - 2 - before)
            if joint is None:
                break
            line_end = block.find(b"\n", joint.end())
        # What may go together with the next block's first byte is left for that block.
        if line_end < 0:
            whole = block.rstrip(b"),;\r") if more else block
            self.after_head = self.after_head or whole.endswith(self.head)
            return len(whole), False
        end = line_end - before
        if more and len(block) - line_end <= len(self.head) + 2:
            return end - 2, False
        self.open_line = not block.endswith(b");", 0, end)
        return end, True


def _quotes(text: bytes, start: int, end: int) -> int:
    """The number of single quotes; a few, as beside long hex numbers, are found faster one by one."""
    number = 0
    at = text.find(b"'", start, end)
    while at >= 0:
        number += 1
        if number == FEW:
            return number + text.count(b"'", at + 1, end)
        at = text.find(b"'", at + 1, end)
    return number


def _marks(text: bytes, *, framed: bool) -> Iterator[int]:
    """Where a statement would end, or a name, a comment or another string begin, were it not within a string."""
    if not framed and (
        b'"' in text
        or b"`" in text
        or b"#" in text
        or (b"*" in text and b"/*" in text)
        or (b"-" in text and _DASH_COMMENT.search(text))
    ):
        yield from (mark.start() for mark in _MARK.finditer(text))
        return
    mark = text.find(b";")
    while mark >= 0:
        yield mark
        mark = text.find(b";", mark + 1)


@lru_cache(maxsize=64)
def _plain_rows(head: bytes) -> re.Pattern[bytes]:
    """All that is no end and leaves nothing open; a string with a line end in it is left to be looked at."""
    single = _SINGLE.replace(rb"[^'\\]", rb"[^'\\\n]")
    return re.compile(
        rb"(?:[^'\"`;#/\\-]+|"
        + single
        + rb"|"
        + _DOUBLE
        + rb"|-(?!-[\s\x00-\x20])|/(?!\*(?!M?!))|\\.|;\r?\n"
        + re.escape(head)
        + rb")*",
        re.S,
    )


@lru_cache(maxsize=64)
def _tokens_until(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?P<end>" + re.escape(delimiter) + rb")|" + _TOKEN, re.S)
