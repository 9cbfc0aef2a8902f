"""Values that MySQL takes back only into other columns, or not at all, and names that are too long for it."""

import pytest

from spyglass_export.dump.reading import statements
from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean

TABLE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\nCREATE TABLE `t` (\n  `id` int,\n  `v` {}\n);\n"
ROWS = "INSERT INTO `t` VALUES (1,{}),(2,NULL);\n"


@pytest.mark.parametrize(
    ("kind", "value", "after"),
    [
        ("float(10,2) DEFAULT NULL", "100000000.00", "float(11,2) DEFAULT NULL"),
        ("double(5,3) unsigned", "-100.000", "double(6,3) unsigned"),
        ("float(10,2)", "99999999.00", "float(10,2)"),
        ("float(10,2)", "DEFAULT", "float(10,2)"),
        ("float(10,2)", "'100000000.00'", "float(11,2)"),
        ("float", "3.40282e38", "float"),
    ],
)
def test_a_float_that_was_rounded_up_gets_room(clean: Clean, kind: str, value: str, after: str) -> None:
    assert f"`v` {after}\n" in clean(TABLE.format(kind) + ROWS.format(value)).schema


@pytest.mark.parametrize("value", ["'2040-01-01 00:00:00'", "'2038-01-19 03:14:08'", "'2106-02-07 06:28:15.5'"])
def test_a_timestamp_that_only_mariadb_holds_is_named(clean: Clean, value: str) -> None:
    with pytest.raises(UserError) as error:
        clean(TABLE.format("timestamp(3) NULL") + ROWS.format(value))

    assert error.value.what.startswith(f"`d`.`t`.`v` holds {value.strip(chr(39))}")


def test_a_late_timestamp_is_seen_wherever_a_block_ends(clean: Clean, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("FIRST_WINDOW", "BLOCK", "HEADER_ROOM"):
        monkeypatch.setattr(statements, size, 128)
    for filling in range(128):
        early = "'2000-01-01 00:00:00'),(1," * 20 + f"'2000-01-01 00:00:00.{'0' * filling}'"
        rows = ROWS.format(f"{early}),(1,'2040-01-01 00:00:00'")
        with pytest.raises(UserError, match="holds 2040"):
            clean(TABLE.format("timestamp NULL") + rows)


@pytest.mark.parametrize(
    ("kind", "value"), [("timestamp", "'2038-01-19 03:14:07'"), ("datetime", "'2040-01-01 00:00:00'")]
)
def test_other_times_are_taken(clean: Clean, kind: str, value: str) -> None:
    assert clean(TABLE.format(kind) + ROWS.format(value)).rows


def test_names_of_constraints_become_short_and_different(clean: Clean) -> None:
    """Older servers made long ones; MariaDB numbers the checks of each table anew."""
    long = "x" * 70 + "_ibfk_1"
    lines = "CONSTRAINT `{}` FOREIGN KEY (`v`) REFERENCES `p` (`v`),\n  CONSTRAINT `CONSTRAINT_1` CHECK (`v` > 0)"
    one = TABLE.format("int,\n  " + lines.format(long))
    cleaned = clean(one + one.partition("USE `d`;\n")[2].replace("`t`", "`u`"))
    names = [line.split("`")[1] for line in cleaned.schema.splitlines() if "CONSTRAINT" in line]

    assert len(set(names)) == 4
    assert all(len(name) <= 64 for name in names)
    assert names[0].endswith("_ibfk_1") and names[1] == "CONSTRAINT_1"
    assert len(cleaned.changes("constraint name")) == 3
