"""`invoke check` on folders of exports that are not what they should be."""

import gzip
import os
from pathlib import Path

import pytest

from spyglass_export.checks import export_folder
from spyglass_export.checks.check import Check, run_side_by_side
from spyglass_export.checks.export_folder import check_export
from spyglass_export.settings import Settings, load

DUMP = b"""--
-- SPYGLASS VERSION: 0.6.0 --
--
CREATE DATABASE IF NOT EXISTS common_lab; USE common_lab;
-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
INSERT INTO `lab` VALUES (1,'-- Dump completed');
-- Dump completed on 2026-11-22 20:58:43
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "export" / "Gu2026"
    folder.mkdir(parents=True)
    (folder / "spyglass_version").write_text("0.6.0")
    (tmp_path / ".env").write_text("PAPER_ID=Gu2026\nSPYGLASS_BASE_DIR=.\n")
    return load(tmp_path, {})


def checked(settings: Settings) -> list[Check]:
    return run_side_by_side([("export", lambda: check_export(settings))])


def check_of(settings: Settings, dump: bytes, name: str = "_Populate_Gu2026.sql") -> Check:
    (settings.spyglass_paper_dir / name).write_bytes(dump)
    return checked(settings)[0]


def test_a_whole_export(settings: Settings) -> None:
    (settings.spyglass_paper_dir / "_Populate_Gu2026.sql").write_bytes(DUMP)

    dump, version = checked(settings)

    assert (dump.status, version.status) == ("ok", "ok")
    assert version.what == "0.6.0"


@pytest.mark.parametrize(
    "end",
    [
        b"-- Dump completed on 2026-11-22 20:58:43",
        b"-- Dump completed\n",
        b"-- Dump completed on 2026-11-22 20:58:43\r\n\r\n",
    ],
)
def test_ends_that_are_whole(settings: Settings, end: bytes) -> None:
    assert check_of(settings, DUMP.rpartition(b"-- Dump")[0] + end).status == "ok"


@pytest.mark.parametrize("kept", [len(DUMP) - 42, len(DUMP) - 55, 150])
def test_a_dump_that_is_cut_off(settings: Settings, kept: int) -> None:
    check = check_of(settings, DUMP[:kept])

    assert check.status == "failure"
    assert "is cut off" in check.what
    assert "copy the file again" in check.fix


@pytest.mark.parametrize(
    ("dump", "status", "what"),
    [
        (b"", "failure", "is empty"),
        (DUMP.decode().encode("utf-16"), "failure", "is not text in UTF-8"),
        (b"<html>Sign in</html>", "warning", "does not begin as a dump"),
    ],
)
def test_what_is_no_dump(settings: Settings, dump: bytes, status: str, what: str) -> None:
    check = check_of(settings, dump)

    assert check.status == status
    assert what in check.what


def test_packed_dumps_are_looked_at_from_both_ends(settings: Settings) -> None:
    name = "_Populate_Gu2026.sql.gz"
    long = DUMP.replace(b"INSERT", b"INSERT INTO `lab` VALUES (0,'x');\n" * 9999 + b"INSERT")

    assert check_of(settings, gzip.compress(long), name).status == "ok"
    assert "is cut off" in check_of(settings, gzip.compress(long[:-60]), name).what
    assert "is a broken gzip file" in check_of(settings, gzip.compress(long)[:-30], name).what


def test_the_end_of_a_large_packed_dump_is_said_to_be_unknown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_folder, "UNPACKED_AT_MOST", 10)

    check = check_of(settings, gzip.compress(DUMP), "_Populate_Gu2026.sql.gz")

    assert check.status == "warning"
    assert "its end was not looked at" in check.what
    broken = check_of(settings, b"\x1f\x8b\x08, and no more", "_Populate_Gu2026.sql.gz")
    assert (broken.status, "cannot be read" in broken.what) == ("failure", True)


def test_no_folder(settings: Settings) -> None:
    (settings.spyglass_paper_dir / "spyglass_version").unlink()
    settings.spyglass_paper_dir.rmdir()

    [check] = checked(settings)

    assert check.status == "failure"
    assert str(settings.spyglass_paper_dir) in check.what
    assert "SPYGLASS_PAPER_DIR" in check.fix


def test_a_script_that_nobody_ran_yet(settings: Settings) -> None:
    (settings.spyglass_paper_dir / "_ExportSQL_Gu2026.sh").touch()

    [check] = checked(settings)

    assert check.status == "failure"
    assert "`invoke dump` writes it" in check.fix


@pytest.mark.parametrize("text", ["", "unknown"])
def test_a_version_that_is_missing_is_no_failure(settings: Settings, text: str) -> None:
    dump = DUMP.replace(b"-- SPYGLASS VERSION: 0.6.0 --\n", b"")
    (settings.spyglass_paper_dir / "_Populate_Gu2026.sql").write_bytes(dump)
    (settings.spyglass_paper_dir / "spyglass_version").write_text(text)

    assert (checked(settings)[-1].name, checked(settings)[-1].status) == ("Spyglass version", "warning")


def test_a_dump_that_lacks_a_table_of_its_script(settings: Settings) -> None:
    (settings.spyglass_paper_dir / "_Populate_Gu2026.sql").write_bytes(DUMP)
    (settings.spyglass_paper_dir / "_ExportSQL_Gu2026.sh").write_text(
        'mysqldump --hex-blob common_lab lab --where="1"\n'
        # As a call that failed leaves no trace.
        'mysqldump --hex-blob common_lab \\#team --where="1"\n'
    )

    check = next(check for check in checked(settings) if check.status == "failure")

    assert "common_lab.#team is missing" in check.what
    assert "`invoke dump`" in check.fix


def test_a_large_dump_is_not_read_as_a_whole(settings: Settings) -> None:
    dump = settings.spyglass_paper_dir / "_Populate_Gu2026.sql"
    with dump.open("wb") as file:
        file.write(DUMP[:200])
        file.truncate(10 * 10**9)  # 10 GB that take no room
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + DUMP[-200:])

    assert checked(settings)[0].status == "ok"
