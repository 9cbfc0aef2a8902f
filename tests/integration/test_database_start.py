"""A container of the database image: what it serves, what it refuses, and what it lets nobody see."""

import time

import pymysql
import pytest

from tests.integration.database_container import PASSWORD, Database, MakeDatabase, ask, loaded_tables, run

pytestmark = pytest.mark.integration


def wait_for_health(database: Database, wanted: str, seconds: float = 30) -> str:
    deadline = time.monotonic() + seconds
    while (health := database.state("Health.Status")) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return health


def test_serves_what_was_loaded_and_stops_cleanly(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    db.start()
    assert wait_for_health(db, "healthy") == "healthy"
    assert db.tables() == loaded_tables(example_image)
    assert db.execute("cat", "/proc/1/comm") == "mysqld"
    started = time.monotonic()
    db.stop()
    assert time.monotonic() - started < 10
    assert db.state("ExitCode") == "0"


def test_is_not_healthy_without_the_export(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    db.start()
    db.query("SET GLOBAL foreign_key_checks = OFF")
    for schema in {name.split(".")[0] for name in db.tables()}:
        db.query(f"DROP DATABASE {schema}")
    check = run("exec", db.name, "healthcheck_db.sh")
    assert check.returncode == 1
    assert "gone" in check.stdout


def test_what_a_reader_wrote_outlives_the_container(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    db.start()
    db.query("CREATE TABLE common_lab.mine (id int PRIMARY KEY) SELECT 7 AS id")
    db.stop()
    db.create()
    db.start()
    assert db.query("SELECT id FROM common_lab.mine") == [(7,)]


def test_accounts_are_what_the_environment_says_at_every_start(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image, environment={"MYSQL_USER": "fran'k"})
    db.start()
    assert db.query("SELECT CURRENT_USER()", user="fran'k") == [("fran'k@%",)]
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        db.connect(password="wrong")
    # Spyglass declares on import what the export left out.
    db.query("CREATE DATABASE new_schema", user="fran'k")

    db.password = "another ünicode".encode().decode("latin-1")  # PyMySQL sends Latin-1
    db.environment = {"MYSQL_ROOT_HOST": "172.%", "MYSQL_ROOT_PASSWORD": "another ünicode"}
    db.create()
    db.start()
    assert db.query("SELECT CURRENT_USER()") == [("root@172.%",)]
    for user in ("root", "fran'k"):
        with pytest.raises(pymysql.OperationalError, match="Access denied"):
            db.connect(user=user, password=PASSWORD)
    assert wait_for_health(db, "healthy") == "healthy"


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"MYSQL_ROOT_PASSWORD": ""}, "error: MYSQL_ROOT_PASSWORD is empty"),
        ({"MYSQL_ROOT_PASSWORD": "two\nlines"}, "has a line break"),
    ],
)
def test_unusable_password_is_refused(
    environment: dict[str, str], complaint: str, example_image: str, database: MakeDatabase
) -> None:
    status, log = database(example_image, environment=environment).run_to_the_end()
    assert (status, complaint in log) == (1, True), log
    assert "two" not in log


def test_password_is_nowhere_to_be_read(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image, password="Swordfish-93")
    db.start()
    db.connect().close()
    db.execute("healthcheck_db.sh")
    processes = db.execute("bash", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "mysqld" in processes
    files = db.execute(
        "bash", "-c", "grep -r -l -a Swordfish-93 /var/lib/mysql /tmp /run /var/log /etc /opt 2>/dev/null || true"
    )
    for told in (processes, files, db.logs(), run("top", db.name).stdout):
        assert "Swordfish-93" not in told
    assert files == ""


def test_image_holds_no_secret_and_no_sql(example_image: str) -> None:
    """Every reader of a published image would share a key that is in it."""
    told = ask("history", "--no-trunc", example_image) + ask("image", "inspect", example_image)
    assert "PASSWORD" not in told
    found = ask(
        "run", "--rm", "--user=root", example_image,
        "find", "/opt", "/var/lib", "/tmp", "/var/tmp", "/root",
        "(", "-name", "*.pem", "-o", "-name", "auto.cnf", "-o", "-name", "*.sql", ")",
    )  # fmt: skip
    # What asks after health, and what makes the statements that digest tables.
    assert sorted(found.split()) == ["/opt/seed/digests.sql", "/opt/seed/health.sql"]


def test_two_servers_do_not_share_their_keys(example_image: str, database: MakeDatabase) -> None:
    identities = set()
    for db in (database(example_image), database(example_image)):
        db.start()
        identities.add(db.query("SELECT @@server_uuid")[0][0])
        identities.add(db.execute("cat", "/var/lib/mysql/data/server-key.pem"))
    assert len(identities) == 4


def test_second_container_on_a_volume_is_refused(example_image: str, database: MakeDatabase) -> None:
    first = database(example_image)
    first.start()
    first.connect().close()
    status, log = database(example_image, volume=first.volume).run_to_the_end()
    assert status == 1
    assert "error: another container is running on this database volume" in log
    assert first.tables() == loaded_tables(example_image)


def test_two_containers_that_start_at_once_do_no_harm(example_image: str, database: MakeDatabase) -> None:
    first = database(example_image)
    second = database(example_image, volume=first.volume)
    first.create()
    second.create()
    ask("start", first.name, second.name)
    time.sleep(3)
    for db in (first, second):
        db.kill()
    first.start()
    assert first.tables() == loaded_tables(example_image)


def test_volume_of_another_export_is_refused(example_image: str, odd_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    db.start()
    db.query("CREATE DATABASE mine")
    db.stop()
    status, log = database(odd_image, volume=db.volume).run_to_the_end()
    assert status == 1
    assert "error: the volume holds the database of another export" in log
    db.start()
    assert db.query("SHOW DATABASES LIKE 'mine'") == [("mine",)]


def test_volume_of_something_else_is_refused(example_image: str, database: MakeDatabase) -> None:
    db = database(example_image)
    ask(
        "run",
        "--rm",
        f"--volume={db.volume}:/var/lib/mysql",
        example_image,
        "cp",
        "/etc/passwd",
        "/var/lib/mysql/ibdata1",
    )
    status, log = db.run_to_the_end()
    assert status == 1
    assert "error: the volume at /var/lib/mysql holds other files (ibdata1)" in log
    listed = ask("run", "--rm", f"--volume={db.volume}:/var/lib/mysql", example_image, "ls", "/var/lib/mysql")
    assert listed == "ibdata1"


def test_settings_serve_datajoint_fit_the_container_and_risk_nothing(
    example_image: str, database: MakeDatabase
) -> None:
    db = database(example_image, options=("--memory=600m",))
    db.start()
    variables = dict(db.query("SHOW GLOBAL VARIABLES"))
    assert 128 << 20 <= int(variables["innodb_buffer_pool_size"]) <= 150 << 20
    assert variables["character_set_server"] == "utf8mb4"
    assert "STRICT_ALL_TABLES" in variables["sql_mode"]
    assert int(variables["max_allowed_packet"]) == 1 << 30
    assert int(variables["wait_timeout"]) >= 86400
    safe = {"innodb_flush_log_at_trx_commit": "1", "innodb_doublewrite": "ON", "innodb_checksum_algorithm": "crc32"}
    assert {name: variables[name] for name in safe} == safe
    (state,) = db.query("SHOW STATUS LIKE 'Innodb_redo_log_enabled'")
    assert state[1] == "ON"
