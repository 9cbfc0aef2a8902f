"""Dumps by the real programs, cleaned and loaded into an empty MySQL: every row is there, as it was."""

import json
import re
import runpy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spyglass_export.containers.docker import Docker
from spyglass_export.dump.clean import clean_to_file, clean_to_folder
from spyglass_export.export.copy_files import copy_files
from tests.integration import dump_servers
from tests.integration.dump_servers import Server, quoted
from tests.integration.mariadb_image import RELEASES, mariadb_image

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def mysql(docker_engine: Docker, db_base_image: str) -> Iterator[Server]:
    server = dump_servers.start(db_base_image, "sgx-dump-mysql", dump_servers.MYSQL, "mysql", "mysqldump")
    yield server
    dump_servers.stop(server)


@pytest.fixture(scope="module", params=RELEASES)
def mariadb(request: pytest.FixtureRequest, docker_engine: Docker, db_base_image: str) -> Iterator[Server]:
    """MariaDB of a release: its public image, or the one that Debian has, on a stand-in."""
    image = mariadb_image(docker_engine, request.param)
    server = dump_servers.start(image, "sgx-dump-mariadb", dump_servers.MARIADB, "mariadb", "mariadb-dump")
    yield server
    dump_servers.stop(server)


def round_trip(dump: bytes, server: Server, folder: Path) -> dump_servers.Rows:
    """Clean a dump both ways; what an empty server holds after loading, which must be the same twice."""
    source = folder / "dump.sql"
    source.write_bytes(dump)
    target = folder / f"sql{len(list(folder.iterdir()))}"
    clean_to_folder([source], target)
    server.empty()
    dump_servers.load_folder(server, target)
    rows = server.rows()
    once, twice = folder / "once.sql", folder / "twice.sql"
    clean_to_file(source, once)
    clean_to_file(once, twice)
    first, second = (re.sub(rb"\n+", b"\n", path.read_bytes()) for path in (once, twice))
    assert first == second, "the two differ in more than blank lines"
    server.empty()
    server.load(once.read_bytes())
    assert server.rows() == rows
    return rows


def test_one_database_that_only_the_header_names(mysql: Server, tmp_path: Path) -> None:
    mysql.empty()
    mysql.load((HERE / "odd_mysql.sql").read_bytes())
    before = {table: rows for table, rows in mysql.rows().items() if table.startswith("plain.")}
    dump = mysql.dump("--hex-blob", "--routines", "--events", "plain")

    assert b"USE `plain`" not in dump
    assert round_trip(dump, mysql, tmp_path) == before
    with mysql.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from plain.v2")
        assert cursor.fetchone() == (7,)


@pytest.mark.parametrize(
    "options",
    [
        ["--hex-blob"],
        [],
        ["--skip-extended-insert", "--complete-insert"],
        ["--no-autocommit", "--skip-tz-utc", "--skip-add-locks"],
        ["--column-statistics", "--insert-ignore", "--add-drop-database", "--add-drop-trigger"],
        ["--flush-privileges", "--all-tablespaces"],
    ],
)
def test_an_odd_database_by_mysqldump(mysql: Server, tmp_path: Path, options: list[str]) -> None:
    mysql.empty()
    mysql.load((HERE / "odd_mysql.sql").read_bytes())
    before = mysql.rows()
    databases = ["mysql"] if "--flush-privileges" in options else []
    dump = mysql.dump(*options, "--routines", "--events", "--databases", "plain", "odd-db", *databases)

    assert round_trip(dump, mysql, tmp_path) == before
    with mysql.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from plain.v2")
        assert cursor.fetchone() == (7,)
        cursor.execute("insert into plain.audit values (4)")
        cursor.execute("select max(n), plain.fu(1) from plain.audit")
        assert cursor.fetchone() == (5, 2)


def test_all_databases_by_mysqldump(mysql: Server, tmp_path: Path) -> None:
    mysql.empty()
    mysql.load((HERE / "odd_mysql.sql").read_bytes())
    before = mysql.rows()

    assert round_trip(mysql.dump("--routines", "--events", "--all-databases"), mysql, tmp_path) == before


def test_names_in_another_character_set(mysql: Server, tmp_path: Path) -> None:
    """mysqldump writes them in latin1 before the rows, and in utf8 in the definitions between."""
    columns = "größe varchar(255) character set latin1 collate latin1_bin primary key"
    child = "create table `kind größe` (größe varchar(255) character set latin1 collate latin1_bin, {})"
    mysql.empty()
    mysql.load(
        f"set names utf8mb4; create database `für`; use `für`; create table größe ({columns});"
        f"{child.format('foreign key (größe) references größe (größe)')};"
        "insert into größe values ('Bär'),('bär'); insert into `kind größe` values ('Bär'),('bär');".encode()
    )
    before = mysql.rows()
    dump = mysql.dump("--default-character-set=latin1", "--all-databases")

    assert "INSERT INTO `größe`".encode("latin-1") in dump
    assert round_trip(dump, mysql, tmp_path) == before


FRAMED = """-- MySQL dump 10.13  Distrib 8.0.37, for Linux (x86_64)
CREATE DATABASE `lab`;
USE `lab`;
SET @old_engine = @@default_storage_engine;
SET @@default_storage_engine = 'MyISAM';
CREATE TABLE `t` (
  `id` int NOT NULL,
  {}
) DEFAULT CHARSET=latin1{};
INSERT INTO `t` VALUES (1,{});
SET @@default_storage_engine = @old_engine;
-- Dump completed on 2024-07-22 14:08:42
"""


@pytest.mark.parametrize(
    ("column", "options", "value"),
    [
        ("`c` float(10,2) DEFAULT NULL", "", "100000000.00"),
        ("`c` double(20,2) DEFAULT NULL", "", "1000000000000000000.00"),
        ("`c` date DEFAULT current_timestamp()", "", "'2024-01-02'"),
        ("`c` time(3) DEFAULT current_timestamp(3)", "", "'03:04:05.000'"),
        ("`c` varchar(40) DEFAULT current_timestamp()", "", "'x'"),
        ("`c` datetime(6) NOT NULL DEFAULT current_timestamp()", "", "'2024-01-02 03:04:05.000000'"),
        ("`c` datetime(6) DEFAULT NULL ON UPDATE current_timestamp()", "", "'2024-01-02 03:04:05.000000'"),
        ("`c` timestamp NULL DEFAULT NULL", "", "'2038-01-19 03:14:07'"),
        (f"`c` int,\n  CONSTRAINT `{'x' * 70}_ibfk_1` FOREIGN KEY (`c`) REFERENCES `p` (`c`)", " ENGINE=InnoDB", "3"),
        ("`c` int", " ENGINE=MEMORY", "3"),
        ("`c` int NOT NULL", " ENGINE=CSV", "3"),
        ("`c` int", " ENGINE=FEDERATED CONNECTION='mysql://me@lab/d/t'", "3"),
        ("`c` int", " ENGINE=MRG_MyISAM INSERT_METHOD=LAST UNION=(`a`,`b`)", "3"),
        ("`c` int", " ENGINE=InnoDB DATA DIRECTORY='/tmp/x/'", "3"),
    ],
)
def test_what_cleans_loads(mysql: Server, tmp_path: Path, column: str, options: str, value: str) -> None:
    """What servers hold and MySQL does not take back as it is written; each was met in a public dump."""
    round_trip(FRAMED.format(column, options, value).encode(), mysql, tmp_path)
    with mysql.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"select c = {value}, engine from lab.t, information_schema.tables where table_schema = 'lab'")
        assert cursor.fetchone() == (1, "InnoDB")


@pytest.mark.parametrize("options", [["--hex-blob"], ["--skip-extended-insert", "--complete-insert"]])
def test_an_odd_database_by_mariadb_dump(mysql: Server, mariadb: Server, tmp_path: Path, options: list[str]) -> None:
    mariadb.empty()
    mariadb.load((HERE / "odd_mariadb.sql").read_bytes())
    dump = mariadb.dump(*options, "--routines", "--events", "--databases", "plain")

    assert round_trip(dump, mysql, tmp_path) == mariadb.rows()


@pytest.mark.parametrize("name", ["demo", "demo_chunked", "demo_legacy"])
def test_real_exports(mysql: Server, shared_exports: Path, tmp_path: Path, name: str) -> None:
    fingerprint = runpy.run_path(str(shared_exports / "fingerprint.py"))["fingerprint"]
    truth = json.loads((shared_exports / name / "truth.json").read_text(encoding="utf-8"))
    copy_files(shared_exports / name, tmp_path, paper_id=name)
    mysql.empty()
    dump_servers.load_folder(mysql, tmp_path / "sql")

    assert fingerprint("127.0.0.1", mysql.port, "root", "") == truth


NASTY = [
    "DEFAULT CHARSET=latin1",
    "-- Dump completed on 2026-01-01",
    "');DROP TABLE `t`;--",
    ";\n/*!40101 SET NAMES latin1 */;\n",
    "it's",
    'a "quoted" `name`',
    "back\\slash\\",
    "nul\0\x1a\r\n\t",
    "é",
    "e",
    "É",
    "ß",
    "ss",
    "ø",
    "ae",
    "æ",
    " x",
    "x ",
    "#",
    "/* c */",
    "",
]
LETTERS = st.sampled_from("abcÀàáäåÄöøœžŸ€'\"\\;`#-/*() ,\n\0%_0")
latin = st.one_of(st.sampled_from(NASTY), st.text(LETTERS, max_size=12))
wide = st.one_of(latin, st.text(st.sampled_from("日本語カか😀🎉ёеЁ"), max_size=8))
COLLATIONS = {
    "latin1_swedish_ci": latin,
    "latin1_bin": latin,
    "utf8mb3_general_ci": latin,
    "utf8mb4_general_ci": wide,
    "utf8mb4_bin": wide,
    "utf8mb4_unicode_ci": wide,
}
names = st.one_of(
    st.sampled_from(["select", "a`b", "it's", 'q"', "nwb_file_name", "x;y", "é"]),
    st.text("abcdef_#", min_size=1, max_size=9),
)


@dataclass(frozen=True)
class RandomColumn:
    name: str
    type: str
    values: st.SearchStrategy[Any]
    is_key: bool


@st.composite
def random_columns(draw: st.DrawFn) -> list[RandomColumn]:
    columns = []
    for name in draw(st.lists(names, min_size=1, max_size=6, unique_by=str.lower)):
        collation = draw(st.sampled_from(sorted(COLLATIONS)))
        text = COLLATIONS[collation]
        length = draw(st.sampled_from([40, 200, 255, 300]))
        kind, values, can_be_key = draw(
            st.sampled_from(
                [
                    (f"varchar({length}) collate {collation}", text, True),
                    (f"char(60) collate {collation}", text.map(str.strip), True),
                    (f"text collate {collation}", text, False),
                    (f"tinytext collate {collation}", st.one_of(text, st.just("é" * 200)), False),
                    ("int", st.integers(-(2**31), 2**31 - 1), True),
                    ("bigint unsigned", st.integers(0, 2**64 - 1), True),
                    ("binary(16)", st.binary(min_size=16, max_size=16), True),
                    ("varbinary(90)", st.binary(max_size=90), True),
                    ("longblob", st.binary(max_size=300), False),
                    (
                        "double",
                        st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0),
                        False,
                    ),  # no -0.0
                    ("decimal(20,6)", st.decimals(-(10**13), 10**13, places=6), True),
                    ("datetime(3)", st.datetimes(), False),
                    ("enum('a','b;','c''d')", st.sampled_from(["a", "b;", "c'd"]), True),
                ]
            )
        )
        columns.append(RandomColumn(name, kind, values, can_be_key and draw(st.booleans())))
    return columns


@st.composite
def random_table(draw: st.DrawFn) -> tuple[str, list[RandomColumn], list[tuple[Any, ...]]]:
    columns = draw(random_columns())
    keys = [column.name for column in columns if column.is_key][:2]
    lines = [f"{quoted(c.name)} {c.type} {'not null' if c.name in keys else 'null'}" for c in columns]
    if keys:
        lines.append(f"primary key ({','.join(map(quoted, keys))})")
    rows = draw(st.lists(st.tuples(*(column.values for column in columns)), max_size=12))
    charset = draw(st.sampled_from(["latin1", "utf8mb4"]))
    return f"({', '.join(lines)}) default charset={charset}", columns, rows


dump_options = st.lists(
    st.sampled_from(
        ["--hex-blob", "--skip-extended-insert", "--complete-insert", "--no-autocommit", "--skip-add-locks"]
    ),
    unique=True,
)
some = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def fill(server: Server, tables: list[tuple[str, list[RandomColumn], list[tuple[Any, ...]]]]) -> dump_servers.Rows:
    server.empty()
    with server.connect() as connection, connection.cursor() as cursor, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cursor.execute("create database random")
        cursor.execute("use random")
        cursor.execute("set sql_mode='ALLOW_INVALID_DATES'")
        for number, (definition, columns, rows) in enumerate(tables):
            cursor.execute(f"create table t{number} {definition}")
            dump_servers.insert(cursor, f"t{number}", [column.name for column in columns], rows)
    return server.rows()


@given(tables=st.lists(random_table(), min_size=1, max_size=3), options=dump_options)
@some
def test_random_tables_by_mysqldump(
    mysql: Server,
    tmp_path_factory: pytest.TempPathFactory,
    tables: list[tuple[str, list[RandomColumn], list[tuple[Any, ...]]]],
    options: list[str],
) -> None:
    before = fill(mysql, tables)
    dump = mysql.dump(*options, "--databases", "random")

    assert round_trip(dump, mysql, tmp_path_factory.mktemp("random")) == before


@given(tables=st.lists(random_table(), min_size=1, max_size=3), options=dump_options)
@some
def test_random_tables_by_mariadb_dump(
    mysql: Server,
    mariadb: Server,
    tmp_path_factory: pytest.TempPathFactory,
    tables: list[tuple[str, list[RandomColumn], list[tuple[Any, ...]]]],
    options: list[str],
) -> None:
    before = fill(mariadb, tables)
    dump = mariadb.dump(*options, "--databases", "random")

    assert round_trip(dump, mysql, tmp_path_factory.mktemp("random")) == before
