"""A paper's rows into a database that holds others: what goes, what is refused, and what stays as it was."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.merging import merge
from spyglass_export.merging.plan import MOST_LISTED, Plan, TablePlan
from spyglass_export.merging.server import Server
from spyglass_export.merging.unmerge import unmerge
from tests.integration import dump_servers
from tests.integration.mariadb_image import RELEASES, mariadb_image

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
DJ_USER = ["CREATE USER ada IDENTIFIED BY 'x'", "GRANT SELECT ON *.* TO ada"]


@pytest.fixture(scope="module")
def paper(docker_engine: Docker, db_base_image: str) -> Iterator[dump_servers.Server]:
    """The server of the paper."""
    large = f"{dump_servers.MYSQL} --max-allowed-packet=1G"
    server = dump_servers.start(db_base_image, "sgx-merge-paper", large, "mysql", "mysqldump")
    yield server
    dump_servers.stop(server)


@pytest.fixture(scope="module")
def mysql(docker_engine: Docker, db_base_image: str) -> Iterator[dump_servers.Server]:
    """A lab's server: MySQL as it comes."""
    server = dump_servers.start(db_base_image, "sgx-merge-lab", dump_servers.MYSQL, "mysql", "mysqldump")
    yield server
    dump_servers.stop(server)


@pytest.fixture(scope="module")
def mariadb(docker_engine: Docker) -> Iterator[dump_servers.Server]:
    """A lab's server: MariaDB as it comes."""
    image = mariadb_image(docker_engine, next(iter(RELEASES)))
    server = dump_servers.start(image, "sgx-merge-mariadb", dump_servers.MARIADB, "mariadb", "mariadb-dump")
    yield server
    dump_servers.stop(server)


@pytest.fixture(params=["mysql", "mariadb"])
def lab(request: pytest.FixtureRequest) -> dump_servers.Server:
    """A lab's server, empty."""
    server: dump_servers.Server = request.getfixturevalue(request.param)
    server.empty()
    return server


def run(server: dump_servers.Server, *statements: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        for statement in statements:
            cursor.execute(statement)


def ask(server: dump_servers.Server, sql: str) -> list[tuple[Any, ...]]:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


@contextmanager
def session(server: dump_servers.Server, user: str = "root", password: str = "") -> Iterator[Server]:
    with pymysql.connect(
        host="127.0.0.1", port=server.port, user=user, password=password, charset="utf8mb4", autocommit=True
    ) as connection:
        yield Server(connection, server.name)


def merged(
    paper: dump_servers.Server, lab: dump_servers.Server, folder: Path, *, user: str = "root", **options: Any
) -> Plan:
    with session(paper) as source, session(lab, user, "" if user == "root" else "x") as target:
        return merge.merge(source, target, folder, merge.Options(yes=True, **options))


def unmerged(lab: dump_servers.Server, path: Path) -> None:
    with session(lab) as target:
        unmerge(target, path, yes=True)


def table_of(plan: Plan, name: str) -> TablePlan:
    return next(table for table in plan.tables if str(table.ours.id) == name)


def counts(table: TablePlan) -> tuple[int, int, int, int]:
    return table.new, table.same, table.conflict, table.left_out


REGION = (
    "CREATE TABLE s.`#region`"
    " (id smallint NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(200) NOT NULL, sub varchar(9))"
)
GROUP = (
    "CREATE TABLE s.grp (nwb varchar(64), g varchar(80), id smallint NOT NULL, PRIMARY KEY (nwb, g),"
    " FOREIGN KEY (id) REFERENCES s.`#region` (id))"
)
ELECTRODE = (
    "CREATE TABLE t.electrode (nwb varchar(64), g varchar(80), e int, id smallint NOT NULL, x float,"
    " PRIMARY KEY (nwb, g, id, e), FOREIGN KEY (nwb, g) REFERENCES s.grp (nwb, g),"
    " FOREIGN KEY (id) REFERENCES s.`#region` (id))"
)
BRAIN = [
    "CREATE DATABASE s",
    "CREATE DATABASE t",
    REGION,
    GROUP,
    ELECTRODE,
    "INSERT INTO s.`#region` VALUES (1, 'CA1', NULL), (2, 'CA3', 'x'), (3, 'mPFC', 'y')",
    "INSERT INTO s.grp VALUES ('n1', '0', 1), ('n1', '1', 3), ('n2', '0', 2)",
    "INSERT INTO t.electrode VALUES ('n1', '0', 0, 1, 0.1), ('n1', '1', 1, 3, 3.40282e38), ('n2', '0', 2, 2, -0.0)",
]
ODD = [
    "CREATE DATABASE odd",
    """CREATE TABLE odd.`v a``l` (k int PRIMARY KEY, d double, f float, dc decimal(10,3), ts timestamp(3) NULL,
    dt datetime, tm time(2), y year, en enum('a', 'b''c', 'é'), st set('x', 'y'), bi bit(5), bl longblob, tx text,
    bo tinyint(1), c char(5), vb varbinary(9), b16 binary(16), u bigint unsigned,
    gen int GENERATED ALWAYS AS (k + 1) STORED,
    UNIQUE KEY u (tm, k))""",
    "INSERT INTO odd.`v a``l` (k, d, f, dc, ts, dt, tm, y, en, st, bi, bl, tx, bo, c, vb, b16, u) VALUES"
    " (0, 2.2250738585072014e-308, 3.40282e38, 1.5, '2020-01-01 00:00:00.123', '0000-00-00', '-12:00:01.5', 2000,"
    " 'b''c', 'x,y', b'10101', x'00ff5c27', 'é\\'\\\\\\n\\0', 1, 'a', 'b ', x'00', 18446744073709551615),"
    " (1, -1.7976931348623157e308, -1.1754944e-38, -0.001, NULL, '2020-02-30 10:00:00', NULL, NULL, NULL, NULL, NULL,"
    " NULL, '', NULL, NULL, NULL, NULL, NULL),"
    " (2, 0.1e-9, 0.1, 9999999.999, '1971-01-01 00:00:01', '1000-01-01', '838:59:59', 1901, 'a', '', b'0', '', '😀 ',"
    " 0, '', '', REPEAT('z', 16), 0)",
    "CREATE TABLE odd.tree (k varchar(20) PRIMARY KEY, p varchar(20), FOREIGN KEY (p) REFERENCES odd.tree (k))",
    "INSERT INTO odd.tree VALUES ('z', NULL), ('b', 'z'), ('a', 'b')",
    "CREATE TABLE odd.c1 (k int PRIMARY KEY, o int)",
    "CREATE TABLE odd.c2 (k int PRIMARY KEY, o int, FOREIGN KEY (o) REFERENCES odd.c1 (k))",
    "ALTER TABLE odd.c1 ADD FOREIGN KEY (o) REFERENCES odd.c2 (k)",
    "SET foreign_key_checks = 0",
    "INSERT INTO odd.c1 VALUES (1, 1), (2, NULL)",
    "INSERT INTO odd.c2 VALUES (1, NULL), (2, 2)",
    "CREATE TABLE odd.child (k int PRIMARY KEY, h binary(16) NOT NULL,"
    " FOREIGN KEY (h) REFERENCES odd.`~external_raw` (hash))",
    "INSERT INTO odd.child VALUES (1, x'0102')",
    "CREATE TABLE odd.`~log` (k int PRIMARY KEY)",
    "CREATE VIEW odd.seen AS SELECT k FROM odd.tree",
]


def test_all_values_of_a_paper_come_into_an_empty_server(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(paper, *ODD)
    wanted = {table: rows for table, rows in paper.rows().items() if table != "odd.~log"}

    plan = merged(paper, lab, tmp_path)

    assert lab.rows() == wanted
    assert [line.split(":")[0] for line in plan.stays] == ["odd.~log", "view odd.seen"]
    assert "~external_raw" in table_of(plan, "odd.child").notes[0]
    assert merged(paper, lab, tmp_path).nothing_to_do
    unmerged(lab, tmp_path / "merge.json")
    assert lab.schemas() == []


def test_rows_go_piece_by_piece_in_the_order_of_any_key(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyglass_export.merging.rows._MOST_ROWS", 2)
    monkeypatch.setattr("spyglass_export.merging.rows._MOST_COMPOSED", 2)
    keys = {
        "int": "-3, -1, 0, 2, 9", "bigint unsigned": "0, 7, 18446744073709551615", "bit(5)": "0, 3, 16, 31",
        "float": "-0.1, 0, 0.1, 0.3, 3.40282e38", "double": "-0.1, 0, 0.1, 0.30000000000000004, 1e300",
        "decimal(10,3)": "-0.001, 0, 1.5, 9.999", "year": "1901, 1999, 2000, 2155",
        "date": "'0000-00-00', '1999-12-31', '2020-02-30'", "time(1)": "'-12:00:00.5', '00:00:00', '838:59:58'",
        "datetime(3)": "'1000-01-01', '2020-01-01 00:00:00.001', '2020-01-01 00:00:00.002'",
        "timestamp": "'1971-01-01', '2020-01-01', '2020-01-02'", "enum('z', 'y', 'b', 'a')": "'a', 'b', 'y', 'z'",
        "set('z', 'a')": "'', 'z', 'a', 'z,a'", "binary(2)": "'', 'a', x'00ff', x'ff00'",
        "varbinary(9)": "'', 'a', 'a ', x'ff'", "varchar(9)": "'', 'a', 'b', 'ab', 'é', 'ж', '😀', '\\\\', '\\''",
        "varchar(9) CHARACTER SET latin1": "'', 'a', 'b', 'Ä', 'z'",
        "varchar(9) COLLATE utf8mb4_bin": "'', 'a', 'A', 'b', 'ab', 'Ab'",
        "varchar(9) COLLATE latin1_general_ci": "'José'", "varchar(9) COLLATE utf8mb3_unicode_ci": "'', 'Ж', 'é'",
    }  # fmt: skip
    paper.empty()
    run(paper, "CREATE DATABASE s")
    for number, (type_, listed) in enumerate(keys.items()):
        rows_sql = ", ".join(f"({key})" for key in listed.split(", "))
        composed = ", ".join(f"({first}, {key})" for first in (1, 2) for key in listed.split(", "))
        run(paper, f"CREATE TABLE s.t{number} (k {type_} PRIMARY KEY)", f"INSERT INTO s.t{number} VALUES {rows_sql}")
        run(paper, f"CREATE TABLE s.c{number} (n int, k {type_}, PRIMARY KEY (k, n))")
        run(paper, f"INSERT INTO s.c{number} VALUES {composed}")
    mixed = "a varchar(9) CHARACTER SET latin1, b varchar(9) CHARACTER SET utf8mb4, c varchar(9) CHARACTER SET utf8mb3"
    run(paper, f"CREATE TABLE s.mixed ({mixed}, PRIMARY KEY (a, b, c))")
    run(paper, "INSERT INTO s.mixed VALUES ('é', 'Ω', 'ж'), ('é', 'Ω', 'ö'), ('a', '😀', 'Ж'), ('b', 'c', 'd')")

    merged(paper, lab, tmp_path)

    assert lab.rows() == paper.rows()
    assert merged(paper, lab, tmp_path).nothing_to_do
    unmerged(lab, tmp_path / "merge.json")
    assert lab.schemas() == []


def test_numbers_follow_into_tables_of_an_older_spyglass(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(paper, *BRAIN)
    run(
        lab,
        "CREATE DATABASE s DEFAULT CHARSET latin1",
        "CREATE TABLE s.`#region` (name varchar(255) NOT NULL, sub varchar(255),"
        " id int NOT NULL AUTO_INCREMENT PRIMARY KEY)",
        "CREATE TABLE s.grp (g varchar(255), nwb varchar(255), id int NOT NULL, PRIMARY KEY (nwb, g),"
        " FOREIGN KEY (id) REFERENCES s.`#region` (id))",
        "INSERT INTO s.`#region` VALUES ('mPFC', 'y', 1), ('Ä', NULL, 2), ('CA1', NULL, 7), ('CA1', NULL, 1000)",
        "INSERT INTO s.grp VALUES ('0', 'zz', 2)",
    )

    plan = merged(paper, lab, tmp_path)

    assert table_of(plan, "s.#region").renumbered == {1: 7, 2: 1001, 3: 1}
    assert ask(lab, "SELECT id, name FROM s.`#region` ORDER BY id") == [
        (1, "mPFC"), (2, "Ä"), (7, "CA1"), (1000, "CA1"), (1001, "CA3"),
    ]  # fmt: skip
    assert ask(lab, "SELECT nwb, g, id FROM s.grp ORDER BY nwb, g") == [
        ("n1", "0", 7), ("n1", "1", 1), ("n2", "0", 1001), ("zz", "0", 2),
    ]  # fmt: skip
    assert sorted(ask(lab, "SELECT e, id FROM t.electrode")) == [(0, 7), (1, 1), (2, 1001)]
    assert merged(paper, lab, tmp_path).nothing_to_do
    unmerged(lab, tmp_path / "merge.json")
    assert ask(lab, "SELECT nwb FROM s.grp") == [("zz",)]
    assert lab.schemas() == ["s"]


def test_a_conflict_is_shown_and_refused_or_left_with_its_children(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(paper, *BRAIN)
    run(lab, *BRAIN, "DELETE FROM t.electrode", "UPDATE s.grp SET id = 2 WHERE nwb = 'n1' AND g = '1'")
    before = lab.rows()

    with pytest.raises(UserError, match="2 rows of the paper cannot go"):
        merged(paper, lab, tmp_path)
    assert lab.rows() == before
    plan = merged(paper, lab, tmp_path, skip_conflicts=True)

    group = table_of(plan, "s.grp")
    assert counts(group) == (0, 2, 1, 0)
    assert counts(table_of(plan, "t.electrode")) == (2, 0, 0, 1)
    [conflict] = group.conflicts
    assert (conflict.key, conflict.column, conflict.ours, conflict.theirs) == (
        {"nwb": "'n1'", "g": "'1'"}, "id", "3", "2",
    )  # fmt: skip
    assert lab.rows()["s.grp"] == before["s.grp"]
    assert sorted(ask(lab, "SELECT e FROM t.electrode")) == [(0,), (2,)]


@pytest.mark.parametrize(
    ("theirs", "row", "why"),
    [
        ("k varchar(9) PRIMARY KEY, v varchar(9)", "('A', 'x')", "differs from yours"),
        ("k varchar(9) PRIMARY KEY, v varchar(9), UNIQUE KEY (v)", "('z', 'X')", "another row of yours"),
        ("k varchar(9) PRIMARY KEY, v varchar(3)", None, "does not fit into your varchar(3)"),
        (
            "k varchar(9) PRIMARY KEY, v varchar(9) CHARACTER SET latin1",
            None,
            "does not fit into your varchar(9) CHARACTER SET latin1",
        ),
        ("k varchar(9) PRIMARY KEY, v varchar(9) NOT NULL", None, "is empty"),
        ("k varchar(9) PRIMARY KEY, v int", None, "v is varchar(9) in the paper, and int"),
        ("k varchar(9) PRIMARY KEY", None, "your table has no column v"),
        ("k varchar(9) PRIMARY KEY, v varchar(9), w int NOT NULL", None, "wants a value for w"),
        ("k varchar(9), v varchar(9)", None, "its primary key is (k), in your database ()"),
        ("k varchar(9), v varchar(9), PRIMARY KEY (k)) ENGINE=MyISAM COMMENT=('", None, "is kept by myisam"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_written(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path, theirs: str, row: str | None, why: str
) -> None:
    paper.empty()
    run(
        paper,
        "CREATE DATABASE s",
        "CREATE TABLE s.t (k varchar(9) PRIMARY KEY, v varchar(9))",
        "INSERT INTO s.t VALUES ('a', 'x'), ('b', 'long ă'), ('c', NULL)",
    )
    theirs = theirs.removesuffix(" COMMENT=('")
    run(lab, "CREATE DATABASE s", f"CREATE TABLE s.t ({theirs}" + ("" if theirs.endswith("MyISAM") else ")"))
    if row:
        run(lab, f"INSERT INTO s.t VALUES {row}")
    before = lab.rows()

    with pytest.raises(UserError, match="cannot go"):
        merged(paper, lab, tmp_path)

    assert lab.rows() == before
    table = table_of(merged(paper, lab, tmp_path, plan_only=True), "s.t")
    assert why in table.whole or why in table.conflicts[0].why
    plan = merged(paper, lab, tmp_path, skip_conflicts=True)
    assert table_of(plan, "s.t").new == (0 if table.whole else 2)
    assert not row or lab.rows()["s.t"][0] == 3


def test_of_many_conflicts_only_those_that_are_told_are_looked_into(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    for server, changed in ((paper, 0), (lab, 500)):
        keys = ", ".join(f"({number + changed}, {number})" for number in range(250))
        others = ", ".join(f"({number}, {number + changed})" for number in range(250))
        run(server, "CREATE DATABASE s", "CREATE TABLE s.t (k int PRIMARY KEY, v int UNIQUE)")
        run(server, "CREATE TABLE s.u LIKE s.t", f"INSERT INTO s.t VALUES {others}", f"INSERT INTO s.u VALUES {keys}")

    with session(paper) as source, session(lab) as target:
        plan = merge.merge(source, target, tmp_path, merge.Options(plan_only=True))
        [(_, asked)] = target.rows("SHOW SESSION STATUS LIKE 'Questions'")

    assert [counts(table) for table in plan.tables] == [(0, 0, 250, 0)] * 2
    assert [len(table.conflicts) for table in plan.tables] == [MOST_LISTED] * 2
    assert int(asked) < 2 * MOST_LISTED


def test_a_number_that_the_column_cannot_hold_is_a_conflict(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(paper, *BRAIN)
    run(lab, *BRAIN[:4], "INSERT INTO s.`#region` VALUES (2, 'OFC', NULL), (32767, 'V1', NULL)")

    region = table_of(merged(paper, lab, tmp_path, plan_only=True), "s.#region")
    merged(paper, lab, tmp_path, skip_conflicts=True)

    assert counts(region) == (2, 0, 1, 0)
    assert region.conflicts[0].why == "does not fit into your smallint; make the column wider"
    assert sorted(ask(lab, "SELECT e, id FROM t.electrode")) == [(0, 1), (1, 3)]


def test_an_empty_table_is_not_held_against_theirs(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paper.empty()
    run(paper, *BRAIN, "CREATE TABLE s.bare (k int PRIMARY KEY, v int)", "CREATE TABLE s.more LIKE s.bare")
    run(lab, "CREATE DATABASE s", "CREATE TABLE s.bare (k int) ENGINE=MyISAM")
    run(lab, "CREATE TABLE s.more (k int PRIMARY KEY, v int, w int)")

    plan = merged(paper, lab, tmp_path)

    assert [counts(table_of(plan, name)) for name in ("s.bare", "s.more")] == [(0, 0, 0, 0)] * 2
    said = capsys.readouterr().out
    assert "cannot go" not in said
    assert "get their default" not in said


def test_files_that_the_lab_has_already_are_parents_like_others(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    child = (
        "CREATE TABLE s.child (k int PRIMARY KEY, h binary(16) NOT NULL,"
        " FOREIGN KEY (h) REFERENCES s.`~external_raw` (hash))"
    )
    paper.empty()
    run(paper, "CREATE DATABASE s", "SET foreign_key_checks = 0", child, "INSERT INTO s.child VALUES (1, x'01')")
    run(lab, "CREATE DATABASE s", "CREATE TABLE s.`~external_raw` (hash binary(16) PRIMARY KEY)", child)
    run(lab, "INSERT INTO s.`~external_raw` VALUES (x'01')")

    whole = table_of(merged(paper, lab, tmp_path, plan_only=True), "s.child")
    run(lab, "DELETE FROM s.`~external_raw`")
    left_out = table_of(merged(paper, lab, tmp_path, plan_only=True), "s.child")

    assert (whole.new, whole.unchecked, whole.notes) == (1, [], [])
    assert (left_out.new, len(left_out.unchecked), len(left_out.notes)) == (1, 1, 1)


def test_a_trigger_of_theirs_is_not_set_off(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(paper, *BRAIN)
    run(lab, *BRAIN[:4], "CREATE TRIGGER s.tr BEFORE INSERT ON s.grp FOR EACH ROW SET NEW.g = 'x'")

    with pytest.raises(UserError, match=r"s.grp has the trigger tr"):
        merged(paper, lab, tmp_path)

    assert {rows for rows, _ in lab.rows().values()} == {0}


def test_a_parent_that_is_nowhere_is_named(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(paper, *BRAIN, "SET foreign_key_checks = 0", "DELETE FROM s.grp WHERE nwb = 'n2'")

    with pytest.raises(UserError, match="1 rows of the paper cannot go"):
        merged(paper, lab, tmp_path)
    merged(paper, lab, tmp_path, skip_conflicts=True)

    assert sorted(ask(lab, "SELECT e FROM t.electrode")) == [(0,), (1,)]


def test_two_papers_give_the_same_in_either_order(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    second = [
        *BRAIN[:5],
        "INSERT INTO s.`#region` VALUES (3, 'mPFC', 'y'), (4, 'OFC', NULL)",
        "INSERT INTO s.grp VALUES ('n1', '1', 3), ('n3', '0', 4)",
        "INSERT INTO t.electrode VALUES ('n1', '1', 1, 3, 3.40282e38), ('n3', '0', 1, 4, 2)",
    ]
    results = []
    for papers in ((BRAIN, second), (second, BRAIN)):
        lab.empty()
        for one in papers:
            paper.empty()
            run(paper, *one)
            merged(paper, lab, tmp_path)
        results.append(lab.rows())

    assert results[0] == results[1]


KILLED = """
import os, signal, sys
import pymysql
from pathlib import Path
from spyglass_export.merging import insert, merge, record
from spyglass_export.merging.server import Server

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def after(owner, name):
    original = getattr(owner, name)
    setattr(owner, name, lambda *arguments: (original(*arguments), die()))

stage, source, target, folder = sys.argv[1:]
match stage:
    case "record begun": after(record.Record, "__init__")
    case "tables made": after(insert, "_make_tables")
    case "table inserted": after(insert, "_insert_table")
    case "record written": after(record.Record, "close")
    case "committed": record.finish = die
    case "interrupted":
        def interrupt(*arguments): raise KeyboardInterrupt
        record.Record.add = interrupt
def connect(port):
    return pymysql.connect(host="127.0.0.1", port=int(port), user="root", charset="utf8mb4", autocommit=True)

merge.merge(Server(connect(source), "paper"), Server(connect(target), "lab"), Path(folder), merge.Options(yes=True))
"""


def merged_until(
    stage: str, paper: dump_servers.Server, lab: dump_servers.Server, folder: Path
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", KILLED, stage, str(paper.port), str(lab.port), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    return subprocess.run(command, capture_output=True, env=environment, check=False)


@pytest.mark.parametrize(
    "stage", ["record begun", "tables made", "table inserted", "record written", "committed", "interrupted"]
)
def test_a_kill_at_any_stage_leaves_all_or_nothing(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path, stage: str
) -> None:
    paper.empty()
    run(paper, *BRAIN)
    run(lab, "CREATE DATABASE s", REGION, "INSERT INTO s.`#region` VALUES (9, 'CA1', NULL)")
    before = lab.rows()
    done = merged_until(stage, paper, lab, tmp_path)
    assert done.returncode == -(signal.SIGINT if stage == "interrupted" else signal.SIGKILL), done.stderr
    if stage == "interrupted":
        assert lab.rows() == before
        assert list(tmp_path.iterdir()) == []

    plan = merged(paper, lab, tmp_path)

    assert plan.nothing_to_do == (stage == "committed")
    assert [path.name for path in tmp_path.iterdir()] == ["merge.json"]
    assert sorted(ask(lab, "SELECT e, id FROM t.electrode")) == [(0, 9), (1, 3), (2, 2)]
    unmerged(lab, tmp_path / "merge.json")
    assert lab.rows() == before


def test_a_merge_that_was_killed_after_its_end_is_found_by_letters_of_its_key(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(
        paper,
        "CREATE DATABASE s",
        "CREATE TABLE s.session (subject varchar(9) CHARACTER SET latin1, n int, PRIMARY KEY (subject, n))",
        "INSERT INTO s.session VALUES ('ñandú', 1)",
    )
    assert merged_until("committed", paper, lab, tmp_path).returncode == -signal.SIGKILL

    assert merged(paper, lab, tmp_path).nothing_to_do
    assert [path.name for path in tmp_path.iterdir()] == ["merge.json"]
    assert lab.rows() == paper.rows()


def test_rights_of_dj_user_are_enough_and_what_lacks_is_named(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(paper, *BRAIN)
    run(lab, "CREATE DATABASE s", REGION, "DROP USER IF EXISTS ada", *DJ_USER)

    with pytest.raises(UserError, match=r"INSERT on s.#region; CREATE, DROP, INSERT, REFERENCES on s.\*") as refused:
        merged(paper, lab, tmp_path, user="ada")
    assert "on t.*" in refused.value.what
    run(lab, "GRANT ALL PRIVILEGES ON `s%`.* TO ada", "GRANT ALL PRIVILEGES ON `t\\_%`.* TO ada")
    with pytest.raises(UserError, match=r"needs: CREATE, DROP, INSERT, REFERENCES on t.\*"):
        merged(paper, lab, tmp_path, user="ada")
    run(lab, "GRANT ALL PRIVILEGES ON `_`.* TO ada")
    merged(paper, lab, tmp_path, user="ada")

    assert lab.rows() == paper.rows()


def test_a_row_that_is_longer_than_a_statement(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path
) -> None:
    paper.empty()
    run(
        paper,
        "CREATE DATABASE s",
        "CREATE TABLE s.t (k int PRIMARY KEY, b longblob, t longtext)",
        "INSERT INTO s.t VALUES (1, REPEAT('\\'x', 3000000), REPEAT('é', 2000000)), (2, 'x', NULL)",
        "CREATE TABLE s.u (k int PRIMARY KEY, b longblob)",
        "INSERT INTO s.u VALUES (1, REPEAT('x', 70000000)), (2, 'x')",
    )

    with pytest.raises(UserError, match="1 rows of the paper cannot go"):
        merged(paper, lab, tmp_path)
    plan = merged(paper, lab, tmp_path, skip_conflicts=True)

    assert "max_allowed_packet" in table_of(plan, "s.u").conflicts[0].why
    assert lab.rows()["s.t"] == paper.rows()["s.t"]
    assert lab.rows()["s.u"][0] == 1


def test_files_that_the_rows_expect(paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path) -> None:
    external = (
        "CREATE TABLE s.`~external_raw` (hash binary(16) PRIMARY KEY, size bigint unsigned,"
        " attachment_name varchar(255), filepath varchar(1000), contents_hash binary(16),"
        " timestamp timestamp DEFAULT CURRENT_TIMESTAMP)"
    )
    paper.empty()
    run(
        paper, "CREATE DATABASE s", external,
        "INSERT INTO s.`~external_raw` VALUES (x'01', 5, NULL, 'a.nwb', NULL, '2020-01-01'),"
        " (x'02', 6, NULL, 'sub/b.nwb', NULL, '2020-01-01')",
    )  # fmt: skip
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.nwb").touch()

    plan = merged(paper, lab, tmp_path, data_dir=tmp_path)

    assert [file["path"] for file in plan.files["expected"]] == ["a.nwb", "sub/b.nwb"]
    assert [file["path"] for file in plan.files["missing"]] == ["sub/b.nwb"]
    assert lab.rows() == paper.rows()


def test_unmerge_leaves_what_others_use_or_changed(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paper.empty()
    run(paper, *BRAIN, "CREATE TABLE s.empty (k int PRIMARY KEY)")
    merged(paper, lab, tmp_path)
    run(lab, "CREATE TABLE s.mine (k int, FOREIGN KEY (k) REFERENCES s.empty (k))")
    run(lab, "INSERT INTO s.grp VALUES ('mine', '0', 3)", "UPDATE t.electrode SET x = 7 WHERE e = 2")

    unmerged(lab, tmp_path / "merge.json")

    said = capsys.readouterr().out
    assert "s.#region: 2 rows stay: used by s.grp" in said
    assert "t.electrode: 1 rows stay: changed since" in said
    assert "s.empty stays: it is not empty, or yours refer to it" in said
    assert sorted(ask(lab, "SELECT nwb, g FROM s.grp")) == [("mine", "0"), ("n2", "0")]
    assert sorted(ask(lab, "SELECT name FROM s.`#region`")) == [("CA3",), ("mPFC",)]


TEXT = st.text(st.sampled_from("aAäÄ ß\\'ж\0"), max_size=3)
ROWS = st.dictionaries(
    st.tuples(st.integers(-2, 2), TEXT.map(lambda text: text.rstrip())),
    st.tuples(st.none() | TEXT, st.none() | st.integers(0, 3), st.binary(max_size=3)),
    max_size=8,
)
DECLARED = (
    "CREATE TABLE s.t (n int, k varchar(9) COLLATE {0}, v varchar(9) COLLATE {0}, u int, b blob,"
    " PRIMARY KEY (n, k), UNIQUE KEY (u))"
)


def insert(server: dump_servers.Server, rows: dict[Any, Any]) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        for key, values in rows.items():
            cursor.execute("INSERT IGNORE INTO s.t VALUES (%s, %s, %s, %s, %s)", (*key, *values))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(ours=ROWS, theirs=ROWS, shared=ROWS, collations=st.sampled_from(["utf8mb4_bin", "utf8mb4_unicode_ci"]))
def test_random_rows_beside_random_rows(
    paper: dump_servers.Server, lab: dump_servers.Server, tmp_path: Path,
    ours: dict[Any, Any], theirs: dict[Any, Any], shared: dict[Any, Any], collations: str,
) -> None:  # fmt: skip
    for server, collation, rows in ((paper, "utf8mb4_bin", ours), (lab, collations, theirs)):
        server.empty()
        run(server, "CREATE DATABASE s", DECLARED.format(collation))
        insert(server, shared)
        insert(server, rows)
    before, wanted = set(ask(lab, "SELECT * FROM s.t")), set(ask(paper, "SELECT * FROM s.t"))
    for old in tmp_path.iterdir():
        old.unlink()

    plan = merged(paper, lab, tmp_path, skip_conflicts=True)

    table, after = plan.tables[0], set(ask(lab, "SELECT * FROM s.t"))
    assert before <= after <= before | wanted
    assert len(after) == len(before) + table.new
    assert table.same == len(before & wanted)
    assert table.new + table.same + table.conflict == len(wanted)
    # What did not go would not have gone, or another row of the paper has the same key in the lab's collation.
    left = wanted - after
    for row in left:
        twins = [one for one in left - {row} if accepts(lab, one) and not accepts(lab, row, one)]
        assert twins or not accepts(lab, row)
    if table.new:
        unmerged(lab, tmp_path / "merge.json")
    assert set(ask(lab, "SELECT * FROM s.t")) == before


def accepts(lab: dump_servers.Server, *rows: Sequence[object]) -> bool:
    """Whether rows could be inserted together beside the others."""
    with lab.connect() as connection, connection.cursor() as cursor:
        try:
            connection.begin()
            cursor.executemany("INSERT INTO s.t VALUES (%s, %s, %s, %s, %s)", rows)
        except pymysql.IntegrityError:
            return False
        finally:
            connection.rollback()
    return True
