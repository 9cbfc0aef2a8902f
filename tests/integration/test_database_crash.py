"""Killed at any moment, out of disk, or both: the database comes back with every row that was committed."""

import itertools
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pymysql
import pytest

from tests.integration.database_container import Database, MakeDatabase, ask, loaded_tables, run

pytestmark = pytest.mark.integration

# Seconds after the start: while the seed is copied, while mysqld opens it for the first time, and after.
MOMENTS = [0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.6, 1.0, 1.5]


def test_killed_during_first_start(example_image: str, database: MakeDatabase) -> None:
    expected = loaded_tables(example_image)

    def killed_after(moment: float, db: Database) -> None:
        db.start()
        time.sleep(moment)
        db.kill()
        db.start()
        assert db.tables() == expected, f"killed {moment} s after its first start"
        assert db.execute("ls", "/var/lib/mysql") == "data"
        db.close()

    with ThreadPoolExecutor(2) as two_at_once:
        list(two_at_once.map(killed_after, MOMENTS, [database(example_image) for _ in MOMENTS]))


def test_half_a_copy_is_never_served(example_image: str, database: MakeDatabase) -> None:
    """The state that a kill leaves in the middle of the copy, and of its removal."""
    db = database(example_image)
    half = "mkdir -p incoming.ABC/mysql && head -c 1000000 /opt/seed/data/mysql.ibd > incoming.ABC/mysql.ibd"
    ask(
        "run",
        "--rm",
        f"--volume={db.volume}:/var/lib/mysql",
        "--workdir=/var/lib/mysql",
        example_image,
        "bash",
        "-c",
        half,
    )
    db.start()
    assert db.tables() == loaded_tables(example_image)
    assert db.execute("ls", "/var/lib/mysql") == "data"


def test_stopped_during_the_copy(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    for moment in (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8):
        db.create()
        db.start()
        time.sleep(moment)
        asked = time.monotonic()
        db.stop()
        assert time.monotonic() - asked < 8
        # 143 while it copies; 0 where mysqld was reached already.
        assert db.state("ExitCode") in ("0", "143")
    db.start()
    assert db.tables() == loaded_tables(example_image)


class Writer(threading.Thread):
    """Commits one row after the other until the server goes away; ``committed`` is the last that it confirmed."""

    def __init__(self, database: Database, first: int) -> None:
        super().__init__()
        self.connection = database.connect()
        self.committed = first - 1

    def run(self) -> None:
        with self.connection.cursor() as cursor:
            for number in itertools.count(self.committed + 1):
                try:
                    cursor.execute("INSERT INTO common_lab.log VALUES (%s, REPEAT(%s, 2000))", (number, "x"))
                except pymysql.Error:
                    return
                self.committed = number


def test_killed_while_rows_are_written(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    db.start()
    db.query("CREATE TABLE common_lab.log (id int PRIMARY KEY, payload text)")
    moments = random.Random(4)
    last = 0
    for _ in range(10):
        writer = Writer(db, last + 1)
        writer.start()
        time.sleep(moments.uniform(0.1, 0.5))
        db.kill()
        writer.join()
        db.start()
        ((count, last),) = db.query("SELECT COUNT(*), MAX(id) FROM common_lab.log")
        # The row under way when the plug was pulled may be there or not.
        assert last in (writer.committed, writer.committed + 1)
        assert count == last
    assert last > 10
    assert {name: rows for name, rows in db.tables().items() if name != "common_lab.log"} == loaded_tables(
        example_image
    )
    assert db.query("CHECK TABLE common_lab.log")[0][3] == "OK"


def rows_but_log(database: Database) -> dict[str, int]:
    return {name: rows for name, rows in database.tables().items() if name != "common_lab.log"}


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, example_image: str) -> str:
    """A volume of as many MB as the parameter says; a container of its name keeps it mounted."""
    name = f"sgx-db-{os.getpid()}-disk"

    def remove() -> None:
        run("rm", "--force", name)
        run("volume", "rm", "--force", name)

    request.addfinalizer(remove)
    ask("volume", "create", "--opt=type=tmpfs", "--opt=device=tmpfs", f"--opt=o=size={request.param}m", name)
    ask("run", "--detach", f"--name={name}", f"--volume={name}:/var/lib/mysql", example_image, "sleep", "600")
    return name


@pytest.mark.parametrize("small_disk", [150], indirect=True)
def test_no_room_for_the_copy(small_disk: str, example_image: str, database: MakeDatabase) -> None:
    status, log = database(example_image, volume=small_disk).run_to_the_end()
    assert status == 1
    assert "error: the disk is too full for the database" in log
    assert ask("exec", small_disk, "ls", "/var/lib/mysql") == ""


@pytest.mark.parametrize("small_disk", [500], indirect=True)
def test_disk_that_fills_up_loses_no_committed_row(small_disk: str, example_image: str, database: MakeDatabase) -> None:
    ballast = "/var/lib/mysql/lost+found"
    ask("exec", small_disk, "bash", "-c", f"mkdir {ballast} && head -c 200M /dev/zero > {ballast}/ballast")
    db = database(example_image, volume=small_disk)
    db.start()
    db.query("CREATE TABLE common_lab.log (id int PRIMARY KEY, payload longblob)")
    committed = 0
    with db.connect() as connection, connection.cursor() as cursor, pytest.raises(pymysql.Error):
        for number in range(1, 1000):
            cursor.execute("INSERT INTO common_lab.log VALUES (%s, REPEAT('x', 1000000))", (number,))
            committed = number
    assert committed > 5
    db.kill()
    status, log = db.run_to_the_end()
    assert (status, "error: the disk is too full for the database" in log) == (1, True)
    ask("exec", small_disk, "rm", f"{ballast}/ballast")
    db.start()
    assert db.query("SELECT COUNT(*), MAX(id) FROM common_lab.log") == [(committed, committed)]
    assert rows_but_log(db) == loaded_tables(example_image)
