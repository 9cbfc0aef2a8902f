"""How long `invoke merge` takes, against `mysql < dump` into the same database, and how much memory.

Run as `python benchmarks/merge.py [MEGABYTES]` where `invoke bootstrap` has been run. It starts three containers of the
database's base image: a paper, and two labs that hold as many rows of their own (500 MB each unless told). Half of the
tables have keys that lie between theirs, half have keys of their own. Everything is removed afterwards.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from spyglass_export.console import errors_as_lines
from spyglass_export.settings import load

ROOT = Path(__file__).resolve().parent.parent
NAME = "sgx-merge-benchmark"
START = (
    "mysqld --initialize-insecure --datadir=/var/lib/mysql/d 2>/dev/null;"
    " exec mysqld --datadir=/var/lib/mysql/d 2>/dev/null"
)
TABLES = {
    "between": "(id int PRIMARY KEY, name varchar(64) NOT NULL, time double NOT NULL, value float, KEY (name, time))",
    "apart": "(name varchar(64), id int, time double NOT NULL, value float, PRIMARY KEY (name, id), KEY (time))",
    "blobs": "(id int PRIMARY KEY, name varchar(64) NOT NULL, samples longblob NOT NULL)",
}
# The paper's rows are even, theirs are odd; about 60, 60 and 8,300 bytes of SQL a row.
ROWS = {
    "between": "SELECT 2 * i + {odd}, CONCAT('rat', LPAD(i % 40, 6, '0'), '_.nwb'), i / 30000, RAND(i) * 1000",
    "apart": "SELECT CONCAT('rat', LPAD(i DIV 50000 * 2 + {odd}, 6, '0'), '_.nwb'), i, i / 30000, RAND(i) * 1000",
    "blobs": "SELECT 2 * i + {odd}, CONCAT('rat', i), REPEAT(UNHEX(SHA2(i + {odd} / 2, 512)), 64)",
}
BYTES = {"between": 60, "apart": 60, "blobs": 8300}
MERGE = """
import resource, sys
from pathlib import Path
import pymysql
from spyglass_export.merging import merge
from spyglass_export.merging.server import Server
def server(port, name):
    at = {"host": "127.0.0.1", "port": int(port), "user": "root", "charset": "utf8mb4", "autocommit": True}
    return Server(pymysql.connect(**at), name)
merge.merge(server(sys.argv[1], "paper"), server(sys.argv[2], "lab"), Path(sys.argv[3]), merge.Options(yes=True))
print("memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def docker(*arguments: str) -> str:
    """Run docker and give its output; end where it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


@contextmanager
def server(image: str, role: str, size: int, odd: int) -> Iterator[int]:
    """A server with ``size`` bytes of rows; gives its port."""
    name = f"{NAME}-{role}"
    docker("run", "--detach", f"--name={name}", "--publish=127.0.0.1::3306", "--entrypoint=bash", image, "-c", START)
    try:
        grant = "CREATE USER root@'%'; GRANT ALL ON *.* TO root@'%'"
        while subprocess.run(
            ["docker", "exec", name, "mysql", "-uroot", "-e", grant], capture_output=True, check=False
        ).returncode:
            time.sleep(0.5)
        port = int(docker("port", name, "3306").split()[0].rpartition(":")[2])
        with pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE bench")
            cursor.execute("SET SESSION cte_max_recursion_depth = 1 << 30")
            for table, columns in TABLES.items():
                number = size // len(TABLES) // BYTES[table]
                cursor.execute(f"CREATE TABLE bench.{table} {columns}")
                cursor.execute(
                    f"INSERT INTO bench.{table} WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n"
                    f" WHERE i < {number - 1}) {ROWS[table].format(odd=odd)} FROM n"
                )
        yield port
    finally:
        docker("rm", "--force", "--volumes", name)


def main() -> None:
    """Print one table."""
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 500_000_000
    image = load(ROOT, os.environ).db_base_image
    with server(image, "paper", size, 0) as paper, tempfile.TemporaryDirectory() as scratch:
        dump = Path(scratch, "dump.sql")
        with dump.open("wb") as file:
            subprocess.run(
                ["docker", "exec", f"{NAME}-paper", "mysqldump", "-uroot", "--set-gtid-purged=OFF", "--no-create-info",
                 "--hex-blob", "bench"],
                stdout=file, check=True,
            )  # fmt: skip
        with server(image, "dump", size, 1):
            docker("cp", "--quiet", str(dump), f"{NAME}-dump:/tmp/dump.sql")
            started = time.perf_counter()
            docker("exec", f"{NAME}-dump", "bash", "-c", "mysql -uroot bench < /tmp/dump.sql")
            by_dump = time.perf_counter() - started
        with server(image, "lab", size, 1) as lab:
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", MERGE, str(paper), str(lab), scratch],
                cwd=ROOT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            by_merge = time.perf_counter() - started
        if done.returncode:
            sys.exit(done.stderr)
        print(f"\n{dump.stat().st_size / 1e6:.0f} MB of SQL, {os.cpu_count()} processors, {image}\n")
        print("| | seconds | times | memory, MB |\n| --- | --- | --- | --- |")
        print(f"| `mysql < dump` | {by_dump:.1f} | 1 | |")
        memory = done.stdout.split("memory ")[1].strip()
        print(f"| `invoke merge` | {by_merge:.1f} | {by_merge / by_dump:.2f} | {memory} |")


if __name__ == "__main__":
    with errors_as_lines():
        main()
