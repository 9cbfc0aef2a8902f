"""What a dump may not hold is refused, or left out and listed, whoever wrote it."""

import pytest

from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import FOOTER, HEADER, Clean

USE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\n"
T = "CREATE TABLE `t` (`a` int) ENGINE=InnoDB;\n"
ROWS = "INSERT INTO `t` VALUES (1),(2);\n"


@pytest.mark.parametrize(
    "beginning",
    [
        "-- phpMyAdmin SQL Dump\n-- version 5.2.1\n",
        "-- --------\n-- Host: x\n-- HeidiSQL Version: 12.6.0.6765\n",
        "-- Dump created by MySQL pump utility, version: 8.0.32\n",
        "/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n",
        "",
    ],
)
def test_what_no_dump_program_framed_is_refused_with_what_to_do(clean: Clean, beginning: str) -> None:
    with pytest.raises(UserError, match="stands outside of what '-- MySQL dump' begins") as error:
        clean(beginning + USE + T + ROWS, whole=False)

    assert "CREATE TABLE" in error.value.what and "\n" not in error.value.what
    assert error.value.hint == "dump again with mysqldump or mariadb-dump, without --compact and --skip-comments"


@pytest.mark.parametrize("statement", [T.replace("`t`", "`u`"), ROWS, "GRANT ALL ON *.* TO x;\n"])
def test_what_stands_outside_of_a_dump_is_refused(clean: Clean, statement: str) -> None:
    for text in (USE + statement + HEADER + T + ROWS + FOOTER, USE + HEADER + T + ROWS + FOOTER + statement):
        with pytest.raises(UserError, match="stands outside of"):
            clean(text, whole=False)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("mysqldump: [Warning] Using a password on the command line interface can be insecure.", "take this line out"),
        ("Warning: A partial dump from a server that has GTIDs will by default include them.", "take this line out"),
        ("mysqldump: Got error: 1045: Access denied for user 'x'@'y' when trying to connect", "the dump failed there"),
        (
            "mysqldump: Couldn't execute 'SHOW FIELDS FROM `v`': View has invalid table(s)",
            "the dump failed",
        ),
    ],
)
@pytest.mark.parametrize("dump", ["{0}\n" + USE + HEADER + T + FOOTER, USE + HEADER + "{0}\n" + T + FOOTER])
def test_a_message_of_the_program_is_told_from_the_dump(clean: Clean, dump: str, line: str, hint: str) -> None:
    with pytest.raises(UserError, match="this is a message of a program, not of the dump") as error:
        clean(dump.format(line), whole=False)

    assert error.value.hint.startswith(hint)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE USER 'evil'@'%' IDENTIFIED BY 'secret'",
        "/*!50000 CREATE USER 'evil'@'%' IDENTIFIED BY 'secret' */",
        "GRANT ALL ON *.* TO 'evil'@'%' WITH GRANT OPTION",
        "SET PASSWORD FOR 'root'@'%' = 'secret'",
        "SET PERSIST init_connect='DELETE FROM d.t'",
        "SET GLOBAL general_log=ON",
        "SET @@GLOBAL.local_infile=ON",
        "SET @@PERSIST.local_infile=ON, @x = 1",
        "SET default_storage_engine = 'MyISAM'",
        "INSTALL PLUGIN x SONAME 'x.so'",
        "INSTALL COMPONENT 'file://x'",
        "CREATE FUNCTION x RETURNS STRING SONAME 'x.so'",
        "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x', PASSWORD 'secret')",
        "CREATE TABLESPACE x ADD DATAFILE '/x'",
        "FLUSH PRIVILEGES",
        "CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='x', SOURCE_LOG_POS=4",
    ],
)
def test_what_belongs_to_a_server_is_left_out_and_listed(clean: Clean, statement: str) -> None:
    cleaned = clean(f"{USE}{T}{ROWS}{statement};\n")

    assert cleaned.after == ""
    assert len(cleaned.result.changes) == 1
    assert "secret" not in str(cleaned.result.changes)


@pytest.mark.parametrize(
    "body",
    [
        "CREATE USER 'evil'@'%' IDENTIFIED BY 'x'",
        "GRANT ALL ON *.* TO 'evil'@'%'",
        "SET GLOBAL general_log=1",
        "SET @a = 1, @@persist.general_log = 1",
        "SET @s = 'x'; PREPARE s FROM @s",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT load_file('/etc/passwd')",
        "UPDATE mysql.user SET Host='%'",
        "/*!50000 INSTALL PLUGIN x SONAME 'x.so' */",
    ],
)
def test_a_routine_that_reaches_beyond_the_paper_is_left_out_and_listed(clean: Clean, body: str) -> None:
    routine = "DELIMITER ;;\nCREATE PROCEDURE `p`() BEGIN {}; END;;\nDELIMITER ;\n"
    cleaned = clean(USE + T + routine.format(body))

    assert cleaned.after == ""
    assert [change.before for change in cleaned.changes("left out")] == ["PROCEDURE `p`"]
    assert clean(USE + T + routine.format("SELECT 'GRANT x; mysql.user'")).after


@pytest.mark.parametrize(
    "statement",
    [
        "CALL p()",
        "DELETE FROM t",
        "UPDATE t SET a=1",
        "TRUNCATE TABLE t",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ADD PRIMARY KEY (a)",
        "RENAME TABLE t TO u",
        "WITH x AS (SELECT 1) DELETE t FROM t JOIN x",
        "INSERT INTO t SELECT 1",
        "DROP TABLE t",
        "DROP DATABASE d",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
        "SELECT 'x' INTO OUTFILE '/tmp/x'",
        "PREPARE s FROM @x",
        "SAVEPOINT a",
        "DESC t",
        "SOURCE x",
        "SYSTEM touch x",
        "\\! touch x",
        "SET STATEMENT a=1 FOR DELETE FROM t",
        "CREATE VIEW w AS SELECT 1 AS x \\! touch x\n",
        "/*!50001 CREATE VIEW w AS SELECT 1 AS x \\! touch x\n */",
        "CREATE VIEW w AS SELECT 1 /* \\! touch x */ AS x",
        "CREATE TABLE u (a int) \\! touch x\n",
        "CREATE TABLE u (a int DEFAULT (load_file('/etc/passwd')))",
        "CREATE TABLE u AS SELECT * FROM mysql.user",
    ],
)
@pytest.mark.parametrize("versioned", [False, True])
def test_what_changes_rows_or_runs_commands_is_refused(clean: Clean, statement: str, versioned: bool) -> None:
    statement = f"/*!50000 {statement} */" if versioned and not statement.startswith("/*") else statement
    with pytest.raises(UserError):
        clean(f"{USE}{T}{ROWS}{statement};\n")


def test_a_delimiter_of_another_kind_is_refused(clean: Clean) -> None:
    with pytest.raises(UserError, match="nothing that mysqldump writes"):
        clean(f"{USE}{T}DELIMITER x\nCREATE PROCEDURE `p`() SELECT 1 x\nDELIMITER ;\n")


def test_what_a_terminal_would_obey_is_spelled_out(clean: Clean) -> None:
    with pytest.raises(UserError) as error:
        clean(f"{USE}{T}\x1b]0;x\x07\x1b[2J `\x1b[31m`;")

    assert error.value.what.isprintable()


def test_values_that_look_like_settings_are_no_way_out(clean: Clean) -> None:
    with pytest.raises(UserError):
        clean(f"""{USE}SET TIME_ZONE="'; DROP TABLE x; SET @a='";\n{T}{ROWS}""")


def test_the_servers_own_schemas_are_left_out_and_listed(clean: Clean) -> None:
    dump = "USE `mysql`;\nINSERT IGNORE INTO `innodb_table_stats` VALUES (1);\nCREATE TABLE `user` (`a` int);\n"
    cleaned = clean(f"CREATE DATABASE `mysql`;\n{dump}{USE}{T}{ROWS}INSERT INTO `sys`.`x` VALUES (1);\n")

    assert "mysql" not in cleaned.schema
    assert [change.before for change in cleaned.changes("server's own schema")] == ["`mysql`", "`sys`"]
    assert list(cleaned.rows) == ["t"]


def test_two_long_definitions_are_told_apart_in_a_line(clean: Clean) -> None:
    table = "CREATE TABLE `{}` (\n{}  `b` int\n);\n"
    columns = "".join(f"  `column_{number}` varchar({{}}) DEFAULT 'x',\n" for number in range(99))
    one, other = (USE + table.format("t" * 64, columns.format(*range(start, start + 99))) for start in (1, 2))
    with pytest.raises(UserError, match="is defined in two ways") as error:
        clean(one, other)

    assert len(error.value.what) < 380
