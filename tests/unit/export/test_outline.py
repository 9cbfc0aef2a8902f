"""What an export's SQL files say of themselves."""

from pathlib import Path

from spyglass_export.dump.clean import clean_to_folder
from spyglass_export.export.outline import Outline, Piece, read_outline

DUMP = """-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: localhost    Database: lab
-- ------------------------------------------------------
CREATE TABLE `child` (
  `id` int NOT NULL,
  CONSTRAINT `c` FOREIGN KEY (`id`) REFERENCES `parent` (`id`)
) ENGINE=InnoDB;
-- Dumping data for table `child`
--
-- WHERE:  id IN (1,2)

INSERT INTO `child` VALUES (1),(2);
USE `other`;
-- Dumping data for table `second`
-- SPYGLASS VERSION: 0.5.4 --
"""


def test_tables_come_with_their_conditions_and_what_they_lack(tmp_path: Path) -> None:
    path = tmp_path / "_Populate_paper.sql"
    path.write_text(DUMP, encoding="utf-8", newline="\n")

    read = read_outline([path])

    assert read.tables == {
        ("lab", "child"): [Piece(path.name, "id IN (1,2)")],
        ("other", "second"): [Piece(path.name, "")],
    }
    assert read.versions == {path.name: "0.5.4"}
    assert [key.parent for key in read.absent_parents()] == [("lab", "parent")]


def test_whoever_reads_the_rows_tells_the_same(tmp_path: Path) -> None:
    """Also of a file with rows of tables that a later one defines."""
    first, rest = DUMP.split("-- Dumping data")[0], "-- Dumping data" + DUMP.split("-- Dumping data")[1]
    head, end = DUMP[: DUMP.index("CREATE")], "-- Dump completed on 2026-01-01  0:00:00\n"
    rows, definitions = tmp_path / "a.sql", tmp_path / "b.sql"
    rows.write_text(head + rest + "USE `other`;\n-- SPYGLASS VERSION: 0.5.4 --\n" + end, encoding="utf-8", newline="\n")
    definitions.write_text(first + end, encoding="utf-8", newline="\n")
    told = Outline()

    clean_to_folder([rows, definitions], tmp_path / "sql", on_text=told.take)

    read = read_outline([rows, definitions])
    assert (told.tables, told.versions) == (read.tables, read.versions)
    assert [key.parent for key in told.absent_parents()] == [("lab", "parent")]
    assert read.tables["lab", "child"] == [Piece("a.sql", "id IN (1,2)")]
