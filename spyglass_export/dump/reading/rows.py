"""Find where the rows of one table end, block by block, and that they are rows and nothing else.

mysqldump and mariadb-dump write strings in single quotes, with a backslash before each quote, backslash, line end and
NUL byte in them, and no names and no comments among rows. Whatever differs is damage, or was put there to be executed.
"""

from itertools import chain

import stringzilla

SINGLE = rb"'[^'\\]*(?:\\.[^'\\]*)*'"
# Dump programs write them as \\0; a crash or a broken copy leaves whole blocks of them, of 512 bytes or more.
NUL_BYTES = "has NUL bytes here, which no dump program writes"
NOT_ROWS = "has something among its rows that no dump program writes"
_HOLE = b"\0" * 256  # of any 512, as many are in one of the two blocks that they may fall in

_QUOTE = bytes(byte == ord("'") for byte in range(256))
_QUOTE_OR_BACKSLASH = bytes(byte in b"'\\" for byte in range(256))  # two of them where a quote is escaped: none
_ABOVE_ASCII = bytes(min(byte, 0x80) for byte in range(256))
# Outside of strings, these end the statement, hide what follows, read files, change other rows, or tell the `mysql`
# client to connect to another server. One byte stands for each that is enough by itself, and one for the decades
# from 2030 on.
_ALIKE = bytes(range(256)).lower().translate(bytes.maketrans(b"#`*456789", b";;;333333"))
_WORDS = (b"select", b"load_file", b"duplicate")
_FOREIGN: tuple[bytes, ...] = (b";", b"--", *_WORDS)
_CONNECT = b"\\r"
_LONGEST = max(map(len, _WORDS))
_LATE_YEARS = (b"'203", b"'210")  # how a string begins that is a year from 2038 to 2106, MariaDB's last
_ESCAPES = tuple(b"\\" + byte for byte in (b"'", b'"', b"n", _CONNECT[1:], b"0", b"Z", b"t"))
_HEX = b"0123456789ABCDEF"
_HEX_KEPT = 16  # at both ends of a blob: longer than any mark that is looked for
_STEP = 1 << 13  # blobs that are longer are found
_MANY = 800  # of these in a block: from then on, taking its strings out is faster than counting quotes before each


class RowScan:
    """Follows the rows of one table, from after the first ``VALUES`` on.

    ``is_open`` says whether a string is, ``damage`` what cannot be in a whole dump, ``may_have_late_year`` whether a
    string may begin with a year that MySQL's timestamps do not have: there are false alarms.
    """

    def __init__(self, head: bytes) -> None:
        self.is_open = False
        self.damage = ""
        self.may_have_late_year = False
        self._tail = b""  # of the last block
        # Between statements of the same table.
        self._joints = (b";\n" + head, b";\r\n" + head)

    def advance(self, block: bytes, *, more: bool) -> tuple[int, bool]:
        """How much of ``block`` was looked at, and whether the rows end there; ``more`` comes after it."""
        # What may go together with the next block's first byte is left for that block.
        text = whole = block.rstrip(b"\\);\r/-") if more else block
        if b"\0" in text and _HOLE in text:
            self.damage = NUL_BYTES
            return len(whole), False
        ends: list[int] = []
        if b"\n" in text:
            for joint in self._joints if b"\r" in text else self._joints[:1]:
                # Most often it is there once; after that many, bytes.replace() stops to look.
                text = text.replace(joint, b" " * len(joint), stringzilla.count(text, joint))
            if b"\n" in text:  # one byte is found ten times as fast as two
                ends = [end for line_end in (b";\n", b";\r\n") if (end := text.find(line_end)) >= 0]
        end = min(ends, default=len(text))
        rows = text[:end] if ends else text
        self._follow(rows)
        if not ends:
            return len(whole), False
        if self.damage:
            return end + 1, True
        if self.is_open:
            self.damage = "has a string that is still open at the end of its line"
        elif not text.endswith(b")", 0, end):
            self.damage = "has a row that is cut short"
        return end + 1, True

    def _follow(self, rows: bytes) -> None:
        """Note whether a string is open at the end of ``rows``, and whether anything outside of strings is no row."""
        rows = _with_short_blobs(rows)
        foreign = _FOREIGN
        # Most often nothing but quotes is escaped; then no backslash is, and a double quote is none that is escaped.
        if b"\\" in rows and stringzilla.count(rows, b"\\") != stringzilla.count(rows, b"\\'"):
            rows = _without_escaped_backslashes(rows)
            foreign = (*_FOREIGN, _CONNECT)
            is_known = _has_known_escapes(rows)
            quotes = _quotes(rows)
        else:
            is_known = b'"' not in rows
            quotes = memoryview(stringzilla.translate(rows, _QUOTE_OR_BACKSLASH))
        folded = stringzilla.translate(rows, _ALIKE)
        if not is_known or self._has_foreign(rows, quotes, folded, foreign):
            self.damage = NOT_ROWS
        self.is_open ^= bool(stringzilla.bytesum(quotes) % 2)
        joint = self._tail + folded[:_LONGEST]
        self.may_have_late_year |= any(year in joint or stringzilla.find(folded, year) >= 0 for year in _LATE_YEARS)
        self._tail = folded[1 - _LONGEST :]

    def _has_foreign(self, rows: bytes, quotes: memoryview, folded: bytes, foreign: tuple[bytes, ...]) -> bool:
        """Whether there is anything outside of strings that rows do not need, also where the last block ended."""
        is_open = self.is_open
        if not is_open and any(word in self._tail[1 - len(word) :] + folded[: len(word) - 1] for word in _WORDS):
            return True
        hits = sorted(chain.from_iterable(_places(folded, mark) for mark in foreign))
        if len(hits) > _MANY:
            outside = b" ".join(rows.replace(b"\\'", b"xx").split(b"'")[is_open::2]).translate(_ALIKE)
            return any(mark in outside for mark in foreign)
        last = 0
        for hit in hits:
            is_open ^= bool(stringzilla.bytesum(quotes[last:hit]) % 2)
            if not is_open:
                return True
            last = hit
        return False


def _with_short_blobs(rows: bytes) -> bytes:
    """Rows without the inner part of long runs of hexadecimal digits, in which there is nothing to find."""
    parts, start = [], 0
    for place in range(0, len(rows), _STEP):
        if place >= start and not rows[place : place + 2 * _HEX_KEPT].strip(_HEX):
            end = stringzilla.find_first_not_of(rows, _HEX, place)
            parts.append(rows[start : place + _HEX_KEPT])
            start = max(place, (len(rows) if end < 0 else end) - 2 * _HEX_KEPT) + _HEX_KEPT
    return b"".join((*parts, rows[start:])) if parts else rows


def has_odd_quotes(text: bytes) -> bool:
    """Whether a string is open at the end of text that begins outside of one, or the other way round."""
    return bool(stringzilla.bytesum(_quotes(_without_escaped_backslashes(text))) % 2)


def _without_escaped_backslashes(text: bytes) -> bytes:
    """The same length of text, in which each backslash escapes what comes after it."""
    return text.replace(b"\\\\", b"xx") if stringzilla.find(text, b"\\\\") >= 0 else text


def _quotes(plain: bytes) -> memoryview:
    """Ones where a string begins or ends, among zeros: summed up, they tell in no time whether one is open."""
    escaped = _places(plain, b"\\'")
    if len(escaped) > _MANY:
        return memoryview(stringzilla.translate(plain.replace(b"\\'", b"xx"), _QUOTE))
    quotes = bytearray(stringzilla.translate(plain, _QUOTE))
    for place in escaped:
        quotes[place + 1] = 0
    return memoryview(quotes)


def _has_known_escapes(plain: bytes) -> bool:
    """Whether a backslash stands only before what dump programs escape.

    A double quote without one before it is nowhere, so that none begins a string of another kind.
    """
    others = stringzilla.count(plain, b"\\")
    for escape in _ESCAPES:
        if not others:
            break
        others -= stringzilla.count(plain, escape)
    if others and not plain.isascii():  # bytes that are no UTF-8 come as they are, with a backslash before the first
        others -= stringzilla.count(stringzilla.translate(plain, _ABOVE_ASCII), b"\\\x80")
    return not others and (b'"' not in plain or stringzilla.count(plain, b'"') == stringzilla.count(plain, b'\\"'))


def _places(text: bytes, mark: bytes) -> list[int]:
    """Where a mark stands; no more than one more than many."""
    places: list[int] = []
    found = stringzilla.find(text, mark)
    while found >= 0 and len(places) <= _MANY:
        places.append(found)
        found = stringzilla.find(text, mark, found + 1)
    return places
