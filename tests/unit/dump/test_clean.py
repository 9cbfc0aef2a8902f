"""Whole dumps: tables in pieces, several files, settings that rows need, and what is refused."""

import gzip
import re
from pathlib import Path

import pytest

from spyglass_export.dump.clean import clean_to_file, clean_to_folder
from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean, framed

USE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\n"
T = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` varchar(9) DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n"
FRAME = "-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)\n{}-- Dump completed on 2026-01-01  0:00:00\n"
LOADING = (
    "SET NAMES utf8mb4;\n{}SET SQL_MODE="
    "'NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ALLOW_INVALID_DATES';\n"
    "SET FOREIGN_KEY_CHECKS=0;\n"
)


def test_rows_go_through_byte_for_byte_with_the_settings_they_need(clean: Clean) -> None:
    rows = b"INSERT INTO `t` VALUES (1,'DEFAULT CHARSET=latin1;'),(2,'\\'\\\\\x00\xff'),(3,NULL);"
    dump = f"{USE}SET NAMES utf8mb4;\nSET TIME_ZONE='+00:00';\nSET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';\n{T}".encode()
    time_zone = "SET TIME_ZONE='+00:00';\n"

    assert clean(dump + rows + b"\n").rows["t"] == f"USE `d`;\n{LOADING.format(time_zone)}".encode() + rows + b"\n"


def test_a_table_in_pieces_is_one_table(clean: Clean) -> None:
    piece = "DROP TABLE IF EXISTS `t`;\n" + T + "INSERT INTO `t` VALUES ({0},'x');\n"
    pieces = [FRAME.format(piece.format(number)) for number in range(3)]
    cleaned = clean(USE + pieces[0] + pieces[1], USE + pieces[2])

    assert cleaned.schema.count("CREATE TABLE") == 1
    assert [line for line in cleaned.rows["t"].splitlines() if line.startswith(b"INSERT")] == [
        b"INSERT INTO `t` VALUES (%d,'x');" % number for number in range(3)
    ]


def test_another_next_auto_increment_is_the_same_table(clean: Clean) -> None:
    one, other = (T.replace("InnoDB", f"InnoDB AUTO_INCREMENT={value}") for value in (3, 9))

    assert clean(USE + one + other).schema.count("CREATE TABLE") == 1


def test_a_table_defined_in_two_ways_is_refused(clean: Clean) -> None:
    with pytest.raises(UserError) as error:
        clean(USE + T, USE + T.replace("varchar(9)", "varchar(8)"))

    for part in ("`d`.`t`", "0.sql, line 3", "1.sql, line 3", "varchar(9)", "varchar(8)"):
        assert part in error.value.what


def test_files_may_come_in_any_order(clean: Clean) -> None:
    rows = "INSERT INTO `d`.`t` VALUES (1,'x');\n"

    assert b"VALUES (1,'x')" in clean(rows, USE + T).rows["t"]


def test_names_of_files_are_safe_everywhere(clean: Clean) -> None:
    names = ["Case", "case", "#mysql50#x", "con", "a/b\\c:d*?", "é" * 60, "x" * 64]
    dump = "".join(f"CREATE TABLE `{name}` (`a` int);\nINSERT INTO `{name}` VALUES (1);\n" for name in names)
    files = [table.file or "" for table in clean(USE + dump).result.tables]

    assert len({file.lower() for file in files}) == len(names)
    assert all(file.isascii() and len(file) < 100 and not set(file) & set('\\:*?"<>|# ') for file in files)


def test_a_dump_without_use_takes_the_database_of_its_header(clean: Clean) -> None:
    dump = FRAME.format(
        "--\n-- Host: localhost    Database: paper\n-- -----\n" + T + "INSERT INTO `t` VALUES (1,'x');\n"
    )

    assert clean(dump).schema.startswith("CREATE DATABASE IF NOT EXISTS `paper`;\n")


@pytest.mark.parametrize(
    ("dump", "what"),
    [
        (T, "0.sql, line 2: no USE says which database `t` belongs to"),
        (USE + "INSERT INTO `t` VALUES (1);\n", "0.sql, line 3: rows of `d`.`t`, which is defined nowhere before them"),
        (
            USE + T + "INSFRT INTO `t` VALUES (1,'x');\n",
            '0.sql, line 7: this is nothing that mysqldump writes: "INSFRT',
        ),
        (
            USE + T + "/*!40101 SET NAMES utf8mb4 \n/;\n",
            "0.sql, line 7: this is nothing that mysqldump writes: '/*!",
        ),
        ("hello;", "0.sql, line 2: this is nothing that mysqldump writes: 'hello;'"),
        ("-- only a comment\n", "0.sql: no table is defined in it"),
        ("", "0.sql is empty"),
        (
            USE + T + "INSERT INTO `t` VALUES (1,'x);\n",
            "0.sql, line 7: the dump has a string that is still open",
        ),
        (USE + T + "SET NAMES gbk;\n", "0.sql: a dump in character set gbk cannot be read safely"),
        (
            USE + FRAME.format(T) + USE.replace("`d`", "`e`"),
            "0.sql, line 8: the file ends after this, before any table of the schema",
        ),
    ],
)
def test_what_cannot_be_a_whole_dump_is_refused(clean: Clean, dump: str, what: str) -> None:
    with pytest.raises(UserError) as error:
        clean(dump)

    assert error.value.what.startswith(what)


def test_no_cut_of_a_dump_goes_unnoticed(clean: Clean) -> None:
    """Except right after a whole dump, or before anything: there nothing tells that more should follow."""
    dump = USE + FRAME.format(
        "--\n-- Host: localhost    Database: d\n\n" + T + "INSERT INTO `t` VALUES (1,'a;b'),(2,'x');\n"
    )
    whole = dump.index("-- Dump completed") + len("-- Dump completed")

    for end in range(1, whole):
        with pytest.raises(UserError):
            clean(dump[:end])
    clean(dump[:whole])


def test_compressed_files(tmp_path: Path) -> None:
    packed = tmp_path / "x.sql.gz"
    packed.write_bytes(gzip.compress(framed(USE + T + "INSERT INTO `t` VALUES (1,'x');\n")))
    clean_to_folder([packed], tmp_path / "out")

    assert (tmp_path / "out" / "rows" / "00001-d.t.sql").read_bytes().endswith(b"VALUES (1,'x');\n")
    assert not list((tmp_path / "out").glob(".*"))


def test_compressed_files_of_one_name(tmp_path: Path) -> None:
    for folder, table in (("one", "t"), ("two", "u")):
        (tmp_path / folder).mkdir()
        dump = USE + T.replace("`t`", f"`{table}`") + f"INSERT INTO `{table}` VALUES (1,'x');\n"
        (tmp_path / folder / "x.sql.gz").write_bytes(gzip.compress(framed(dump)))
    cleaned = clean_to_folder([tmp_path / "one" / "x.sql.gz", tmp_path / "two" / "x.sql.gz"], tmp_path / "out")

    assert [table.name for table in cleaned.tables] == ["t", "u"]
    assert all(table.size for table in cleaned.tables)


def test_a_broken_compressed_file_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "x.sql.gz"
    packed.write_bytes(gzip.compress((USE + T).encode())[:-12])

    with pytest.raises(UserError, match=r"x\.sql\.gz is a broken gzip file"):
        clean_to_folder([packed], tmp_path / "out")


def test_one_file_and_cleaning_it_again_changes_nothing(tmp_path: Path) -> None:
    source, once, twice = tmp_path / "in.sql", tmp_path / "once.sql", tmp_path / "twice.sql"
    view = "/*!50001 CREATE VIEW `v` AS select `a` from `t` */;\n"
    rows = "INSERT INTO `t` VALUES (1,'x');\nINSERT INTO `t` VALUES (2,'y');\n"
    source.write_bytes(framed(USE + "SET TIME_ZONE='+00:00';\n" + T + rows + view + "CREATE TABLE `u` (`a` int);\n"))
    clean_to_file(source, once)
    clean_to_file(once, twice)

    assert once.read_bytes() == twice.read_bytes()
    assert b"(1,'x');\nINSERT INTO `t` VALUES (2,'y');\n" in once.read_bytes()


@pytest.mark.parametrize("header", ["", "-- one line more\n"])
def test_a_table_of_several_megabytes_is_kept_and_stands_in_its_pages_as_before(clean: Clean, header: str) -> None:
    row = b"(1,'" + b"x" * 9_000 + b"')"
    rows = b"INSERT INTO `t` VALUES " + b",".join([row] * 600) + b";\n"
    dump = framed((header + USE + T).encode() + rows + b"-- between two statements\n" + rows)
    written = clean(dump).rows["t"]
    setting, *statements = re.split(rb"\n+(?=INSERT)", written)

    assert setting.endswith(b"FOREIGN_KEY_CHECKS=0;")
    assert [statement.strip() for statement in statements] == [rows.strip()] * 2
    places = [[found.start() % 4096 for found in re.finditer(b"INSERT", text)] for text in (dump, written)]
    assert places[0] == places[1]


def test_a_refused_file_leaves_the_output_as_it_was(tmp_path: Path) -> None:
    source, output = tmp_path / "in.sql", tmp_path / "out.sql"
    source.write_text(USE + T + "INSERT INTO `t` VALUES (1,'x", encoding="utf-8")
    output.write_text("before", encoding="utf-8")

    with pytest.raises(UserError):
        clean_to_file(source, output)

    assert output.read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.sql", "out.sql"]


def test_a_trigger_that_every_piece_of_its_table_has_is_made_once(clean: Clean) -> None:
    trigger = "DELIMITER ;;\nCREATE TRIGGER `x` BEFORE INSERT ON `t` FOR EACH ROW\nSET NEW.a = 1;;\nDELIMITER ;\n"
    piece = "DROP TABLE IF EXISTS `t`;\n" + T + "INSERT INTO `t` VALUES ({0},'x');\n" + trigger

    assert clean(USE + piece.format(1) + piece.format(2)).after.count("CREATE TRIGGER") == 1


def test_a_table_that_stands_in_for_a_view_gives_way_to_it(clean: Clean) -> None:
    stand_in = "CREATE TABLE `v` (`a` int);\n"
    view = "DROP TABLE IF EXISTS `v`;\nCREATE VIEW `v` AS SELECT `a` FROM `t`;\n"
    cleaned = clean(USE + T + stand_in + "INSERT INTO `t` VALUES (1,'x');\n" + view)

    assert [table.name for table in cleaned.result.tables] == ["t"]
    assert "CREATE VIEW `v`" in cleaned.after


def test_a_table_that_is_dropped_and_made_again_keeps_its_pieces(clean: Clean) -> None:
    piece = "DROP TABLE `t`, `u`;\n" + T + "INSERT INTO `t` VALUES (1,'x');\n"

    assert clean(USE + "CREATE TABLE `u` (`a` int);\n" + piece).result.tables[0].name == "t"


def test_a_function_is_made_on_a_server_with_a_binary_log(clean: Clean, tmp_path: Path) -> None:
    function = "CREATE DEFINER=`a`@`b` FUNCTION `f`() RETURNS int RETURN 1;\n"

    assert "SET GLOBAL LOG_BIN_TRUST_FUNCTION_CREATORS=ON;" in clean(USE + T + function).after
    assert "BIN_TRUST" not in clean(USE + T + "CREATE VIEW `v` AS SELECT 1;\n").after


def test_an_enum_that_holds_what_is_no_member_gets_it_as_one(clean: Clean) -> None:
    columns = "`one` enum('a','b'), `two` enum('a',''), `three` enum('a')"
    cleaned = clean(f"{USE}CREATE TABLE `e` ({columns});\n" + "INSERT INTO `e` VALUES ('a','','a'),('','','a');\n")

    assert columns.replace("b'", "b',''") in cleaned.schema
    assert [change.where for change in cleaned.changes("enum member")] == ["`d`.`e`.`one`"]


@pytest.mark.parametrize("options", ["COMMENT='LOCK TABLE; SET x'", "CHARACTER SET latin1", "PARTITION BY KEY (`set`)"])
def test_what_looks_like_another_statement_in_the_options_of_a_table(clean: Clean, options: str) -> None:
    assert clean(f"{USE}CREATE TABLE `t` (`set` int) {options};\n").result.tables


def test_a_definition_that_lost_its_end_is_refused(clean: Clean) -> None:
    with pytest.raises(UserError, match="line 3: this is nothing that mysqldump writes: 'CREATE TABLE"):
        clean(f"{USE}CREATE TABLE `t` (`a` int) ENGINE=InnoDB\n/*!40101 SET character_set_client = utf8mb4 */;\n")


@pytest.mark.parametrize("nothing", [";", ";;", "/* a comment */;", "DELIMITER ;;\n;;\nDELIMITER ;"])
def test_what_says_nothing_is_left_out(clean: Clean, nothing: str) -> None:
    assert clean(f"{USE}{T}{nothing}\n").after == ""


def test_many_apostrophes_in_a_comment_take_no_time(clean: Clean) -> None:
    assert clean(USE + "CREATE TABLE `t` (`a` int) COMMENT='" + "don''t " * 300 + "';\n").result.tables


@pytest.mark.parametrize("value", ["1 + 2", "(SELECT 1)", "NOT 1", "concat('a', 'b')"])
def test_a_variable_may_be_set_to_any_expression(clean: Clean, value: str) -> None:
    assert clean(f"{USE}SET @x = {value}, @y = 2;\n{T}").result.tables


def test_a_dropped_table_by_its_other_name(clean: Clean) -> None:
    assert clean(f"{USE}DROP TABLES IF EXISTS `t`;\n{T}").after == ""
