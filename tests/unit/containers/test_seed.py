"""What the database was loaded with, as its container tells it."""

from pathlib import Path

from spyglass_export.containers.docker import Docker
from spyglass_export.containers.seed import LoadedTable, Orphans, TableProof, loaded
from tests.unit.docker_program import docker_that_runs

PRINTED = """==> /opt/seed/tables.tsv <==
common_lab.lab\t3\t16384
common_lab.odd name\t0\t16384

==> /opt/seed/proof.tsv <==
common_lab.lab\t3\tabc\tproven

==> /opt/seed/orphans.tsv <==
"""


def database(folder: Path, printed: str) -> Docker:
    return docker_that_runs(folder, f"print({printed!r}, end='')")


def test_all_that_was_counted_is_read_at_once(tmp_path: Path) -> None:
    found = loaded(database(tmp_path, PRINTED))

    assert found.tables == [LoadedTable("common_lab.lab", 3, 16384), LoadedTable("common_lab.odd name", 0, 16384)]
    assert found.proof == [TableProof("common_lab.lab", 3, "abc", "proven")]
    assert found.orphans == []


def test_orphans_are_told_by_table_and_key(tmp_path: Path) -> None:
    found = loaded(database(tmp_path, PRINTED + "lab.child\tchild_ibfk_1\tlab.parent\t4\n"))

    assert found.orphans == [Orphans("lab.child", "child_ibfk_1", "lab.parent", 4)]
