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
