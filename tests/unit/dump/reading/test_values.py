"""Values in rows, as dump programs and people write them: many, large, left out, or not to be read."""

import pytest

from spyglass_export.dump.reading.values import text_of
from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean

USE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\n"
LARGE = "b" * 900_000


def create(*lines: str) -> str:
    body = ",\n  ".join(lines)
    return f"{USE}CREATE TABLE `t` (\n  {body}\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n"


NAMED = create("`nwb_file_name` varchar(255)", *(f"`c{number}` varchar(9)" for number in range(80)))
KEYED = create("`k` varchar(400) NOT NULL", "`b` longtext", "PRIMARY KEY (`k`)")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("value", ["'v'", "''", "_binary 'v'", "'it\\'s'"])
def test_rows_of_many_strings_are_read_however_they_lie_in_what_is_read_at_once(clean: Clean, value: str) -> None:
    rows = [f"('{'x' * (65 + number % 9)}'{f',{value}' * 80})" for number in range(4_000)]
    cleaned = clean(NAMED + f"INSERT INTO `t` VALUES {','.join(rows)};\n")

    assert "`nwb_file_name` varchar(73)" in cleaned.schema


@pytest.mark.timeout(60)
def test_a_row_of_many_strings_and_something_else_is_refused(clean: Clean) -> None:
    values = ",".join([f"'{'x' * 99}'", *["'v'"] * 79, "ST_GeomFromText('POINT(1 2)')"])

    with pytest.raises(UserError, match=r"rows of `d`\.`t` are no plain list of values"):
        clean(NAMED + f"INSERT INTO `t` VALUES ({values});\n")


@pytest.mark.timeout(60)
def test_much_after_such_a_row_is_not_read_again_and_again(clean: Clean) -> None:
    definition = create("`nwb_file_name` varchar(255)", "`p` point")
    row = f"('{'x' * 99}',ST_GeomFromText('POINT(1 2)'))"

    with pytest.raises(UserError, match=r"rows of `d`\.`t` are no plain list of values"):
        clean(definition + f"INSERT INTO `t` VALUES {','.join([row] * 100_000)};\n")


@pytest.mark.parametrize("columns", ["(`b`)", "(b, c)", "()"])
def test_rows_may_leave_out_the_columns_that_are_looked_at(clean: Clean, columns: str) -> None:
    definition = create("`nwb_file_name` varchar(255)", "`b` int DEFAULT 1", "`c` int DEFAULT 1")
    row = columns.replace("`b`", "1").replace("b", "1").replace("c", "2")
    cleaned = clean(definition + f"INSERT INTO `t` {columns} VALUES {row},{row};\n")

    assert "`nwb_file_name` varchar(64)" in cleaned.schema


def test_rows_that_leave_a_column_out_come_with_rows_that_do_not(clean: Clean) -> None:
    definition = create("`nwb_file_name` varchar(255)", "`b` int DEFAULT 1")
    rows = f"(`b`) VALUES (1);\nINSERT INTO `t` VALUES ('{'x' * 70}',2);\nINSERT INTO `t` (b) VALUES (3);\n"

    assert "`nwb_file_name` varchar(70)" in clean(definition + "INSERT INTO `t` " + rows).schema


@pytest.mark.parametrize("keys", [("a", r"a\0"), (r"it\'s o", r"it\'s ö"), (r"\\", r"\\\0")])
def test_the_key_of_a_large_row_is_read_as_it_is(clean: Clean, keys: tuple[str, str]) -> None:
    cleaned = clean(KEYED + f"INSERT INTO `t` VALUES ('{keys[0]}',NULL),('{keys[1]}','{LARGE}');\n")

    assert "`k` varchar(400) COLLATE utf8mb4_bin" in cleaned.schema


@pytest.mark.parametrize("quote", [r"\'", r"\\", r"\'\\\'"])
@pytest.mark.parametrize("shift", range(2))
def test_the_values_of_a_large_row_are_measured_as_they_are(clean: Clean, quote: str, shift: int) -> None:
    """Wherever its large value is cut, and what was read ends."""
    definition = create("`b` longtext", "`nwb_file_name` varchar(255)", "`c` longtext")
    large = "x" * shift + quote * (300_000 // len(quote))
    rows = f"('{large}','{quote * 12}{'x' * 60}','{large}'),(NULL,'x',NULL)"
    length = 60 + 12 * len(quote) // 2

    cleaned = clean(definition + f"INSERT INTO `t` VALUES {rows},{rows};\n")

    assert f"`nwb_file_name` varchar({length})" in cleaned.schema


def test_a_text_of_many_escapes_is_widened_where_it_must_be(clean: Clean) -> None:
    definition = create("`a` text", "`b` longtext")
    value = "\\'" * 40_000 + "é" * 20_000

    assert "`a` mediumtext" in clean(definition + f"INSERT INTO `t` VALUES ('{value}','{LARGE}');\n").schema


@pytest.mark.parametrize("before", ["it\\'s ", "a \\'\\' ", ", \\'\\', ", "\\'", "(\\'\\'"])
def test_quotes_before_an_accent_do_not_hide_it(clean: Clean, before: str) -> None:
    rows = f"('{before}o',NULL),('{before}ö',NULL)"

    assert "COLLATE utf8mb4_bin" in clean(KEYED + f"INSERT INTO `t` VALUES {rows};\n").schema


def test_a_quote_that_is_written_twice_is_of_no_dump_program(clean: Clean) -> None:
    with pytest.raises(UserError, match="are no plain list of values"):
        clean(KEYED + "INSERT INTO `t` VALUES ('it''s o',NULL),('it''s ö',NULL);\n")


@pytest.mark.parametrize(("literal", "value"), [(b"0x6162", b"ab"), (b"0x162", b"\x01b"), (b"0x", b"")])
def test_a_value_in_hex_has_the_bytes_that_are_written(literal: bytes, value: bytes) -> None:
    assert text_of(literal) == value
