"""copy_files: from an export to export_data/, again, and through every kind of trouble."""

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xxhash

from spyglass_export.environment.installable import Evidence
from spyglass_export.errors import UserError
from spyglass_export.export import staging
from spyglass_export.export.copy_files import copy_files
from spyglass_export.export.lock import only_one
from spyglass_export.export.proof import Proof, ProvenTable

SQL = """-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
CREATE DATABASE IF NOT EXISTS `d`; USE `d`;
CREATE TABLE `t` (
  `nwb_file_name` varchar(255) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
INSERT INTO `t` VALUES ('a.nwb');
CREATE TABLE `empty` (`a` int);
-- Dump completed on 2026-01-01  0:00:00
"""
ENVIRONMENT = "name: spyglass\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.12\n  - ipykernel=6.29.5\n"


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    folder = tmp_path / "Gu 2026 é"
    folder.mkdir()
    (folder / "_Populate_Gu2026.sql").write_text(SQL, encoding="utf-8")
    (folder / "environment.yml").write_text(ENVIRONMENT, encoding="utf-8")
    (folder / "spyglass_version").write_text("0.5.5\n", encoding="utf-8")
    return folder


@pytest.fixture
def export_data(tmp_path: Path) -> Path:
    folder = tmp_path / "export_data"
    folder.mkdir()
    (folder / ".gitkeep").touch()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_folder_and_its_manifest(paper: Path, export_data: Path) -> None:
    copied = copy_files(paper, export_data, paper_id="Gu2026")
    manifest = json.loads((export_data / "manifest.json").read_text(encoding="utf-8"))

    assert copied.changed
    assert set(contents(export_data)) == {
        ".gitkeep",
        "environment.yml",
        "manifest.json",
        os.path.join("sql", "schema.sql"),  # noqa: PTH118
        os.path.join("sql", "rows", "00001-d.t.sql"),  # noqa: PTH118
    }
    assert (manifest["format"], manifest["paper_id"], manifest["spyglass_version"]) == (3, "Gu2026", "0.5.5")
    assert [source["name"] for source in manifest["sources"]] == [
        "_Populate_Gu2026.sql",
        "environment.yml",
        "spyglass_version",
    ]
    assert [(table["name"], table["file"], table["bytes"]) for table in manifest["tables"]] == [
        ("t", "sql/rows/00001-d.t.sql", len("INSERT INTO `t` VALUES ('a.nwb');")),
        ("empty", None, 0),
    ]
    assert {
        "kind": "column length",
        "where": "`d`.`t`.`nwb_file_name`",
        "before": "varchar(255)",
        "after": "varchar(64)",
    }.items() <= next(change for change in manifest["changes"] if change["kind"] == "column length").items()
    assert "name: Gu2026" in (export_data / "environment.yml").read_text(encoding="utf-8")


def test_unchanged_sources_are_left_alone_and_the_same_bytes_come_of_them(paper: Path, export_data: Path) -> None:
    first = copy_files(paper, export_data, paper_id="Gu2026")
    before = contents(export_data)
    stamp = (export_data / "manifest.json").stat().st_mtime_ns
    second = copy_files(paper, export_data, paper_id="Gu2026")

    assert not second.changed
    assert second.manifest == first.manifest
    assert (export_data / "manifest.json").stat().st_mtime_ns == stamp
    shutil.rmtree(export_data / "sql")
    assert copy_files(paper, export_data, paper_id="Gu2026").changed
    assert contents(export_data) == before


@pytest.mark.parametrize(
    "change", ["sql", "same size", "environment", "paper", "exclude", "override", "result", "missing result"]
)
def test_any_change_is_noticed(paper: Path, export_data: Path, change: str) -> None:
    first = copy_files(paper, export_data, paper_id="Gu2026").manifest
    paper_id = "Gu2026"
    exclude: tuple[str, ...] = ()
    dump = paper / "_Populate_Gu2026.sql"
    if change == "sql":
        dump.write_text(SQL.replace("'a.nwb'", "'longer.nwb'"), encoding="utf-8")
    elif change == "same size":
        stamp = dump.stat()
        dump.write_text(SQL.replace("'a.nwb'", "'b.nwb'"), encoding="utf-8")
        os.utime(dump, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    elif change == "environment":
        (paper / "environment.yml").write_text(ENVIRONMENT + "  - numpy=2.0\n", encoding="utf-8")
    elif change == "paper":
        paper_id = "Gu2027"
    elif change == "exclude":
        (paper / "environment.yml").write_text(ENVIRONMENT + "  - numpy=2.0\n", encoding="utf-8")
        first = copy_files(paper, export_data, paper_id="Gu2026").manifest
        exclude = ("numpy",)
    elif change == "override":
        (export_data / "environment.override.yml").write_text("dependencies:\n  - scipy=1.12\n", encoding="utf-8")
    elif change == "result":
        (export_data / "sql" / "rows" / "00001-d.t.sql").write_text("cut", encoding="utf-8")
    else:
        (export_data / "sql" / "rows" / "00001-d.t.sql").unlink()
    copied = copy_files(paper, export_data, paper_id=paper_id, exclude=exclude)

    assert copied.changed
    assert (copied.manifest.export_hash == first.export_hash) == change.endswith("result")


def test_the_authors_own_file_is_used_and_stays(paper: Path, export_data: Path) -> None:
    override = export_data / "environment.override.yml"
    override.write_text("dependencies:\n  - scipy=1.12\n", encoding="utf-8")
    copy_files(paper, export_data, paper_id="Gu2026")

    assert "scipy=1.12" in (export_data / "environment.yml").read_text(encoding="utf-8")
    assert override.read_text(encoding="utf-8") == "dependencies:\n  - scipy=1.12\n"
    assert (export_data / ".gitkeep").exists()


@pytest.mark.parametrize(
    ("trouble", "what"),
    [
        ("no folder", "does not exist"),
        ("no sql", "there is no .sql file in"),
        ("no environment", "there is no environment.yml in"),
        ("cut", "ends within a string"),
        ("twin", "hold the same dump"),
        ("packed twin", "hold the same dump"),
        ("latin1 environment", "is not UTF-8 text"),
    ],
)
def test_a_bad_export_is_refused_and_the_last_one_stays_whole(
    paper: Path, export_data: Path, trouble: str, what: str
) -> None:
    copy_files(paper, export_data, paper_id="Gu2026")
    before = contents(export_data)
    dump = paper / "_Populate_Gu2026.sql"
    if trouble == "no folder":
        shutil.rmtree(paper)
    elif trouble == "no sql":
        dump.unlink()
    elif trouble == "no environment":
        (paper / "environment.yml").unlink()
    elif trouble == "cut":
        dump.write_text(SQL[: SQL.index(".nwb")], encoding="utf-8")
    elif trouble == "twin":
        shutil.copy(dump, paper / "copy of it.sql")
    elif trouble == "packed twin":
        (paper / "copy.sql.gz").write_bytes(gzip.compress(dump.read_bytes()))
    else:
        (paper / "environment.yml").write_bytes(b"name: \xe9\n")

    with pytest.raises(UserError) as error:
        copy_files(paper, export_data, paper_id="Gu2026")

    assert what in error.value.what
    assert "\n" not in error.value.what
    assert contents(export_data) == before


def test_a_disk_that_is_full_is_said_to_be(paper: Path, export_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spyglass_export.dump.writing.copying._copy_range", full)
    with pytest.raises(UserError, match=r"the disk of .* is full"):
        copy_files(paper, export_data, paper_id="Gu2026")

    assert set(contents(export_data)) == {".gitkeep"}


@pytest.mark.parametrize("stop", range(12))
def test_a_stop_at_any_rename_leaves_the_old_or_is_finished_by_the_next_run(
    paper: Path, export_data: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    copy_files(paper, export_data, paper_id="Gu2026")
    old = contents(export_data)
    (paper / "_Populate_Gu2026.sql").write_text(SQL.replace("a.nwb", "b.nwb"), encoding="utf-8")
    renames = iter(range(100))
    rename = Path.rename

    def stopping(self: Path, target: Path) -> Path:
        if next(renames) == stop:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stopping)
        try:
            copy_files(paper, export_data, paper_id="Gu2026")
        except KeyboardInterrupt:
            staging.recover(export_data, ("sql", "environment.yml", "manifest.json"))
    found = contents(export_data)
    copy_files(paper, export_data, paper_id="Gu2026")
    new = contents(export_data)

    assert new != old
    assert found in (old, new)
    assert sorted(path.name for path in export_data.iterdir()) == [
        ".gitkeep",
        ".lock",
        "environment.yml",
        "manifest.json",
        "sql",
    ]


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_run_leaves_the_old_export_whole(paper: Path, export_data: Path) -> None:
    copy_files(paper, export_data, paper_id="Gu2026")
    old = contents(export_data)
    rows = b"INSERT INTO `t` VALUES ('" + b"x" * 200 + b"');\n"
    insert = SQL.index("INSERT")
    with (paper / "_Populate_Gu2026.sql").open("wb") as dump:
        dump.write(SQL[:insert].encode())
        for _ in range(100):
            dump.write(rows * 3000)
        dump.write(SQL[insert:].encode())
    code = "import sys; from pathlib import Path; from spyglass_export.export.copy_files import copy_files;"
    code += "print('go', flush=True);"
    code += "copy_files(Path(sys.argv[1]), Path(sys.argv[2]), paper_id='Gu2026')"
    process = subprocess.Popen([sys.executable, "-c", code, str(paper), str(export_data)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not (export_data / ".writing").exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert {name: text for name, text in contents(export_data).items() if not name.startswith(".writing")} == old


def test_two_at_once_take_turns(paper: Path, export_data: Path) -> None:
    code = "import sys; from pathlib import Path; from spyglass_export.export.copy_files import copy_files;"
    code += "copied = copy_files(Path(sys.argv[1]), Path(sys.argv[2]), paper_id='Gu2026'); print(copied.changed)"
    command = [sys.executable, "-c", code, str(paper), str(export_data)]
    with only_one(export_data, "invoke copy_files"):
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for run in runs:
            assert run.stderr and "another `invoke copy_files` is at work" in run.stderr.readline()
        assert set(contents(export_data)) == {".gitkeep", ".writing-by"}
    said = [run.communicate()[0] for run in runs]

    assert sorted(said) == ["False\n", "True\n"]
    assert (export_data / "sql" / "rows" / "00001-d.t.sql").read_bytes().count(b"INSERT") == 1


def proven(paper: Path, dump: bytes) -> None:
    sha256 = hashlib.sha256(dump).hexdigest()
    proof = Proof("9.7.4", {"_Populate_Gu2026.sql": sha256}, {"d.t": ProvenTable(1, "42")})
    proof.write(paper)


def test_what_the_source_server_said_is_kept_for_the_build(paper: Path, export_data: Path) -> None:
    proven(paper, (paper / "_Populate_Gu2026.sql").read_bytes())
    copied = copy_files(paper, export_data, paper_id="Gu2026")
    assert [(table.name, table.rows, table.digest) for table in copied.manifest.tables] == [
        ("t", 1, "42"),
        ("empty", None, None),
    ]
    assert copied.warnings == []
    assert not copy_files(paper, export_data, paper_id="Gu2026").changed


def test_a_proof_of_another_dump_proves_nothing(paper: Path, export_data: Path) -> None:
    proven(paper, b"another")
    copied = copy_files(paper, export_data, paper_id="Gu2026")
    assert [table.digest for table in copied.manifest.tables] == [None, None]
    assert "was not written together with this dump" in copied.warnings[0][0]


def test_a_proof_that_cannot_be_read(paper: Path, export_data: Path) -> None:
    (paper / "proof.json").write_text('{"format": 1}', encoding="utf-8")
    with pytest.raises(UserError, match="is not what `invoke dump` wrote"):
        copy_files(paper, export_data, paper_id="Gu2026")


def test_sources_are_known_by_what_was_read_of_them_packed_or_not(paper: Path, export_data: Path) -> None:
    packed = paper / "more.sql.gz"
    packed.write_bytes(gzip.compress(SQL.replace("`t`", "`u`").replace("`empty`", "`v`").encode()))
    digests = {one.name: one.digest for one in copy_files(paper, export_data, paper_id="Gu2026").manifest.sources}

    for path in paper.iterdir():
        assert digests[path.name] == xxhash.xxh3_128(path.read_bytes()).hexdigest()


def test_a_table_that_is_missing_is_told_before_what_is_damaged(paper: Path, export_data: Path) -> None:
    (paper / "_ExportSQL_Gu2026.sh").write_text("mysqldump d t\nmysqldump d lost\n", encoding="utf-8")
    dump = paper / "_Populate_Gu2026.sql"
    dump.write_text(SQL[: SQL.index(".nwb")], encoding="utf-8")

    with pytest.raises(UserError, match=r"the dump is not what _ExportSQL_Gu2026.sh asks for: .*d\.lost is missing"):
        copy_files(paper, export_data, paper_id="Gu2026")


def test_an_environment_that_does_not_solve_leaves_everything_as_it_was(paper: Path, export_data: Path) -> None:
    def evidence() -> Evidence:
        raise UserError("it does not solve", "correct it")

    with pytest.raises(UserError, match="it does not solve"):
        copy_files(paper, export_data, paper_id="Gu2026", evidence=evidence)

    assert set(contents(export_data)) == {".gitkeep"}


def test_who_reads_no_more_of_what_is_printed_ends_it(paper: Path, export_data: Path) -> None:
    def evidence() -> Evidence:
        raise SystemExit(1)  # as where a line is printed into `| head -1`, which has what it wants

    with pytest.raises(SystemExit):
        copy_files(paper, export_data, paper_id="Gu2026", evidence=evidence)

    assert set(contents(export_data)) == {".gitkeep"}
