"""The reader of statements, against a slow one that looks at every byte."""

import io
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spyglass_export.dump.reading import rows, statements
from spyglass_export.dump.reading.rows import NOT_ROWS
from spyglass_export.dump.reading.statements import DamagedDumpError, Kind, Statement, read_statements

FRAGMENTS = [
    b"INSERT INTO `t` VALUES (",
    b"INSERT INTO `t` VALUES (",
    b"REPLACE INTO t (a, `b;'`) VALUES\n(",
    b"INSERT INTO `o'd;d` VALUES (",
    b"CREATE TABLE `a` (",
    b"SET x = ",
    b"DELIMITER ;;\n",
    b"DELIMITER ;\n",
    b";",
    b";\n",
    b";\r\n",
    b";\nINSERT INTO `t` VALUES (",
    b";;",
    b"),(",
    b")",
    b",",
    b"1",
    b"-1",
    b"0xABCD",
    b"NULL",
    b"'",
    b"'",
    b"''",
    b'"',
    b"`",
    b"\\",
    b"\\'",
    b"\\\\",
    b"'it''s'",
    b"'a;b'",
    b"'\\';\\\\'",
    b"';\nINSERT INTO `t` VALUES ('",
    b"'\xc3\xa9\x00\xff'",
    b'"x;\'"',
    b"`y;'`",
    b"-- c;'\n",
    b"--x",
    b"# d;'\n",
    b"/* e;' */",
    b"/*!40101 ",
    b"*/",
    b"/",
    b"-",
    b" ",
    b"\n",
    b"-- \n",
]
SPACE = b" \t\r\n\v\f"


def slow_spans(text: bytes) -> list[tuple[int, int]]:
    """Statements by looking at each byte, as MySQL's manual describes strings and comments: start and end of each."""
    spans = []
    at = 0
    delimiter = b";"
    while at < len(text):
        after = skip_blank(text, at)
        if after != at:
            at = after
            continue
        word = text[at : at + 10].upper()
        if word[:9] == b"DELIMITER" and word[9:] in (b" ", b"\t") and text[at + 10 :].split(b"\n")[0].strip(SPACE):
            line_end = text.find(b"\n", at)
            line_end = len(text) if line_end < 0 else line_end + 1
            delimiter = text[at:line_end].split()[1]
            at = line_end
            continue
        start = at
        while not text.startswith(delimiter, at):
            if at >= len(text):
                raise DamagedDumpError("open", start)
            at = skip_token(text, at)
        at += len(delimiter)
        spans.append((start, at))
    return spans


def skip_blank(text: bytes, at: int) -> int:
    if text[at] in SPACE:
        return at + 1
    comment = skip_comment(text, at)
    return at if comment is None else comment


def skip_comment(text: bytes, at: int) -> int | None:
    is_dash = text.startswith(b"--", at) and (at + 2 >= len(text) or text[at + 2] <= 32)
    if is_dash or text.startswith(b"#", at):
        end = text.find(b"\n", at)
        return len(text) if end < 0 else end + 1
    if text.startswith(b"/*", at) and not text.startswith((b"/*!", b"/*M!"), at):
        end = text.find(b"*/", at + 2)
        if end < 0:
            raise DamagedDumpError("open", at)
        return end + 2
    return None


def skip_token(text: bytes, at: int) -> int:
    quote = text[at : at + 1]
    assume(quote != b"\\")  # outside of strings it is no SQL
    if quote not in (b"'", b'"', b"`"):
        return skip_comment(text, at) or at + 1
    at += 1
    while at < len(text):
        if text[at : at + 1] == b"\\" and quote != b"`":
            at += 2
        elif text[at : at + 1] == quote:
            return at + 1
        else:
            at += 1
    raise DamagedDumpError("open", at)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bytes, so that every token is cut somewhere."""
    monkeypatch.setattr(statements, "FIRST_WINDOW", 8)
    monkeypatch.setattr(statements, "BLOCK", 16)
    monkeypatch.setattr(statements, "HEADER_ROOM", 64)


def spans_of(text: bytes) -> list[Statement]:
    return list(read_statements(io.BytesIO(text)))


def merged_rows(spans: list[Statement]) -> Iterator[tuple[int, int]]:
    """Spans of rows that touch or have only a line end between them are one; others are as they are."""
    last: tuple[int, int] | None = None
    for span in spans:
        if span.kind is Kind.ROWS:
            last = (last[0] if last and last[1] == span.start else span.start, span.end)
        elif last:
            yield last
            last = None
        if span.kind is Kind.OTHER:
            yield span.start, span.end
    if last:
        yield last


dump_text = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(b"".join),
    st.tuples(
        st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join), st.sampled_from([b";", b"');", b'";'])
    ).map(b"".join),
    st.binary(max_size=60),
)


@given(text=dump_text)
@settings(max_examples=200, deadline=None)
def test_spans_joined_are_the_input_and_begin_and_end_where_mysql_says(text: bytes) -> None:
    assume(
        b" dump " not in text
        and b"-- Dump" not in text
        and b"-- M" not in text
        and not text.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef"))
    )
    try:
        expected = slow_spans(text)
    except DamagedDumpError:
        with pytest.raises(DamagedDumpError):
            spans_of(text)
        return
    try:
        spans = spans_of(text)
    except DamagedDumpError as error:
        assert error.what in (
            NOT_ROWS,
            "has a row that is cut short",
            "has a string that is still open at the end of its line",
        )
        return

    assert [span.start for span in spans] == [0, *(span.end for span in spans)][: len(spans)]
    assert (spans[-1].end if spans else 0) == len(text)
    # What is read as one run of rows may be several statements, all INSERTs into the same table.
    ends = {end for _, end in expected}
    starts = {start for start, _ in expected}
    for start, end in merged_rows(spans):
        assert start in starts
        assert end in ends
    others = [(span.start, span.end) for span in spans if span.kind is Kind.OTHER]
    assert set(others) <= set(expected)


FOREIGN = [
    b"; DROP TABLE x; ",
    b" \\! touch x ",
    b" \\r x y ",
    b"/* ' */",
    b" # '",
    b" -- '",
    b'"',
    b"`",
    b"(SELECT 1)",
    b"load_file(1)",
    b" ON DUPLICATE KEY UPDATE a=1 ",
]
VALUES = [
    b"1",
    b"NULL",
    b"0xAB",
    b"''",
    b"'it\\'s'",
    b"'a;b'",
    b"');'",
    b"'),(\\n'",
    b"'\\\\'",
    b"'-- c'",
    b"'`\\\"'",
    b"'/* # select '",
    b"_binary 'x\\\xf0?'",
    b"'\xc3'",
]
row = st.lists(st.sampled_from(VALUES), min_size=1, max_size=3).map(lambda values: b"(" + b",".join(values) + b")")


@st.composite
def framed_dump(draw: st.DrawFn) -> bytes:
    """As mysqldump and mariadb-dump write it: rows on one line, an INSERT for each, or a line for each."""
    parts = [b"-- MySQL dump 10.13\n"]
    for _ in range(draw(st.integers(1, 4))):
        head = b"INSERT INTO %b VALUES" % draw(st.sampled_from([b"`t`", b"`u;'`"]))
        rows = draw(st.lists(row, min_size=1, max_size=4))
        style = draw(st.sampled_from(["extended", "one row", "a line for each"]))
        if style == "one row":
            parts += [head + b" " + one + b";\n" for one in rows]
        else:
            parts.append(head + (b" " + b",".join(rows) if style == "extended" else b"\n" + b",\n".join(rows)) + b";\n")
        parts.append(draw(st.sampled_from([b"", b"UNLOCK TABLES;\n", b"\n--\n-- c\n"])))
    text = b"".join([*parts, b"-- Dump completed\n"])
    return text.replace(b"\n", b"\r\n") if draw(st.booleans()) else text


@given(text=framed_dump())
@settings(max_examples=200, deadline=None)
def test_what_a_dump_program_wrote_is_read_as_it_stands_there(text: bytes) -> None:
    spans = spans_of(text)

    assert b"".join(text[span.start : span.end] for span in spans) == text
    expected = slow_spans(text)
    assert runs(text, [span for span in spans if span.kind is not Kind.BLANK]) == runs(
        text, [Statement(Kind.OTHER, start, end, b"", table=table_of(text[start:end])) for start, end in expected]
    )


def table_of(statement: bytes) -> bytes:
    return statement.split()[2] if statement.startswith(b"INSERT") else b""


@given(text=framed_dump(), place=st.integers(0, 10_000), foreign=st.sampled_from(FOREIGN))
@settings(max_examples=200, deadline=None)
def test_what_is_no_row_is_found_among_rows_wherever_it_stands(text: bytes, place: int, foreign: bytes) -> None:
    """Between two values: there each of these would be executed, by the server or by its client."""
    ends = [
        found.end()
        for found in re.finditer(rb"\((?=[1N0'])|(?<=[L1B'])\)(?=[,;])", text)
        if is_outside(text, found.start())
    ]
    at = ends[place % len(ends)]
    with pytest.raises(DamagedDumpError):
        spans_of(text[:at] + foreign + text[at:])


def is_outside(text: bytes, at: int) -> bool:
    line = text[text.rfind(b"\n", 0, at) + 1 : at].replace(b"`u;'`", b"").replace(b"\\\\", b"").replace(b"\\'", b"")
    return line.count(b"'") % 2 == 0


def runs(text: bytes, spans: list[Statement]) -> list[tuple[bytes, bytes]]:
    """Statements by table, those of one table that follow each other together, without their white space."""
    found = []
    for table, group in groupby(spans, lambda span: span.table):
        found.append((table, b"".join(text[span.start : span.end] for span in group).translate(None, b" \r\n")))
    return found


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_is_no_row_is_found_beside_blobs(monkeypatch: pytest.MonkeyPatch, foreign: bytes) -> None:
    """Of which most is passed over, whether they are within a block or go on in the next."""
    monkeypatch.setattr(rows, "_STEP", 16)
    monkeypatch.setattr(statements, "BLOCK", 128)
    for length in range(30, 400, 7):
        value = b"0x%b" % (b"A" * length)
        text = b"-- MySQL dump 10.13\nINSERT INTO `t` VALUES (1,%b%b,'a;b'),(2,%b);\n-- Dump completed\n"
        whole = text % (value, b"", value)

        assert b"".join(whole[span.start : span.end] for span in spans_of(whole)) == whole
        with pytest.raises(DamagedDumpError, match=NOT_ROWS):
            spans_of(text % (value, foreign, value))


def test_rows_of_one_table_in_several_statements_are_one_run() -> None:
    text = b"INSERT INTO `t` VALUES (1,';\\nDROP TABLE t;');\nINSERT INTO `t` VALUES (2,'it\\'s');\nUNLOCK TABLES;\n"

    kinds = [(span.kind, text[span.start : span.end][-6:]) for span in spans_of(text) if span.kind is not Kind.BLANK]

    assert kinds[-1] == (Kind.OTHER, b"ABLES;")
    assert {kind for kind, _ in kinds[:-1]} == {Kind.ROWS}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"-- MySQL dump 10.13\nSELECT 1;\n", "has no '-- Dump completed' after this"),
        (b"-- MySQL dump 10.13\n-- MySQL dump 10.13\n-- Dump completed\n", "has no '-- Dump completed' after this"),
        (b"-- Dump completed on 2026-01-01\n", "has a '-- Dump completed' whose beginning is missing"),
        (b"SELECT 1;\n-- MySQL du", "ends within the first line of a dump"),
        (b"SELECT 'x;\n", "ends within a string"),
        (b"SELECT `x;\n", "ends within a name"),
        (b"SELECT 1\n", "ends within a statement"),
        (b"/* x", "ends within a comment"),
        (b"INSERT INTO t VALUES (1,'x);\n", "has a string that is still open at the end of its line"),
        (b"INSERT INTO t VALUES (1,'x);", "ends within a string"),
        (b"INSERT INTO t VALUES (1,2)", "ends within a statement"),
        ("SELECT 1;".encode("utf-16"), "is written in UTF-16, as PowerShell's '>' does"),
        (
            b"-- MySQL dump 10.13\nINSERT INTO t VALUES ('a);\nUNLOCK TABLES;\nINSERT INTO t VALUES ('b');\n",
            "has a string that is still open at the end of its line",
        ),
        (
            b"-- MySQL dump 10.13\nINSERT INTO t VALUES (1,2),(3-- MySQL dump 10.13\n/*!40101 SET x=1 */;\n",
            "has something among its rows that no dump program writes",
        ),
        (b"INSERT INTO t VALUES (1,2),(3;\n", "has a row that is cut short"),
        (
            b"INSERT INTO t VALUES (1,'a\"b');\n",
            "has something among its rows that no dump program writes",
        ),
    ],
)
def test_a_damaged_dump_is_refused(text: bytes, what: str) -> None:
    with pytest.raises(DamagedDumpError) as error:
        spans_of(text)

    assert error.value.what == what


def test_a_byte_order_mark_and_the_sandbox_line_are_no_statements() -> None:
    text = b"\xef\xbb\xbf/*M!999999\\- enable the sandbox mode */ \r\n-- x\r\nSELECT 1;"

    assert [span.text for span in spans_of(text) if span.kind is Kind.OTHER] == [b"SELECT 1;"]


def test_memory_does_not_grow_with_a_row(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    with dump.open("wb") as file:
        file.write(b"INSERT INTO `t` VALUES (1,0x")
        for _ in range(200):
            file.write(b"AB" * 500)
        file.write(b");\n")
    with dump.open("rb", buffering=0) as stream:
        longest = max(len(span.text) for span in read_statements(stream))

    assert longest < 100
