"""What mysqldump writes around rows tells when something of a dump is missing."""

import pytest

from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean, Cleaned, clean_in

TABLE = """CREATE DATABASE IF NOT EXISTS `{0}`; USE `{0}`;
-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: localhost    Database: {0}
-- ------------------------------------------------------
-- Server version\t9.7.4

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;

--
-- Table structure for table `{1}`
--

DROP TABLE IF EXISTS `{1}`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `{1}` (
  `a` int NOT NULL
) ENGINE=InnoDB;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `{1}`
--
-- WHERE:  a>0

LOCK TABLES `{1}` WRITE;
/*!40000 ALTER TABLE `{1}` DISABLE KEYS */;
INSERT INTO `{1}` VALUES (1),(2);
/*!40000 ALTER TABLE `{1}` ENABLE KEYS */;
UNLOCK TABLES;
SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;

-- Dump completed on 2026-01-01  0:00:00
"""
EXPORT = TABLE.format("one", "t") + TABLE.format("two", "u")
LINES = EXPORT.splitlines(keepends=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Cleaned:
    """What the export becomes when nothing of it is lost."""
    return clean_in(tmp_path_factory.mktemp("whole"), EXPORT)


@pytest.mark.parametrize("number", [at for at, line in enumerate(LINES) if not line.startswith(("INSERT", "  `a`"))])
def test_a_line_that_is_lost_is_noticed_or_changes_nothing(clean: Clean, whole: Cleaned, number: int) -> None:
    try:
        cleaned = clean("".join(LINES[:number] + LINES[number + 1 :]))
    except UserError:
        return
    assert essence(cleaned) == essence(whole)


@pytest.mark.parametrize("place", [at for at, letter in enumerate(EXPORT) if letter in ";`"])
def test_a_character_that_is_lost_is_noticed_or_changes_nothing(clean: Clean, whole: Cleaned, place: int) -> None:
    try:
        cleaned = clean(EXPORT[:place] + EXPORT[place + 1 :])
    except UserError:
        return
    assert essence(cleaned) == essence(whole)


def essence(cleaned: Cleaned) -> tuple[list[str], dict[str, bytes], str]:
    """All but settings that are said once more than they need be."""
    schema = [line for line in cleaned.schema.splitlines() if not line.startswith("SET ")]
    return schema, cleaned.rows, cleaned.after


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (
            "CREATE DATABASE IF NOT EXISTS `two`; USE `two`;\n",
            "",
            "the dump is of database 'two' by its header, and the last USE before it names 'one'",
        ),
        ("LOCK TABLES `u` WRITE;\n", "", "the dump has UNLOCK TABLES here, and no LOCK TABLES before it"),
        ("UNLOCK TABLES;\n", "", "the dump has LOCK TABLES `t` here, and no UNLOCK TABLES after it"),
        ("DISABLE KEYS */;\nINSERT INTO `u`", "DISABLE KEYS */;\nINSERT INTO `t`", "the dump has `t` here, where `u`"),
        ("structure for table `u`", "structure for table `t`", "the dump has `u` here, where `t` was to follow"),
        (
            "/*!40103 SET TIME_ZONE='+00:00' */;\n",
            "",
            "the dump has `t` here, and has saved but not set time_zone before",
        ),
        ("-- WHERE:  a>0", "-- WHERE: \0\0", "the dump has NUL bytes here, which no dump program writes"),
        ("(1),(2)", "(1),('" + "\0" * 512 + "')", "the dump has NUL bytes here, which no dump program writes"),
        ("`a` int", "`a` i\0\0", "the dump has NUL bytes here, which no dump program writes"),
        (
            "USE `one`;",
            "USE `one`",
            "nothing else tells whether all is there: 'USE `one`",
        ),
        (
            "`two`; USE",
            "`two` USE",
            "nothing else tells whether all is there: 'CREATE",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(clean: Clean, before: str, after: str, what: str) -> None:
    assert before in EXPORT

    with pytest.raises(UserError) as error:
        clean(EXPORT.replace(before, after))

    assert what in error.value.what


def test_a_single_nul_byte_among_rows_is_no_lost_block(clean: Clean) -> None:
    assert any(b"a\0b" in rows for rows in clean(EXPORT.replace("(1),(2)", "(1),('a\0b')")).rows.values())


def test_a_transaction_that_does_not_end_is_refused(clean: Clean) -> None:
    dump = "CREATE DATABASE d; USE d; CREATE TABLE t (a int);\nSTART TRANSACTION;\nINSERT INTO t VALUES (1);\n{}"

    assert clean(dump.format("COMMIT;\n")).rows
    with pytest.raises(UserError, match="has START TRANSACTION here, and no COMMIT after it"):
        clean(dump.format(""))


def test_rows_keep_their_character_set_where_the_line_that_saved_it_is_lost(clean: Clean) -> None:
    dump = TABLE.format("one", "t").replace("SET NAMES utf8mb4", "SET NAMES latin1")
    line = "/*!40101 SET @saved_cs_client     = @@character_set_client */;\n"

    assert line in dump
    assert clean(dump.replace(line, "")).rows == clean(dump).rows
    assert b"SET NAMES latin1;" in clean(dump).rows["t"]


@pytest.mark.parametrize("insert", ["INSERT INTO", "INSERT  IGNORE INTO", "REPLACE INTO"])
def test_rows_are_not_lost_with_the_end_of_the_definition_before_them(clean: Clean, insert: str) -> None:
    dump = f"CREATE DATABASE d; USE d;\nCREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB;\n{insert} `t` VALUES (1);\n"

    assert clean(dump).rows
    with pytest.raises(UserError, match="line 3: this is nothing that mysqldump writes"):
        clean(dump.replace("InnoDB;", "InnoDB"))


RESTORED = "/*!40101 SET character_set_client = @saved_cs_client */;"


@pytest.mark.parametrize("after", [RESTORED, "INSERT INTO `t` VALUES (9);"])
def test_a_statement_is_not_lost_in_the_definition_before_it(clean: Clean, after: str) -> None:
    """Where a semicolon and a line end are missing between the two."""
    with pytest.raises(UserError, match="this is nothing that mysqldump writes: 'CREATE TABLE `t`"):
        clean(EXPORT.replace(f"ENGINE=InnoDB;\n{RESTORED}", f"ENGINE=InnoDB {after}", 1))


def test_what_a_plain_mysqldump_writes_after_the_rows_belongs_to_the_database_of_its_header(clean: Clean) -> None:
    table = TABLE.format("d", "t").split("\n", 1)[1]
    view = "/*!50001 CREATE VIEW `v` AS select `a` from `t` */;\n"
    cleaned = clean(table.replace("-- Dump completed", view + "-- Dump completed"))

    assert cleaned.after.startswith("USE `d`;\n")
    assert "VIEW `v`" in cleaned.after


def test_a_name_with_a_line_end_is_not_taken_for_its_beginning(clean: Clean) -> None:
    table = TABLE.format("d", "t")
    comment = "for table `a\n-- t`"

    assert clean(table.replace("for table `t`", comment).replace("`t`", "`a\nt`")).rows


def test_a_database_may_be_made_in_a_file_of_its_own(clean: Clean) -> None:
    database = "CREATE DATABASE IF NOT EXISTS `one`; USE `one`;\n"

    assert "CREATE TABLE `t`" in clean(database, TABLE.format("one", "t"), whole=False).schema


def test_tables_of_one_name_in_dumps_of_two_databases_without_use(clean: Clean) -> None:
    one, two = (TABLE.format(database, "t").split("\n", 1)[1] for database in ("one", "two"))
    cleaned = clean(one + two.replace("VALUES (1),(2)", "VALUES (3)"))

    assert [(table.schema, table.size) for table in cleaned.result.tables] == [
        ("one", len("INSERT INTO `t` VALUES (1),(2);")),
        ("two", len("INSERT INTO `t` VALUES (3);")),
    ]
