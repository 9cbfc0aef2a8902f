"""What becomes of definitions: character sets and collations, what only the source server or MariaDB knows."""

import pytest

from spyglass_export.errors import UserError
from tests.unit.dump.cleaning import Clean

USE = "CREATE DATABASE IF NOT EXISTS `d`; USE `d`;\n"


def table(columns: str, options: str = "ENGINE=InnoDB DEFAULT CHARSET=latin1") -> str:
    return f"{USE}CREATE TABLE `t` (\n  {columns}\n) {options};\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci COMMENT='X'", "ENGINE=InnoDB COMMENT='X'"),
        ("ENGINE=InnoDB DEFAULT CHARSET=latin1", "ENGINE=InnoDB"),
        ("DEFAULT CHARACTER SET = utf8 COLLATE utf8_general_ci ENGINE=InnoDB", "ENGINE=InnoDB"),
        ("ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_bin", "ENGINE=InnoDB COLLATE=utf8mb4_bin"),
        (
            "ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci",
            "ENGINE=InnoDB AUTO_INCREMENT=7",
        ),
        ("ENGINE=InnoDB COMMENT='DEFAULT CHARSET=latin1'", "ENGINE=InnoDB COMMENT='DEFAULT CHARSET=latin1'"),
        ("ENGINE=InnoDB /*!40100 DEFAULT CHARSET=latin1 */ COMMENT='C:\\\\'", "ENGINE=InnoDB COMMENT='C:\\\\'"),
        ("ENGINE=InnoDB DEFAULT CHARSET=latin1 ROW_FORMAT=COMPACT", "ENGINE=InnoDB"),
        ("ENGINE=InnoDB DEFAULT CHARSET=latin1 ROW_FORMAT=COMPRESSED", "ENGINE=InnoDB ROW_FORMAT=COMPRESSED"),
        ("ENGINE=InnoDB DATA DIRECTORY='/mnt/x/' ENCRYPTION='Y'", "ENGINE=InnoDB"),
        ("ENGINE=Aria DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci PAGE_CHECKSUM=1", "ENGINE=InnoDB"),
        (
            "ENGINE=InnoDB DEFAULT CHARSET=latin1\n/*!50100 PARTITION BY HASH (`a`)\nPARTITIONS 2 */",
            "ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`a`)\nPARTITIONS 2 */",
        ),
        (
            "ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`a`)\n(PARTITION p0 DATA DIRECTORY = '/x' ENGINE = InnoDB) */",
            "ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`a`)\n(PARTITION p0 ENGINE = InnoDB) */",
        ),
        ("ENGINE=MEMORY DEFAULT CHARSET=latin1", "ENGINE=InnoDB"),
        ("ENGINE=FEDERATED CONNECTION='mysql://me:secret@lab/d/t'", "ENGINE=InnoDB"),
        ("ENGINE=MRG_MyISAM INSERT_METHOD=LAST UNION=(`a`,`b`)", "ENGINE=InnoDB"),
        ("ENGINE=MyISAM", "ENGINE=MyISAM"),
        ("ENGINE=InnoDB `ENCRYPTED`=YES `page_compressed`='1'", "ENGINE=InnoDB"),
    ],
)
def test_table_options(clean: Clean, before: str, after: str) -> None:
    schema = clean(table("`a` int NOT NULL", before)).schema

    assert schema.endswith(f"CREATE TABLE `t` (\n  `a` int NOT NULL\n) {after};\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("varchar(9) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL", "varchar(9) COLLATE utf8mb4_bin NOT NULL"),
        ("varchar(9) COLLATE latin1_general_cs NOT NULL", "varchar(9) COLLATE utf8mb4_bin NOT NULL"),
        ("varchar(9) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL", "varchar(9) DEFAULT NULL"),
        ("varchar(9) CHARACTER SET latin1 DEFAULT 'COLLATE x' COMMENT 'CHARACTER SET latin1'",
         "varchar(9) DEFAULT 'COLLATE x' COMMENT 'CHARACTER SET latin1'"),
        ("char(4) CHARACTER SET binary DEFAULT NULL", "char(4) CHARACTER SET binary DEFAULT NULL"),
        ("varbinary(4) DEFAULT NULL", "varbinary(4) DEFAULT NULL"),
        ("enum('a','b)','c''d') CHARACTER SET latin1 DEFAULT 'a'", "enum('a','b)','c''d') DEFAULT 'a'"),
        ("char(4) BINARY DEFAULT NULL", "char(4) COLLATE utf8mb4_bin DEFAULT NULL"),
        ("varchar(9) DEFAULT _utf8mb4'x'", "varchar(9) DEFAULT _utf8mb4'x'"),
        ("int GENERATED ALWAYS AS (cast(`b` as char charset latin1)) VIRTUAL",
         "int GENERATED ALWAYS AS (cast(`b` as char charset latin1)) VIRTUAL"),
        ("uuid DEFAULT uuid()", "char(36) DEFAULT (uuid())"),
        ("text DEFAULT 'x'", "text DEFAULT ('x')"),
        ("datetime(6) NOT NULL DEFAULT current_timestamp()", "datetime(6) NOT NULL DEFAULT (current_timestamp())"),
        ("date DEFAULT current_timestamp()", "date DEFAULT (current_timestamp())"),
        ("datetime(6) DEFAULT CURRENT_TIMESTAMP(6)", "datetime(6) DEFAULT CURRENT_TIMESTAMP(6)"),
        ("timestamp(3) NULL ON UPDATE current_timestamp()", "timestamp(3) NULL ON UPDATE CURRENT_TIMESTAMP(3)"),
        ("datetime DEFAULT current_timestamp() ON UPDATE current_timestamp()",
         "datetime DEFAULT current_timestamp() ON UPDATE current_timestamp()"),
    ],
)  # fmt: skip
def test_columns(clean: Clean, before: str, after: str) -> None:
    assert f"\n  `a` {after},\n" in clean(table(f"`a` {before},\n  `b` int")).schema


def test_only_a_generated_column_whose_values_are_in_the_rows_becomes_a_plain_one(clean: Clean) -> None:
    columns = "`j` json DEFAULT (cast(_utf8mb4'[]' as json)),\n  `g` int GENERATED ALWAYS AS (1 + 1) VIRTUAL NOT NULL"
    schema = clean(table(columns) + "INSERT INTO `t` VALUES ('[]',2);\n").schema

    assert "`j` json DEFAULT (cast(_utf8mb4'[]' as json)),\n  `g` int NOT NULL\n" in schema


def test_collations_in_expressions(clean: Clean) -> None:
    columns = (
        "`k` varchar(9) COLLATE latin1_bin,\n  `g` varchar(9) GENERATED ALWAYS AS ((`k` collate {0})) VIRTUAL,\n"
        "  UNIQUE KEY `i` ((lower(`k`) collate {0})),\n  CHECK (((`k` collate {0}) <> _utf8mb4'collate latin1_bin'))"
    )
    expected = columns.replace("latin1_bin,", "utf8mb4_bin,").format("utf8mb4_bin")

    assert expected in clean(table(columns.format("latin1_bin"))).schema


def test_a_column_that_ignores_case_in_a_table_that_does_not(clean: Clean) -> None:
    columns = "`a` varchar(9),\n  `b` varchar(9) COLLATE latin1_swedish_ci"
    schema = clean(table(columns, "DEFAULT CHARSET=latin1 COLLATE=latin1_bin")).schema

    assert "`a` varchar(9),\n  `b` varchar(9) COLLATE utf8mb4_0900_ai_ci\n) COLLATE=utf8mb4_bin;" in schema


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ("`a` int DEFAULT 1 WITHOUT SYSTEM VERSIONING", "`d`.`t`.`a`: MySQL knows no system versioning"),
        ("`s` date,\n  `e` date,\n  PERIOD FOR `p` (`s`, `e`)", "`d`.`t`.`PERIOD`: MySQL knows no period for"),
        ("`a` varchar(9) DEFAULT sys_guid()", "`d`.`t`.`a`: MySQL knows no sys_guid"),
        ("`a` int DEFAULT nextval(`d`.`s`)", "`d`.`t`.`a`: MySQL knows no nextval"),
    ],
)
def test_what_mysql_has_nothing_like_is_refused(clean: Clean, columns: str, what: str) -> None:
    with pytest.raises(UserError) as error:
        clean(table(columns))

    assert error.value.what.startswith(what)


def test_databases_lose_their_character_set(clean: Clean) -> None:
    dump = (
        "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `d` /*!40100 DEFAULT CHARACTER SET latin1 COLLATE latin1_bin */"
        " /*!80016 DEFAULT ENCRYPTION='N' */;\nUSE `d`;\nCREATE TABLE `t` (`a` int);\n"
    )

    assert clean(dump).schema.startswith("CREATE DATABASE IF NOT EXISTS `d` COLLATE utf8mb4_bin;\n")


def test_what_only_the_source_server_needs_goes_and_is_listed(clean: Clean) -> None:
    cleaned = clean(
        USE + "SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\nSET @@SESSION.SQL_LOG_BIN= 0;\n"
        "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '8a02b429-e666-11f1-a13b-0242ac110002:1-1396';\n"
        "CREATE TABLE `t` (`a` int);\nLOCK TABLES `t` WRITE;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\n"
        "INSERT INTO `t` VALUES (1);\n/*!40000 ALTER TABLE `t` ENABLE KEYS */;\nUNLOCK TABLES;\n"
    )

    assert not cleaned.after
    assert [change.before.split()[0] for change in cleaned.changes("source server")] == [
        "SET", "SET", "SET",
    ]  # fmt: skip


def test_views_triggers_and_routines_come_last_without_their_definer(clean: Clean) -> None:
    cleaned = clean(
        USE + "CREATE TABLE `t` (`a` int);\n"
        "/*!50003 SET sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER' */ ;\nDELIMITER ;;\n"
        "/*!50003 CREATE*/ /*!50017 DEFINER=`me`@`%`*/ /*!50003 TRIGGER `r` BEFORE INSERT ON `t` FOR EACH ROW BEGIN "
        "SET NEW.a = 1; SET @x = 'DEFINER=`me`@`%`'; END */;;\nDELIMITER ;\n"
        "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`me`@`%` SQL SECURITY DEFINER */\n"
        "/*!50001 VIEW `v` AS select `a` from `t` where `a` <> ';' */;\n"
    )

    assert "/*!50003 CREATE*/ /*!50003 TRIGGER `r` BEFORE INSERT" in cleaned.after
    assert "SET SQL_MODE='STRICT_TRANS_TABLES';\nSET FOREIGN_KEY_CHECKS=0;\nDELIMITER ;;\n" in cleaned.after
    assert "SET @x = 'DEFINER=`me`@`%`'; END */;;\nDELIMITER ;\n" in cleaned.after
    assert "/*!50013 SQL SECURITY DEFINER */\n/*!50001 VIEW `v`" in cleaned.after
    assert len(cleaned.changes("definer")) == 2
    assert len(cleaned.changes("kept for the end")) == 2
