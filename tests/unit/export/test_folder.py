"""Which files of an export folder are read, and that no other is passed over in silence."""

import os
from pathlib import Path

import pytest

from spyglass_export.errors import UserError
from spyglass_export.export.folder import sql_files, unread


def test_what_is_read_and_what_is_not(tmp_path: Path) -> None:
    for name in ("b.SQL", "a.sql.gz", ".hidden.sql", "environment.yml", "spyglass_version", "_ExportSQL_x.sh", "n.txt"):
        (tmp_path / name).touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "_Populate_x.sql").touch()

    assert [path.name for path in sql_files(tmp_path)] == ["a.sql.gz", "b.SQL"]
    assert unread(tmp_path) == ["n.txt", "old/ (with 1 dump)"]


@pytest.mark.parametrize("name", ["b.sql.zst", "b.sql.xz", "b.sql.bz2", "b.SQL.zip", "b.sql.part", "b.sql.gz.part"])
def test_a_dump_in_another_packing_is_no_dump_less(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.sql").touch()
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"{name} cannot be read as it is"):
        sql_files(tmp_path)


def test_a_dump_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.sql").touch()
    (tmp_path / "b.sql").mkdir()
    with pytest.raises(UserError, match=r"b\.sql is not a file"):
        sql_files(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there, and there are no FIFOs")
def test_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "a.sql").touch()
    (tmp_path / "b.sql").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"b\.sql is a link to a file that is not there"):
        sql_files(tmp_path)
    (tmp_path / "b.sql").unlink()
    os.mkfifo(tmp_path / "b.sql")
    with pytest.raises(UserError, match=r"b\.sql is not a file"):
        sql_files(tmp_path)


def test_no_folder_and_no_dump(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        sql_files(tmp_path / "none")
    with pytest.raises(UserError, match=r"no \.sql file"):
        sql_files(tmp_path)
