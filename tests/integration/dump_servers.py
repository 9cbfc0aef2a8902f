"""Database servers for dumps: one that writes them, one that they are loaded into, and what their tables hold."""

import hashlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

SYSTEM_SCHEMAS = ("mysql", "sys", "performance_schema", "information_schema")
MYSQL = (
    "mysqld --initialize-insecure --user=mysql --datadir=/data/db >/dev/null 2>&1 && exec mysqld --user=mysql"
    " --datadir=/data/db --socket=/tmp/server.sock --skip-log-bin --mysqlx=OFF --innodb-flush-log-at-trx-commit=0"
)
MARIADB = (
    "install -d -o mysql /run/mysqld && chown mysql /data && mariadb-install-db --user=mysql"
    " --datadir=/data/db >/dev/null 2>&1"
    " && exec mariadbd --user=mysql --datadir=/data/db --socket=/tmp/server.sock --bind-address=0.0.0.0"
)
Rows = dict[str, tuple[int, str]]  # table -> number and digest of its rows


@dataclass(frozen=True)
class Server:
    """A server in a container, whose data are in memory; ``client`` and ``dumper`` are its programs."""

    name: str
    client: str
    dumper: str
    port: int

    def connect(self) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", password="", charset="utf8mb4", autocommit=True
        )

    def run(self, *arguments: str, text: bytes = b"") -> bytes:
        done = subprocess.run(
            ["docker", "exec", "--interactive", self.name, *arguments], input=text, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout

    def load(self, text: bytes) -> None:
        """As `mysql < FILE` does."""
        self.run(self.client, "--socket=/tmp/server.sock", "--user=root", text=text)

    def dump(self, *options: str) -> bytes:
        return self.run(self.dumper, "--socket=/tmp/server.sock", "--user=root", *options)

    def schemas(self) -> list[str]:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("select schema_name from information_schema.schemata")
            return [name for (name,) in cursor.fetchall() if name not in SYSTEM_SCHEMAS]

    def empty(self) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("set foreign_key_checks=0")
            for schema in self.schemas():
                cursor.execute(f"drop database {quoted(schema)}")

    def rows(self) -> Rows:
        """What every table holds, whatever the order of its rows and the character set they are stored in."""
        result = {}
        with self.connect() as connection, connection.cursor() as cursor:
            for schema in self.schemas():
                cursor.execute(
                    "select table_name from information_schema.tables"
                    " where table_schema=%s and table_type='BASE TABLE'",
                    (schema,),
                )
                for (table,) in cursor.fetchall():
                    result[f"{schema}.{table}"] = self._rows(cursor, schema, table)
        return result

    def _rows(self, cursor: Any, schema: str, table: str) -> tuple[int, str]:
        cursor.execute(
            "select column_name, data_type from information_schema.columns where table_schema=%s and table_name=%s"
            " order by ordinal_position",
            (schema, table),
        )
        columns = [
            f"hex({quoted(name)})"
            if "blob" in kind or "binary" in kind or kind in ("bit", "geometry")
            else quoted(name)
            for name, kind in cursor.fetchall()
        ]
        cursor.execute("set time_zone='+00:00'")
        cursor.execute(f"select {','.join(columns)} from {quoted(schema)}.{quoted(table)}")
        digests = sorted(
            hashlib.sha256(repr(row).encode("utf-8", "surrogateescape")).hexdigest() for row in cursor.fetchall()
        )
        return len(digests), hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def start(image: str, name: str, command: str, client: str, dumper: str) -> Server:
    """Start a server and wait until it answers."""
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
    shell = ["bash", "-c", command]
    memory = ["--tmpfs", "/data:rw,mode=1777"]
    subprocess.run(
        [
            "docker",
            "run",
            "--detach",
            "--name",
            name,
            *memory,
            "--publish",
            "127.0.0.1::3306",
            "--user=root",
            image,
            *shell,
        ],
        capture_output=True,
        check=True,
    )
    grant = "create user if not exists root@'%'; grant all on *.* to root@'%' with grant option"
    for _ in range(300):
        done = subprocess.run(
            ["docker", "exec", name, client, "--socket=/tmp/server.sock", "--user=root", f"--execute={grant}"],
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            break
        time.sleep(0.2)
    ports = subprocess.run(["docker", "port", name, "3306"], capture_output=True, check=True, text=True).stdout
    return Server(name, client, dumper, int(ports.split()[0].rsplit(":", 1)[1]))


def stop(server: Server) -> None:
    subprocess.run(["docker", "rm", "--force", "--volumes", server.name], capture_output=True, check=False)


def load_folder(server: Server, folder: Path) -> None:
    """Load what the cleaner wrote, each file alone, into an empty server."""
    server.run("rm", "-rf", "/tmp/sql")
    subprocess.run(["docker", "cp", "--quiet", str(folder), f"{server.name}:/tmp/sql"], check=True, capture_output=True)
    client = f"{server.client} --socket=/tmp/server.sock --user=root"
    loop = f'set -e; cd /tmp/sql; for f in schema.sql rows/*.sql after.sql; do [ ! -e "$f" ] || {client} <"$f"; done'
    server.run("bash", "-c", loop)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def insert(cursor: Any, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Insert what the server takes: keys that are equal to it are left out."""
    columns = ",".join(map(quoted, names))
    places = ",".join(["%s"] * len(names))
    for row in rows:
        cursor.execute(f"insert ignore into {quoted(table)} ({columns}) values ({places})", tuple(row))
