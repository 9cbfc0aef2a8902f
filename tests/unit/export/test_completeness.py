"""The dump, held against the export's script, its versions and its foreign keys."""

import os
from pathlib import Path

import pytest

from spyglass_export.export.completeness import Completeness, examine_export
from spyglass_export.export.condition import parts_of
from spyglass_export.export.folder import sql_files

FRAME = """-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: localhost    Database: {schema}
-- ------------------------------------------------------
DROP TABLE IF EXISTS `{table}`;
CREATE TABLE `{table}` (
  `id` int NOT NULL COMMENT 'what, it''s NOT NULL',
  `parent` int {null},
  PRIMARY KEY (`id`){key}
) ENGINE=InnoDB;

--
-- Dumping data for table `{table}`
--
{where}
INSERT INTO `{table}` VALUES (1,1);
-- Dump completed on 2026-11-26  6:25:41
"""
KEY = ",\n  CONSTRAINT `{table}_ibfk_1` FOREIGN KEY (`parent`) REFERENCES {parent} (`id`) ON UPDATE CASCADE"


def piece(table: str, where: str = "", *, parent: str = "", null: str = "NOT NULL", schema: str = "lab") -> str:
    key = KEY.format(table=table, parent=parent) if parent else ""
    comment = f"-- WHERE:  {where}\n" if where else ""
    return FRAME.format(schema=schema, table=table, where=comment, key=key, null=null)


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    folder = tmp_path / "Gu2026"
    folder.mkdir()
    return folder


def examined(paper: Path, dump: str, *calls: str, environment: str = "") -> Completeness:
    if calls:
        (paper / "_ExportSQL_Gu2026.sh").write_text("exec > x\n" + "\n\n".join(calls) + "\n", encoding="utf-8")
    (paper / "_Populate_Gu2026.sql").write_text(dump, encoding="utf-8")
    return examine_export(paper, sql_files(paper), environment)


def call(table: str, where: str, schema: str = "lab") -> str:
    return f'mysqldump --hex-blob {schema} {table} --where="\\\n\t{where}"'


def lost(found: Completeness) -> str:
    return found.lost.what if found.lost else ""


def test_all_that_the_script_asks_for(paper: Path) -> None:
    dump = piece("#team", "id=1") + piece("mouse", "((id=1)\tAND (x='#'))") + piece("mouse", "id=2")
    found = examined(
        paper, dump, call("\\#team", "id=1"), call("mouse", "((id=1) \\\n\tAND (x='\\#'))"), call("mouse", "id=2")
    )
    assert (lost(found), found.warnings) == ("", [])


@pytest.mark.parametrize(
    ("dump", "problem"),
    [
        (piece("mouse", "id=1") + piece("mouse", "id=2"), "lab.#team is missing"),
        (piece("#team", "id=1") + piece("mouse", "id=2"), "lab.mouse has 1 of 2 pieces: nothing of the call on line 5"),
        (
            piece("#team", "id=1") + piece("mouse", "id=1") + piece("mouse", "id=3"),
            "another condition than that of line 8",
        ),
        (piece("#team") + piece("mouse", "id=1") + piece("mouse", "id=2"), "lab.#team was dumped whole"),
        (
            piece("#team", "id=1") + piece("mouse", "id=1") + piece("mouse", "id=2") + piece("mouse", "id=3"),
            "lab.mouse has 1 piece more than the script dumps",
        ),
    ],
)
def test_what_differs_is_named(paper: Path, dump: str, problem: str) -> None:
    found = examined(paper, dump, call("\\#team", "id=1"), call("mouse", "id=1"), call("mouse", "id=2"))
    assert problem in lost(found)
    assert found.lost and "`invoke dump`" in found.lost.hint


def test_a_condition_that_bash_has_changed(paper: Path) -> None:
    found = examined(paper, piece("mouse", "note=''"), call("mouse", "note='$5'"))
    assert "bash changed that of line 2" in lost(found)


def test_a_condition_that_was_taken_apart(paper: Path) -> None:
    whole = " OR ".join(f"name='{number:050}'" for number in range(4000))
    parts = parts_of(whole)
    assert len(parts) > 1
    assert lost(examined(paper, "".join(piece("mouse", part) for part in parts), call("mouse", whole))) == ""
    assert lost(examined(paper, piece("mouse", whole), call("mouse", whole))) == ""
    assert "another condition" in lost(examined(paper, piece("mouse", parts[1]), call("mouse", whole)))


def test_an_extra_table_and_a_script_that_is_newer(paper: Path) -> None:
    examined(paper, piece("mouse", "1") + piece("rat", "1"), call("mouse", "1"))
    later = (paper / "_Populate_Gu2026.sql").stat().st_mtime + 3600
    os.utime(paper / "_ExportSQL_Gu2026.sh", (later, later))

    found = examine_export(paper, sql_files(paper), "")

    assert [what for what, _ in found.warnings] == [
        "_ExportSQL_Gu2026.sh is newer than its dump _Populate_Gu2026.sql",
        "the script does not ask for lab.rat",
    ]


def test_a_script_that_is_not_understood_is_a_warning(paper: Path) -> None:
    found = examined(paper, piece("mouse", "1"), "while true; do mysqldump lab rat; done")
    assert not found.lost
    assert "line 2: `while` is not a command that Spyglass writes" in found.warnings[0][0]


def test_a_parent_that_the_export_lacks(paper: Path) -> None:
    dump = piece("mouse", parent="`colony`.`cage`") + piece("rat", parent="`cage`") + piece("cage", schema="lab")
    found = examined(paper, dump)
    [(what, fix)] = found.warnings
    assert what == "the table colony.cage is not in the export, and every row of lab.mouse refers to it"
    assert "dump it again" in fix


@pytest.mark.parametrize(("parent", "null"), [("`~external_raw`", "NOT NULL"), ("`cage`", "DEFAULT NULL")])
def test_parents_that_spyglass_leaves_out(paper: Path, parent: str, null: str) -> None:
    found = examined(paper, piece("mouse", parent=parent, null=null))
    assert found.warnings == []
    assert [key.is_by_design for key in found.absent_parents] == [True]


def test_two_versions_of_spyglass(paper: Path) -> None:
    (paper / "spyglass_version").write_text("0.5.4")
    dump = "--\n-- SPYGLASS VERSION: 0.6.0 --\n--\n" + piece("mouse")

    found = examined(paper, dump, environment="dependencies:\n- pip:\n  - spyglass-neuro==0.5.4\n")

    assert found.version == "0.6.0"
    assert [what for what, _ in found.warnings] == [
        "the dump was written by Spyglass 0.6.0, and spyglass_version says 0.5.4",
        "the dump was written by Spyglass 0.6.0, and environment.yml has spyglass-neuro 0.5.4",
    ]


def test_a_development_version_is_named_after_the_next_release(paper: Path) -> None:
    dump = "--\n-- SPYGLASS VERSION: 0.5.5 --\n--\n" + piece("mouse")
    assert examined(paper, dump, environment="- spyglass-neuro==0.5.6.dev3+g89e3be8").warnings == []
