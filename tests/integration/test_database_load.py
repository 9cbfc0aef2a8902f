"""Building the database image: every row arrives as it was, or the build says why not."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from spyglass_export.export.copy_files import copy_files
from tests.integration.database_container import (
    DUMP,
    EXAMPLE,
    BuildImage,
    MakeDatabase,
    ask,
    build_image,
    loaded_tables,
    run,
)

pytestmark = pytest.mark.integration

# A server with the whole dump, errors and all, as someone would load it by hand who can live with GTID errors.
PLAIN_LOAD = f"""
mysqld --no-defaults --initialize-insecure --datadir=/tmp/data 2>/dev/null
mysqld --no-defaults --datadir=/tmp/data --mysqlx=OFF --skip-networking 2>/dev/null &
until mysql --user=root --execute='DO 0' 2>/dev/null; do sleep 0.1; done
mysql --user=root --force < /export/_Populate_example.sql 2>/dev/null
{DUMP}
"""


def test_example_is_the_same_as_loaded_by_hand(example_image: str, db_base_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    db.start()
    db.connect().close()
    by_hand = ask(
        "run", "--rm", "--interactive", "--user=mysql", f"--volume={EXAMPLE}:/export:ro", "--entrypoint=bash",
        db_base_image, "-s", text=PLAIN_LOAD,
    )  # fmt: skip
    assert by_hand.count("INSERT INTO") == sum(loaded_tables(example_image).values())
    assert db.dump() == by_hand


@pytest.mark.parametrize("name", ["demo", "demo_chunked", "demo_legacy"])
def test_every_row_of_a_real_export_is_served(
    shared_exports: Path, name: str, built_image: BuildImage, database: MakeDatabase, tmp_path: Path
) -> None:
    copy_files(shared_exports / name, tmp_path / "export_data", paper_id=name)
    db = database(built_image(tmp_path / "export_data", name))
    db.start()
    db.connect().close()
    compared = subprocess.run(
        [
            sys.executable, shared_exports / "fingerprint.py", "--compare", shared_exports / name / "truth.json",
            "127.0.0.1", str(db.port()), "root", db.password,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_odd_values_views_and_triggers_arrive(odd_image: str, database: MakeDatabase) -> None:
    db = database(odd_image)
    db.start()
    rows = db.query("SELECT id, CAST(day AS CHAR), CAST(at AS CHAR), bytes, text FROM odd.`#odd 'values'`")
    assert rows == [
        (0, "0000-00-00", "0000-00-00 00:00:00", b"\0\r\n\x1a'\"\\", "DELIMITER ;;"),
        (1, "2020-02-31", "2020-01-00 12:00:00", b"\0\r\n\x1a'\"\\", "\r\n-- Grüße, 神経 🐀"),
    ]
    assert db.query("SELECT id FROM odd.known_children") == [(1,)]
    db.query("INSERT INTO odd.parent VALUES (-5)")
    assert db.query("SELECT id FROM odd.parent ORDER BY id") == [(1,), (2,), (5,)]


def test_an_account_that_a_dump_brings_cannot_log_in(odd_image: str, database: MakeDatabase) -> None:
    db = database(odd_image)
    db.start()
    assert db.query("SELECT COUNT(*) FROM mysql.user WHERE user = 'planted'") == [(0,)]
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        pymysql.connect(host="127.0.0.1", port=db.port(), user="planted", password="Planted-1")


def test_orphans_are_reported_and_kept(odd_image: str) -> None:
    reported = ask("run", "--rm", odd_image, "cat", "/opt/seed/orphans.tsv")
    assert reported.split("\t") == ["odd.child", "child_ibfk_1", "odd.parent", "2"]
    assert loaded_tables(odd_image) == {"odd.#odd 'values'": 2, "odd.child": 4, "odd.parent": 2}


def test_rows_are_held_against_the_inserts_or_the_source(
    odd_image: str, odd_export_data: Path, built_image: BuildImage, database: MakeDatabase, tmp_path: Path
) -> None:
    counted = {line[0]: line[1:] for line in proof_of(odd_image)}
    assert {(name, rows, state) for name, (rows, _, state) in counted.items()} == {
        ("odd.#odd 'values'", "2", "counted"),
        ("odd.child", "4", "counted"),
        ("odd.parent", "2", "counted"),
    }
    export_data = shutil.copytree(odd_export_data, tmp_path / "export_data")
    prove(export_data, 2, counted["odd.parent"][1])
    image = built_image(export_data, "proven")
    assert [(name, state) for name, _, _, state in proof_of(image) if state == "proven"] == [("odd.parent", "proven")]

    db = database(image)
    db.start()
    db.query("INSERT INTO odd.parent VALUES (77)")
    command = 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" digest_tables.sh /opt/seed/digests.sql --user=root'
    now = {line.split("\t")[0]: line.split("\t")[1:] for line in db.execute("bash", "-c", command).splitlines()}
    assert now.pop("odd.~log")[0] == "0"  # DataJoint's log, which loading adds
    assert {name for name, line in now.items() if line != counted[name][:2]} == {"odd.parent"}
    assert now["odd.parent"][0] == "3"
    assert db.query("SHOW VARIABLES LIKE 'event_scheduler'") == [("event_scheduler", "OFF")]


def proof_of(image: str) -> list[list[str]]:
    return [line.split("\t") for line in ask("run", "--rm", image, "cat", "/opt/seed/proof.tsv").splitlines()]


def test_same_export_gives_the_same_seed(
    example_image: str, odd_image: str, built_image: BuildImage, example_export_data: Path
) -> None:
    again = built_image(example_export_data, "example-again")
    seeds = [ask("run", "--rm", image, "cat", "/opt/seed/seed_id") for image in (example_image, again, odd_image)]
    assert seeds[0] == seeds[1] != seeds[2]


def replace_row(export_data: Path, old: bytes, new: bytes) -> None:
    """Damage the rows of `parent`; where the size changes the manifest is made to agree."""
    (path,) = (export_data / "sql" / "rows").glob("*parent*")
    damaged = path.read_bytes().replace(old, new)
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    manifest = json.loads((export_data / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][f"sql/rows/{path.name}"] = len(damaged)
    (export_data / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def truncate(export_data: Path) -> None:
    """Cut a file after a statement, which MySQL itself cannot see."""
    (path,) = (export_data / "sql" / "rows").glob("*parent*")
    path.write_bytes(path.read_bytes().partition(b"INSERT")[0])


def add_table_to_manifest(export_data: Path) -> None:
    manifest = json.loads((export_data / "manifest.json").read_text(encoding="utf-8"))
    manifest["tables"].append({"schema": "odd", "name": "lost", "file": None, "bytes": 0})
    (export_data / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def prove(export_data: Path, rows: int, digest: str) -> None:
    """Have the source say of `parent` what `invoke dump` would have asked it."""
    manifest = json.loads((export_data / "manifest.json").read_text(encoding="utf-8"))
    next(table for table in manifest["tables"] if table["name"] == "parent").update(rows=rows, digest=digest)
    (export_data / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


NOT_STRICT = b"SET sql_mode = ''; INSERT INTO `parent` VALUES (1),('2x')"
DAMAGED_IMAGE = f"sgx-db-{os.getpid()}-damaged"
DAMAGES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "corrupted": (
        lambda export: replace_row(export, b"(1),(2)", b"(1);(2)"),
        ["sql/rows/", "parent", "ERROR 1064", "statement: INSERT INTO `parent` VALUES (1);(2);"],
    ),
    "duplicate": (
        lambda export: replace_row(export, b"(1),(2)", b"(1),(1)"),
        ["ERROR 1062", "Duplicate entry '1'", "statement: INSERT INTO `parent` VALUES (1),(1);"],
    ),
    "out of range": (
        lambda export: replace_row(export, b"(2)", b"(99999999999)"),
        ["ERROR 1264", "Out of range value for column 'id'"],
    ),
    "cut without an error": (
        lambda export: replace_row(export, b"INSERT INTO `parent` VALUES (1),(2)", NOT_STRICT),
        ["MySQL would change what it loads", "Data truncated for column 'id'"],
    ),
    "rows that are taken away again": (
        lambda export: replace_row(export, b"(1),(2);", b"(1),(2); DELETE FROM `parent` WHERE id = 2;"),
        ["odd.parent: 2 rows were inserted, and 1 are in the database"],
    ),
    "fewer rows than the source had": (
        lambda export: prove(export, 3, "1"),
        ["odd.parent: the source had 3 rows when it was dumped, and 2 are in the database"],
    ),
    "other rows than the source had": (
        lambda export: prove(export, 2, "1"),
        ["odd.parent: its 2 rows are not what the source had"],
    ),
    "truncated": (truncate, ["export_data/ is not what its manifest says", "parent"]),
    "table missing": (add_table_to_manifest, ["tables of the manifest are not in the database: odd.lost"]),
    "empty": (lambda export: (export / "manifest.json").unlink(), ["export_data/ holds no export"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_export_fails_the_build_and_says_why(
    damage: str, odd_export_data: Path, db_base_image: str, tmp_path: Path
) -> None:
    export_data = shutil.copytree(odd_export_data, tmp_path / "export_data")
    harm, expected = DAMAGES[damage]
    harm(export_data)
    done = build_image(export_data, tmp_path / "context", DAMAGED_IMAGE, db_base_image)
    assert done.returncode != 0
    (error,) = {found[1] for found in re.finditer(r"^#\S+ [\d.]+ error: (.*)$", done.stdout, re.MULTILINE)}
    for part in expected:
        assert part in error
    assert "hint: " in done.stdout
    assert run("image", "inspect", DAMAGED_IMAGE).returncode != 0
