"""Database images and containers for tests, made and run as docker-compose.yml does."""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CR

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "export" / "example"

PASSWORD = 'it\'s "quoted" \\ and # long'
# What docker-compose.yml grants: nothing.
UNPRIVILEGED = ("--cap-drop=ALL", "--security-opt=no-new-privileges")

# Prints all rows but MySQL's own: a table a section, a row a line.
DUMP = (
    "mysqldump --user=root --hex-blob --order-by-primary --skip-extended-insert --no-create-info --skip-comments"
    " --no-tablespaces --set-gtid-purged=OFF"
    # DataJoint's log, which loading adds to each schema.
    ' $(mysql --user=root --batch --skip-column-names --execute="SELECT CONCAT('
    "'--ignore-table=', schema_name, '.~log') FROM information_schema.schemata\") --databases"
    ' $(mysql --user=root --batch --skip-column-names --execute="SELECT schema_name FROM information_schema.schemata'
    " WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY schema_name\")"
)


def run(*arguments: str, text: str | None = None, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run docker; its output holds both streams."""
    return subprocess.run(
        ["docker", *arguments],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


def ask(*arguments: str, text: str | None = None) -> str:
    """Run docker and give what it printed; a failure fails the test."""
    done = run(*arguments, text=text)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


def build_image(export_data: Path, context: Path, name: str, base: str) -> subprocess.CompletedProcess[str]:
    """Build the database image of ``export_data``; ``context`` is a new folder to do it in."""
    for folder in ("config", "docker"):
        shutil.copytree(ROOT / folder, context / folder)
    shutil.copytree(export_data, context / "export_data")
    return run(
        "build", f"--build-arg=DB_BASE_IMAGE={base}", "--progress=plain",
        f"--tag={name}", "--file", str(context / "docker/db.Dockerfile"), str(context),
        seconds=300,
    )  # fmt: skip


def loaded_tables(image: str) -> dict[str, int]:
    """Rows by table as they were counted when the image was built."""
    lines = ask("run", "--rm", image, "cat", "/opt/seed/tables.tsv").splitlines()
    return {name: int(rows) for name, rows, _ in (line.split("\t") for line in lines)}


@dataclass
class Database:
    """A container of a database image with its volume; `close` removes both."""

    image: str
    name: str
    volume: str
    password: str = PASSWORD
    environment: dict[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()

    def create(self) -> None:
        """Make the container anew; the volume stays."""
        run("rm", "--force", self.name)
        variables = {"MYSQL_ROOT_PASSWORD": self.password, **self.environment}
        ask(
            "create", f"--name={self.name}", *UNPRIVILEGED, f"--volume={self.volume}:/var/lib/mysql",
            "--publish=127.0.0.1::3306",
            *(f"--env={name}={value}" for name, value in variables.items()), *self.options, self.image,
        )  # fmt: skip

    def start(self) -> None:
        """Start the container, made anew where there is none."""
        if run("container", "inspect", self.name).returncode:
            self.create()
        ask("start", self.name)

    def kill(self) -> None:
        """Pull the plug."""
        run("kill", "--signal=KILL", self.name)
        run("wait", self.name)

    def stop(self) -> None:
        """Stop it as `docker compose stop` does."""
        ask("stop", "--time=60", self.name)

    def run_to_the_end(self) -> tuple[int, str]:
        """Start a container that is to refuse its work; exit status and log."""
        self.start()
        ask("wait", self.name)
        return int(self.state("ExitCode")), self.logs()

    def state(self, of: str) -> str:
        """A field of the container's state, such as ``ExitCode``."""
        return ask("inspect", f"--format={{{{.State.{of}}}}}", self.name)

    def logs(self) -> str:
        """Everything that the container said."""
        return ask("logs", self.name)

    def execute(self, *command: str, user: str = "mysql") -> str:
        """Run a command in the container."""
        return ask("exec", f"--user={user}", self.name, *command)

    def port(self) -> int:
        """The port on 127.0.0.1, another one after every start."""
        published = run("port", self.name, "3306")
        assert published.returncode == 0, f"the database does not run:\n{self.logs()}"
        return int(published.stdout.strip().rpartition(":")[2])

    def connect(
        self, user: str = "root", password: str | None = None, seconds: float = 30
    ) -> "pymysql.Connection[Any]":
        """Connect over TCP, waiting for the server to come up; a refused password is an error at once."""
        port = self.port()
        deadline = time.monotonic() + seconds
        while True:
            try:
                return pymysql.connect(
                    host="127.0.0.1", port=port, user=user, connect_timeout=5, autocommit=True,
                    password=self.password if password is None else password,
                )  # fmt: skip
            except pymysql.OperationalError as error:
                if error.args[0] != CR.CR_CONN_HOST_ERROR and "Lost connection" not in str(error):
                    raise
                running = self.state("Running") == "true"
                if not running or time.monotonic() > deadline:
                    raise AssertionError(f"the database does not come up:\n{self.logs()}") from error
                time.sleep(0.05)

    def query(self, sql: str, user: str = "root") -> list[tuple[Any, ...]]:
        """Ask the database and give all rows."""
        with self.connect(user) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def tables(self) -> dict[str, int]:
        """Rows by table, counted now, but for DataJoint's log, which loading adds to each schema."""
        names = self.query(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
            " AND table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"
            " AND table_name <> '~log'"
        )
        with self.connect() as connection, connection.cursor() as cursor:
            counted = {}
            for schema, table in names:
                cursor.execute(f"SELECT COUNT(*) FROM `{schema}`.`{table.replace('`', '``')}`")
                counted[f"{schema}.{table}"] = int(cursor.fetchall()[0][0])
        return counted

    def dump(self) -> str:
        """All rows as text, table by table and by key, so that equal databases give equal text."""
        return self.execute("bash", "-c", f'export MYSQL_PWD="$MYSQL_ROOT_PASSWORD"; {DUMP}')

    def close(self) -> None:
        """Remove container and volume."""
        run("rm", "--force", "--volumes", self.name)
        run("volume", "rm", "--force", self.volume)


BuildImage = Callable[[Path, str], str]
MakeDatabase = Callable[..., Database]
