"""`invoke dump` from real servers: accounts that only read, rows that change meanwhile, servers that stop, kills."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.export.copy_files import copy_files
from spyglass_export.export.proof import Proof
from spyglass_export.export.script import Call
from spyglass_export.servers import dump as dumping
from spyglass_export.servers.account import Account, connect
from spyglass_export.servers.dump import digest, digest_statements
from spyglass_export.servers.mysqldump import Start
from tests.integration import dump_servers
from tests.integration.dump_servers import Server
from tests.integration.mariadb_image import mariadb_image

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = "name: spyglass\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.12\n  - ipykernel=6.29.5\n"
PASSWORD = "p\" w\\'#1é$HOME"
LAB = r"""
drop database if exists lab; create database lab default character set latin1; use lab;
create table `#team` (name varchar(40) primary key, note varchar(200)) engine=InnoDB;
create table mouse (id int primary key, team varchar(40) not null, x float, blob_ longblob, at timestamp null,
  foreign key (team) references `#team` (name));
insert into `#team` values ('Björn $5 `x`', 'it''s # \\ "q"'), ('other', null);
insert into mouse values (1, 'Björn $5 `x`', 0.1, x'00ff27', '2020-01-01 00:00:01'), (2, 'other', -1e30, '', null),
  (3, 'other', null, null, null);
"""
GUEST = r"""
drop user if exists ada@'%'; create user ada@'%' identified by 'p" w\\''#1é$HOME';
create role if not exists dj_guest; grant select on *.* to dj_guest; grant dj_guest to ada@'%';
"""
SCRIPT = """#!/bin/bash

exec > /stelmo/nwb/export/Gu2026/_Populate_Gu2026.sql

echo '--'
echo '-- SPYGLASS VERSION: 0.6.0 --'
echo '--'

echo 'CREATE DATABASE IF NOT EXISTS lab; USE lab;'

mysqldump --hex-blob lab \\#team --where="\\
	(name='Björn $5 `x`') \\
	OR  (name='other')"

mysqldump --hex-blob lab mouse --where="\\
	id=1"

mysqldump --hex-blob lab mouse --where="\\
	id in (2,3)"

"""


@pytest.fixture(scope="module")
def server(docker_engine: Docker, db_base_image: str) -> Iterator[Server]:
    server = dump_servers.start(db_base_image, "sgx-lab-mysql", dump_servers.MYSQL, "mysql", "mysqldump")
    yield server
    dump_servers.stop(server)


@pytest.fixture
def lab(server: Server) -> Server:
    server.run(server.client, *ADMIN, text=(LAB + GUEST + "set default role dj_guest to ada@'%';").encode())
    return server


ADMIN = ("--socket=/tmp/server.sock", "--user=root", "--default-character-set=utf8mb4")


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    folder = tmp_path / "Gu 2026"
    folder.mkdir()
    (folder / "_ExportSQL_Gu2026.sh").write_text(SCRIPT, encoding="utf-8")
    (folder / "environment.yml").write_text(ENVIRONMENT, encoding="utf-8")
    return folder


def account_of(server: Server) -> Account:
    return Account("127.0.0.1", server.port, "ada", PASSWORD)


def execute(server: Server, sql: str) -> None:
    server.run(server.client, *ADMIN, text=sql.encode())


def dump(paper: Path, server: Server, docker: Docker, image: str) -> Proof:
    return dumping.dump(ROOT, paper, account_of(server), docker, image)


def rows_of(proof: Proof) -> int:
    return sum(table.rows for table in proof.tables.values())


def names(paper: Path) -> set[str]:
    return {path.name for path in paper.iterdir()} - {".lock"}


def test_an_account_that_may_only_read(
    lab: Server, paper: Path, tmp_path: Path, docker_engine: Docker, db_base_image: str
) -> None:
    proof = dump(paper, lab, docker_engine, db_base_image)

    assert (len(proof.tables), rows_of(proof)) == (2, 5)
    text = (paper / "_Populate_Gu2026.sql").read_text(encoding="utf-8")
    assert "-- WHERE:  (name='Björn $5 `x`') \tOR  (name='other')" in text
    assert PASSWORD not in text
    assert names(paper) == {"_ExportSQL_Gu2026.sh", "environment.yml", "_Populate_Gu2026.sql", "proof.json"}
    copied = copy_files(paper, tmp_path / "export_data", paper_id="Gu2026")
    assert copied.warnings == []
    assert copied.manifest.spyglass_version == "0.6.0"


def test_what_fails_is_named_before_anything_is_written(
    lab: Server, paper: Path, docker_engine: Docker, db_base_image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = paper / "_ExportSQL_Gu2026.sh"
    script.write_text(SCRIPT + 'mysqldump lab rat --where="\\\n\t1"\n', encoding="utf-8")
    with pytest.raises(UserError, match="1 of the tables"):
        dump(paper, lab, docker_engine, db_base_image)
    script.write_text(SCRIPT.replace("id=1", "idd=1").replace("id in", "id i"), encoding="utf-8")
    with pytest.raises(UserError, match="2 of 3 calls"):
        dump(paper, lab, docker_engine, db_base_image)

    said = capsys.readouterr().err
    assert "error: lab.rat is not there, or ada may not read it" in said
    assert "error: line 15, lab.mouse: Unknown column 'idd'" in said
    assert "error: line 18, lab.mouse: You have an error in your SQL syntax" in said
    assert names(paper) == {"_ExportSQL_Gu2026.sh", "environment.yml"}


def test_a_condition_longer_than_an_argument(
    lab: Server, paper: Path, tmp_path: Path, docker_engine: Docker, db_base_image: str
) -> None:
    many = " OR ".join(f"(id={number} AND team='{'other':40}')" for number in range(3000))
    script = paper / "_ExportSQL_Gu2026.sh"
    script.write_text(SCRIPT.replace("id in (2,3)", f"({many})"), encoding="utf-8")

    assert rows_of(dump(paper, lab, docker_engine, db_base_image)) == 5
    copy_files(paper, tmp_path / "export_data", paper_id="Gu2026")


@pytest.fixture
def before_each_later_call(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Calls a function, with the number of the call, before `mysqldump` is run for all but the first."""

    def install(change: Callable[[int], None]) -> None:
        numbers = iter(range(1000))
        original = dumping._dump_call

        def dump_call(call: Call, file: Path, start: Start) -> str:
            if number := next(numbers):
                change(number)
            return original(call, file, start)

        monkeypatch.setattr(dumping, "_dump_call", dump_call)

    return install


BeforeCalls = Callable[[Callable[[int], None]], None]


def test_rows_that_change_meanwhile_are_dumped_again(
    lab: Server,
    paper: Path,
    docker_engine: Docker,
    db_base_image: str,
    before_each_later_call: BeforeCalls,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # After the parent was dumped, another one takes its place: the child would have lost its parent.
    sql = "use lab; insert into `#team` values ('Björn $5 `x`2', ''); update mouse set team='other' where id=1;"
    sql += "update `#team` set note='changed' where name='other';"
    before_each_later_call(lambda number: execute(lab, sql) if number == 1 else None)

    dump(paper, lab, docker_engine, db_base_image)

    assert "rows of lab.#team, lab.mouse changed while they were dumped" in capsys.readouterr().err
    text = (paper / "_Populate_Gu2026.sql").read_text(encoding="utf-8")
    assert "('other','changed')" in text
    assert "(1,'other'" in text


def test_rows_that_never_rest(
    lab: Server, paper: Path, docker_engine: Docker, db_base_image: str, before_each_later_call: BeforeCalls
) -> None:
    before_each_later_call(lambda number: execute(lab, "update lab.mouse set x = coalesce(x, 0) + 1 where id < 3"))
    with pytest.raises(UserError, match=r"rows of lab\.mouse change again and again"):
        dump(paper, lab, docker_engine, db_base_image)
    assert names(paper) == {"_ExportSQL_Gu2026.sh", "environment.yml"}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads Linux' list of processes")
def test_a_kill_in_the_middle_and_no_password_in_sight(
    lab: Server, paper: Path, docker_engine: Docker, db_base_image: str
) -> None:
    dump(paper, lab, docker_engine, db_base_image)
    before = (paper / "_Populate_Gu2026.sql").read_bytes()
    script = paper / "_ExportSQL_Gu2026.sh"
    script.write_text(SCRIPT.replace("id in (2,3)", "id = 3 and sleep(3) = 0"), encoding="utf-8")
    code = f"""
import os, sys
from pathlib import Path
from spyglass_export.containers import stack
from spyglass_export.servers import account, dump
from spyglass_export.settings import load
root = Path({str(ROOT)!r})
lab = account.find_account("127.0.0.1", "{lab.port}", "ada", folder=root)
dump.dump(root, Path({str(paper)!r}), lab, stack.authors_docker(load(root, os.environ)), {db_base_image!r})
"""
    environment = os.environ | {"MYSQL_PWD": PASSWORD}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    while not (paper / ".invoke-dump" / "2.sql").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    programs = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert any(b"mysqldump" in program and b"--where=id = 3" in program for program in programs)
    assert not any(PASSWORD.encode() in program for program in programs)
    assert (paper / "_Populate_Gu2026.sql").read_bytes() == before
    deadline = time.monotonic() + 20
    while docker_engine.ask("ps", "--quiet", "--filter", "name=spyglass-export-dump") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not docker_engine.ask("ps", "--quiet", "--filter", "name=spyglass-export-dump")
    script.write_text(SCRIPT, encoding="utf-8")
    assert rows_of(dump(paper, lab, docker_engine, db_base_image)) == 5
    assert not (paper / ".invoke-dump").exists()


@pytest.fixture(scope="module")
def mariadb(docker_engine: Docker) -> Iterator[Server]:
    """A MariaDB server, whose accounts prove their passwords as older MySQL's do."""
    image = mariadb_image(docker_engine, "11.8")
    server = dump_servers.start(image, "sgx-lab-mariadb", dump_servers.MARIADB, "mariadb", "mariadb-dump")
    yield server
    dump_servers.stop(server)


def test_mariadb_and_older_accounts_by_a_program_of_this_machine(
    mariadb: Server,
    paper: Path,
    tmp_path: Path,
    docker_engine: Docker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mariadb.run(mariadb.client, *ADMIN, text=(LAB + GUEST + "set default role dj_guest for ada@'%';").encode())
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    if not shutil.which("mysqldump") and not shutil.which("mariadb-dump"):
        with pytest.raises(UserError, match=r"no program here can dump from ada@127\.0\.0\.1"):
            dump(paper, mariadb, docker_engine, "spyglass-export-test/none:1")

    image = subprocess.run(
        ["docker", "inspect", "--format", "{{.Config.Image}}", mariadb.name], capture_output=True, text=True, check=True
    ).stdout.strip()
    program = programs / "mariadb-dump"
    program.write_text(
        f'#!/bin/sh\nexec docker run --rm --network host --env MYSQL_PWD --entrypoint mariadb-dump {image} "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert rows_of(dump(paper, mariadb, docker_engine, "spyglass-export-test/none:1")) == 5
    copy_files(paper, tmp_path / "export_data", paper_id="Gu2026")


def test_the_same_rows_have_the_same_digest_everywhere(
    lab: Server, mariadb: Server, paper: Path, docker_engine: Docker, db_base_image: str
) -> None:
    dump(paper, lab, docker_engine, db_base_image)
    proof = json.loads((paper / "proof.json").read_text(encoding="utf-8"))["tables"]
    other = LAB.replace("latin1", "utf8mb4") + "alter table lab.mouse order by x desc;" + GUEST
    mariadb.run(mariadb.client, *ADMIN, text=(other + "set default role dj_guest for ada@'%';").encode())
    assert digests_of(mariadb) == {name: (one["rows"], one["digest"]) for name, one in proof.items()}
    mariadb.run(mariadb.client, *ADMIN, text=b"update lab.mouse set blob_ = x'00fe27' where id = 1")
    changed = digests_of(mariadb)
    assert changed["lab.#team"] == (2, proof["lab.#team"]["digest"])
    assert changed["lab.mouse"][0] == 3
    assert changed["lab.mouse"] != (3, proof["lab.mouse"]["digest"])


def digests_of(server: Server) -> dict[str, tuple[int, str]]:
    with connect(account_of(server)) as connection:
        found = digest_statements(connection, ROOT, [("lab", "#team"), ("lab", "mouse")])
        digests = {".".join(name): digest(connection, statement, "") for name, statement in found.items()}
    return {name: (one.rows, one.digest) for name, one in digests.items()}


def test_a_server_that_stops_in_the_middle(
    lab: Server,
    paper: Path,
    docker_engine: Docker,
    db_base_image: str,
    before_each_later_call: BeforeCalls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last one: it takes the server away."""
    dump(paper, lab, docker_engine, db_base_image)
    before = (paper / "_Populate_Gu2026.sql").read_bytes()
    monkeypatch.setattr(dumping, "PAUSE_SECONDS", 0.1)
    before_each_later_call(lambda number: dump_servers.stop(lab))
    with pytest.raises(UserError, match="no dump was written") as caught:
        dump(paper, lab, docker_engine, db_base_image)
    assert "check the network and the server" in caught.value.hint
    assert (paper / "_Populate_Gu2026.sql").read_bytes() == before
