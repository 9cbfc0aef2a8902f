"""Merges as labs meet them: tables that DataJoint has made and reads, and a paper that a reader runs from a bundle."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from uv import find_uv_bin

from spyglass_export.containers import reader
from spyglass_export.containers.docker import Docker
from spyglass_export.merging import merge
from spyglass_export.merging.server import Server
from spyglass_export.settings import load
from tests.end_to_end.paper import free_ports
from tests.integration import dump_servers
from tests.missing import missing

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
DATAJOINT = "datajoint==0.14.10"  # Spyglass 0.6.0 wants one below 0.15
# What a lab and its papers declare; each database gets sessions of its own, and numbers its regions in its own order.
DECLARE = """
import sys, uuid
import datajoint as dj
import numpy as np

dj.config.update({"database.host": f"127.0.0.1:{sys.argv[1]}", "database.user": "root", "database.password": "",
                  "safemode": False, "enable_python_native_blobs": True})
common, spikes = dj.Schema("common_lab"), dj.Schema("spikes_v1")

@common
class BrainRegion(dj.Lookup):
    definition = '''
    region_id: smallint auto_increment
    ---
    region_name: varchar(200)
    subregion_name=NULL: varchar(200)
    '''

@common
class Session(dj.Manual):
    definition = '''
    nwb_file_name: varchar(64)
    ---
    token: uuid
    kind: enum("run", "sleep")
    '''

    class Electrode(dj.Part):
        definition = '''
        -> master
        electrode_id: int
        ---
        -> BrainRegion
        '''

@spikes
class Sorting(dj.Computed):
    definition = '''
    -> Session.Electrode
    ---
    waveform: longblob
    '''
    key_source = Session.Electrode

    def make(self, key):
        self.insert1(dict(key, waveform={"mean": np.arange(key["electrode_id"] + 3) / 7, "of": key["nwb_file_name"]}))
"""
FILL = """
sessions, regions = sys.argv[2].split(","), sys.argv[3].split(",")
BrainRegion.insert({"region_name": name} for name in regions)
for session in sessions:
    Session.insert1((session, uuid.uuid5(uuid.NAMESPACE_DNS, session), "run"))
    for region in (BrainRegion & [f"region_name = '{name}'" for name in ("CA1", "CA3")]).fetch(as_dict=True):
        electrode = 1 if region["region_name"] == "CA1" else 3
        Session.Electrode.insert1((session, electrode, region["region_id"]))
Sorting.populate()
"""
READ = """
import json
common, spikes = dj.VirtualModule("c", "common_lab"), dj.VirtualModule("s", "spikes_v1")
joined = (common.Session * common.Session.Electrode * common.BrainRegion * spikes.Sorting).fetch(
    as_dict=True, order_by="nwb_file_name, electrode_id")
for row in joined:
    assert row["token"] == uuid.uuid5(uuid.NAMESPACE_DNS, row["nwb_file_name"])
    assert row["waveform"]["of"] == row["nwb_file_name"]
    assert (row["waveform"]["mean"] == np.arange(row["electrode_id"] + 3) / 7).all()
print(json.dumps([[row[name] for name in ("nwb_file_name", "electrode_id", "region_name", "kind")] for row in joined]))
common.Session.insert1(("after.nwb", uuid.uuid4(), "sleep"))
(common.Session & {"nwb_file_name": "after.nwb"}).delete()
"""


@pytest.fixture(scope="module")
def datajoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with DataJoint."""
    folder = tmp_path_factory.mktemp("datajoint") / "environment"
    python = folder / "bin" / "python"
    subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder], check=True)
    install = [find_uv_bin(), "pip", "install", "--quiet", "--python", str(python), DATAJOINT]
    if subprocess.run(install, check=False).returncode:
        missing(f"{DATAJOINT} cannot be installed")
    return python


@pytest.fixture(scope="module")
def servers(docker_engine: Docker, db_base_image: str) -> Iterator[list[dump_servers.Server]]:
    """A paper's server and a lab's."""
    started = [
        dump_servers.start(db_base_image, f"sgx-merge-{role}", dump_servers.MYSQL, "mysql", "mysqldump")
        for role in ("paper", "lab")
    ]
    yield started
    for server in started:
        dump_servers.stop(server)


def in_datajoint(python: Path, folder: Path, code: str, server: dump_servers.Server, *arguments: str) -> str:
    done = subprocess.run(
        [python, "-c", code, str(server.port), *arguments], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def merged(paper: dump_servers.Server, lab: dump_servers.Server, folder: Path) -> None:
    at: dict[str, Any] = {"host": "127.0.0.1", "user": "root", "charset": "utf8mb4", "autocommit": True}
    with pymysql.connect(port=paper.port, **at) as ours, pymysql.connect(port=lab.port, **at) as theirs:
        merge.merge(Server(ours, "paper"), Server(theirs, "lab"), folder, merge.Options(yes=True))


def test_datajoint_reads_what_was_merged_whatever_came_first(
    servers: list[dump_servers.Server], datajoint: Path, tmp_path: Path
) -> None:
    """Two papers share a session and number their regions differently; so does the lab that has one of its own."""
    paper, lab = servers
    papers = [("a.nwb,shared.nwb", "CA1,CA3"), ("shared.nwb,z.nwb", "mPFC,CA3,CA1")]
    results = []
    for number, order in enumerate((papers, papers[::-1])):
        lab.empty()
        in_datajoint(datajoint, tmp_path, DECLARE + FILL, lab, "mine.nwb", "CA3,OFC,CA1")
        (folder := tmp_path / str(number)).mkdir()
        for sessions, regions in order:
            paper.empty()
            in_datajoint(datajoint, tmp_path, DECLARE + FILL, paper, sessions, regions)
            merged(paper, lab, folder)
        results.append(json.loads(in_datajoint(datajoint, tmp_path, DECLARE + READ, lab).splitlines()[-1]))

    assert results[0] == [
        [session, electrode, region, "run"]
        for session in ("a.nwb", "mine.nwb", "shared.nwb", "z.nwb")
        for electrode, region in ((1, "CA1"), (3, "CA3"))
    ]
    assert results[1] == results[0]


def test_the_running_paper_of_a_readers_bundle(
    example_image: str, servers: list[dump_servers.Server], tmp_path: Path
) -> None:
    _, lab = servers
    lab.empty()
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER ada IDENTIFIED BY 'secret'")
        cursor.execute("GRANT ALL ON *.* TO ada")
    folder = tmp_path / "a reader's folder"
    shutil.copytree(ROOT / "spyglass_export", folder / "spyglass_export")
    shutil.copy(ROOT / "docker-compose-collab.yml", folder)
    shutil.copy(ROOT / "bundle" / "tasks.py", folder)
    [port] = free_ports(1)
    (folder / ".env").write_text(f"PAPER_ID=merge-2026\nDB_IMAGE={example_image}\nDB_PORT={port}\n", encoding="utf-8")

    def invoke(*arguments: str) -> str:
        account = ["--host", "127.0.0.1", "--port", str(lab.port), "--user", "ada"]
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *arguments, *account],
            cwd=folder, env=os.environ | {"MYSQL_PWD": "secret"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    docker = reader.readers_docker(load(folder, {}))
    try:
        docker.ask("compose", "up", "--detach", "--wait", "db")
        assert "the running database of merge-2026" in invoke("merge", "--yes")
        tables = json.loads(invoke("merge", "--plan", "--json"))["tables"]
        assert sum(table["same"] for table in tables) == sum(rows for rows, _ in lab.rows().values()) > 0
        assert {table["new"] + table["conflict"] + table["left_out"] for table in tables} == {0}
        invoke("unmerge", "merge.json", "--yes")
        assert lab.schemas() == []
    finally:
        docker.ask("compose", "down", "--volumes")
