"""Values in rows, as dump programs and people write them: many, large, left out, or not to be read."""

import pytest

from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean

USE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\n"


def create(*lines: str) -> str:
    body = ",\n  ".join(lines)
    return f"{USE}CREATE TABLE `t` (\n  {body}\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n"


NAMED = create("`nwb_file_name` varchar(255)", *(f"`c{number}` varchar(9)" for number in range(80)))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("value", ["'v'", "'it''s'", "_latin1'v'", "_utf8mb4 'v'", "'it\\'s'"])
def test_rows_of_many_strings_are_read_however_they_lie_in_what_is_read_at_once(clean: Clean, value: str) -> None:
    rows = [f"('{'x' * (65 + number % 9)}'{f',{value}' * 80})" for number in range(4_000)]
    cleaned = clean(NAMED + f"INSERT INTO `t` VALUES {','.join(rows)};\n")

    assert "`nwb_file_name` varchar(73)" in cleaned.schema


@pytest.mark.timeout(60)
def test_a_row_of_many_strings_and_something_else_is_refused(clean: Clean) -> None:
    values = ",".join([f"'{'x' * 99}'", *["'v'"] * 79, "ST_GeomFromText('POINT(1 2)')"])

    with pytest.raises(UserError, match=r"rows of `d`\.`t` are no plain list of values"):
        clean(NAMED + f"INSERT INTO `t` VALUES ({values});\n")


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
