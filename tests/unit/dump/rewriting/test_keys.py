"""Lengths of key columns: those of today's Spyglass, MySQL's limits, and never less than the values need."""

import pytest

from spyglass_export.dump.rewriting.keys import fixed_size
from spyglass_export.dump.sql.create_table import parse_table
from spyglass_export.dump.sql.tokens import Tokens
from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean

USE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\n"


def create(name: str, *lines: str) -> str:
    body = ",\n  ".join(lines)
    return f"CREATE TABLE `{name}` (\n  {body}\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n"


def insert(name: str, *rows: str) -> str:
    return f"INSERT INTO `{name}` VALUES {','.join(rows)};\n"


def test_an_old_length_becomes_todays(clean: Clean) -> None:
    cleaned = clean(USE + create("t", "`nwb_file_name` varchar(255) NOT NULL") + insert("t", "('a.nwb')"))

    assert "`nwb_file_name` varchar(64) NOT NULL" in cleaned.schema
    assert [(change.before, change.after) for change in cleaned.changes("column length")] == [
        ("varchar(255)", "varchar(64)")
    ]


@pytest.mark.parametrize(
    "column", ["`nwb_file_name` varchar(80)", "`other` varchar(255)", "`x` int COMMENT '`nwb_file_name` varchar(255)'"]
)
def test_other_columns_and_lengths_stay(clean: Clean, column: str) -> None:
    assert column in clean(USE + create("t", column)).schema


@pytest.mark.parametrize(
    ("value", "length"),
    [("x" * 100, 100), ("é" * 100, 100), ("\\'" * 70, 70), ("\\\\" * 64, 64), ("x" * 90 + "   ", 93)],
)
def test_a_longer_value_counts_in_characters(clean: Clean, value: str, length: int) -> None:
    dump = (
        USE
        + create("t", "`nwb_file_name` varchar(255) NOT NULL", "`b` blob")
        + insert("t", f"('{value}',0xAB)", "('b','(,')")
    )

    assert f"`nwb_file_name` varchar({length})" in clean(dump).schema


def test_columns_of_one_name_or_tied_by_a_foreign_key_are_fitted_together(clean: Clean) -> None:
    cleaned = clean(
        USE
        + create(
            "child",
            "`nwb_file_name` varchar(255)",
            "FOREIGN KEY (`nwb_file_name`) REFERENCES `parent` (`nwb_file_name`)",
        )
        + create("parent", "`nwb_file_name` varchar(255)", "PRIMARY KEY (`nwb_file_name`)")
        + insert("parent", f"('{'x' * 99}')")
    )

    assert cleaned.schema.count("`nwb_file_name` varchar(99)") == 2


def test_an_index_over_the_limit_is_cut_as_far_as_its_values_allow(clean: Clean) -> None:
    cleaned = clean(
        USE
        + create("p", "`a` varchar(500)", "`b` varchar(500)", "`n` int", "PRIMARY KEY (`a`,`b`,`n`)")
        + create(
            "c",
            "`x` varchar(500)",
            "`y` varchar(500)",
            "`n` int",
            "FOREIGN KEY (`x`,`y`,`n`) REFERENCES `p` (`a`,`b`,`n`)",
        )
        + insert("p", f"('{'x' * 400}','y',1)")
    )
    lengths = {change.where.split(".")[-1]: int(change.after[8:-1]) for change in cleaned.changes("column length")}

    assert lengths["`a`"] == lengths["`x`"] >= 400
    assert lengths["`b`"] == lengths["`y`"] >= 1
    assert 4 * (lengths["`a`"] + lengths["`b`"]) + 4 <= 3072


def test_an_index_whose_values_need_more_than_the_limit_is_refused(clean: Clean) -> None:
    dump = USE + create("t", "`a` varchar(500)", "`b` varchar(500)", "UNIQUE KEY `both` (`a`,`b`)")
    dump += insert("t", f"('{'x' * 400}','{'y' * 450}')")

    with pytest.raises(UserError) as error:
        clean(dump)

    for part in ("`d`.`t`", "`both`", "`a` up to 400", "`b` up to 450", "3400 bytes", "3072", "yyyy"):
        assert part in error.value.what


PARENT = create("il", "`a` varchar(400) NOT NULL", "PRIMARY KEY (`a`)")
TIED_TWICE = "FOREIGN KEY (`d`) REFERENCES `il` (`a`)", "FOREIGN KEY (`e`) REFERENCES `il` (`a`)"


@pytest.mark.parametrize("length", [1, 370, 384])
@pytest.mark.parametrize(("d", "e"), [(400, 400), (400, 390), (390, 400)])
def test_two_columns_of_an_index_that_refer_to_the_same_column_are_cut_once(
    clean: Clean, length: int, d: int, e: int
) -> None:
    child = create("c", f"`d` varchar({d})", f"`e` varchar({e})", "PRIMARY KEY (`d`,`e`)", *TIED_TWICE)
    cleaned = clean(USE + PARENT + child + insert("il", f"('{'x' * length}')"))

    for column in ("`a`", "`d`", "`e`"):
        assert f"{column} varchar(384)" in cleaned.schema


def test_two_indexes_over_the_limit_that_share_columns_leave_room_for_the_values(clean: Clean) -> None:
    child = create(
        "c",
        "`d` varchar(400)",
        "`e` varchar(400)",
        "`f` varchar(1000)",
        "PRIMARY KEY (`d`,`e`)",
        "UNIQUE KEY `k` (`f`,`d`)",
        *TIED_TWICE,
    )
    cleaned = clean(USE + PARENT + child + insert("il", f"('{'x' * 370}')") + insert("c", f"('x','x','{'y' * 380}')"))
    lengths = {change.where.split(".")[-1]: int(change.after[8:-1]) for change in cleaned.changes("column length")}

    assert lengths["`a`"] == lengths["`d`"] == lengths["`e`"]
    assert 370 <= lengths["`a`"] <= 384
    assert 380 <= lengths["`f`"] <= 768 - lengths["`d`"]


def test_columns_tied_to_values_that_do_not_fit_twice_are_refused(clean: Clean) -> None:
    child = create("c", "`d` varchar(400)", "`e` varchar(400)", "PRIMARY KEY (`d`,`e`)", *TIED_TWICE)

    with pytest.raises(UserError, match="needs 3080 bytes in utf8mb4, and MySQL takes 3072"):
        clean(USE + PARENT + child + insert("il", f"('{'x' * 385}')"))


def test_a_row_over_the_limit_is_cut_too(clean: Clean) -> None:
    dump = USE + create("t", "`a` varchar(20000)", "`b` varchar(20000)") + insert("t", "('x','y')")
    lengths = [int(change.after[8:-1]) for change in clean(dump).changes("column length")]

    assert sum(lengths) * 4 <= 65535


@pytest.mark.parametrize(
    "statement", ["INSERT INTO `t` (`b`,`nwb_file_name`) VALUES ", "insert into t (b, nwb_file_name) values\n"]
)
def test_rows_that_name_their_columns(clean: Clean, statement: str) -> None:
    dump = (
        USE
        + create("t", "`nwb_file_name` varchar(255)", "`b` text")
        + f"{statement}('(\\'),(',\n '{'x' * 77}'),\n(NULL,'b');\n"
    )

    assert "`nwb_file_name` varchar(77)" in clean(dump).schema


def test_a_generated_column_is_not_cut_as_its_values_are_in_no_row(clean: Clean) -> None:
    computed = "`g` varchar(400) GENERATED ALWAYS AS (concat(`b`,'x')) STORED"
    definition = create("t", "`b` varchar(300)", computed, "`c` varchar(600)", "KEY `k` (`c`,`g`)")
    cleaned = clean(USE + definition + f"INSERT INTO `t` (`b`,`c`) VALUES ('{'x' * 300}','y');\n")

    assert "`g` varchar(400)" in cleaned.schema
    assert "`c` varchar(368)" in cleaned.schema


# Of each two, written as in a dump, MySQL's own collation takes one for the other.
ALIKE = [("Bjorn", "Björn"), ("", r"\0"), ("a", r"a\Z"), ("a\x01", "a"), ("it\\'s", "it\\'s\x7f")]


@pytest.mark.parametrize("keys", ALIKE)
def test_keys_that_differ_in_accents_or_control_characters_stay_apart(clean: Clean, keys: tuple[str, str]) -> None:
    cleaned = clean(
        USE
        + create("p", "`name` varchar(80)", "PRIMARY KEY (`name`)")
        + create("c", "`name` varchar(80)", "FOREIGN KEY (`name`) REFERENCES `p` (`name`)")
        + insert("p", *(f"('{key}')" for key in keys))
    )

    assert cleaned.schema.count("`name` varchar(80) COLLATE utf8mb4_bin") == 2


@pytest.mark.parametrize("last", [0, 1])
def test_the_last_row_of_a_statement_counts_too(clean: Clean, last: int) -> None:
    definition = create("p", "`name` varchar(80)", "`b` text", "`c` text", "PRIMARY KEY (`name`)")
    rows = ["('Bjorn','x','y')", "('Björn','x','y')"]
    cleaned = clean(USE + definition + insert("p", rows[last]) + insert("p", rows[1 - last]))

    assert "`name` varchar(80) COLLATE utf8mb4_bin" in cleaned.schema


@pytest.mark.parametrize("keys", [("Björn", "Bert"), (r"a\0", "b"), (r"a\\\\0", r"a\\\\")])
def test_accents_and_control_characters_alone_change_nothing(clean: Clean, keys: tuple[str, str]) -> None:
    definition = create("p", "`name` varchar(80)", "PRIMARY KEY (`name`)")

    assert "utf8mb4_bin" not in clean(USE + definition + insert("p", *(f"('{key}')" for key in keys))).schema


def test_text_that_outgrows_its_type_is_widened(clean: Clean) -> None:
    cleaned = clean(USE + create("t", "`a` text", "`b` tinytext") + insert("t", f"('{'é' * 40_000}','{'é' * 100}')"))

    assert "`a` mediumtext" in cleaned.schema
    assert "`b` tinytext" in cleaned.schema


def test_a_prefix_that_is_too_long_is_cut_where_the_index_need_not_be_unique(clean: Clean) -> None:
    assert "KEY `k` (`a`(768))" in clean(USE + create("t", "`a` text", "KEY `k` (`a`(1000))")).schema


@pytest.mark.parametrize(
    ("key", "cleaned_key"),
    [
        ("KEY `k` (`a`)", "KEY `k` (`a`(768))"),
        ("INDEX k (a DESC)", "INDEX k (a(768) DESC)"),
        ("KEY (`a`)", "KEY (`a`(768))"),
        ("KEY `k` USING BTREE (`b`,`A`) COMMENT 'x'", "KEY `k` USING BTREE (`b`,`A`(668)) COMMENT 'x'"),
        ("KEY `k` (`a`,`n`,`c`)", "KEY `k` (`a`(383),`n`,`c`(383))"),
        ("KEY `k` (`p`,`a`)", "KEY `k` (`p`,`a`(468))"),
        ("KEY `k` (`a`,`t`(1000))", "KEY `k` (`a`(767),`t`(1))"),
    ],
)
def test_an_index_that_need_not_be_unique_takes_the_beginnings_of_values_that_are_too_long(
    clean: Clean, key: str, cleaned_key: str
) -> None:
    """But not of columns that refer to others, for which MySQL wants an index on all of the value."""
    columns = ["`p` varchar(300)", "`a` varchar(1000)", "`b` varchar(100)", "`c` varchar(900)", "`n` int", "`t` text"]
    references = "CONSTRAINT `k` FOREIGN KEY `k` (`p`) REFERENCES `parent` (`p`)"
    rows = insert("t", f"('{'p' * 300}','{'a' * 1000}','{'b' * 100}','{'c' * 900}',1,'t')")
    cleaned = clean(USE + create("t", *columns, references, "KEY `j` (`p`)", key) + rows)

    assert f"  {cleaned_key}\n" in cleaned.schema
    assert "`a` varchar(1000)" in cleaned.schema
    assert [change.where for change in cleaned.changes("index prefix")][-1] in ("`d`.`t`.`k`", "`d`.`t`.`KEY`")


def test_columns_that_must_be_whole_are_cut_where_they_leave_no_room_for_a_beginning(clean: Clean) -> None:
    child = create(
        "c", "`d` varchar(400)", "`e` varchar(400)", "`f` varchar(400)", "KEY `k` (`d`,`e`,`f`)", *TIED_TWICE
    )
    row = f"('{'x' * 300}','{'x' * 300}','{'y' * 200}')"
    cleaned = clean(USE + PARENT + child + insert("il", f"('{'x' * 300}')") + insert("c", row))

    assert [cleaned.schema.count(f"varchar({length})") for length in (383, 400)] == [3, 1]
    assert "KEY `k` (`d`,`e`,`f`(2))" in cleaned.schema


@pytest.mark.parametrize(
    "key", ["KEY `k` (`a`)", "KEY `k` (`a`,`b`)", "UNIQUE KEY `k` (`b`)", "KEY `k` (`b`,`a`)", "PRIMARY KEY (`b`)"]
)
def test_other_indexes_do_not_take_beginnings(clean: Clean, key: str) -> None:
    columns = "`a` varchar(800)", "`b` varchar(800)", key, "FOREIGN KEY (`a`) REFERENCES `parent` (`a`)"

    with pytest.raises(UserError, match="and MySQL takes 3072"):
        clean(USE + create("t", *columns) + insert("t", f"('{'x' * 780}','{'y' * 780}')"))


def test_prefixes_that_differ_in_accents_stay_apart(clean: Clean) -> None:
    dump = USE + create("t", "`a` varchar(80)", "UNIQUE KEY `k` (`a`(5))") + insert("t", "('Bjorn 1')", "('Björn 2')")

    assert "`a` varchar(80) COLLATE utf8mb4_bin" in clean(dump).schema


@pytest.mark.parametrize("number", ["3\u00b2", "9" * 5_000])
def test_what_is_no_number_of_this_world_is_no_size(number: str) -> None:
    table = parse_table(Tokens(f"CREATE TABLE `t` (`a` decimal({number},7))"))

    assert fixed_size(table.columns[0], table.tokens.texts) == 4
