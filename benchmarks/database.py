"""What loading an export while the image is built is worth, against loading it by hand or at every start.

Run as `python benchmarks/database.py [MEGABYTES]` where `invoke bootstrap` has been run. It writes a synthetic export
(500 MB unless told), loads it in containers of the database's base image, and removes everything afterwards.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from spyglass_export.console import errors_as_lines
from spyglass_export.export.copy_files import copy_files
from spyglass_export.settings import load

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "benchmark"
NAME = "sgx-db-benchmark"
TABLES = 12
STATEMENT = 1_000_000  # mysqldump's own: an INSERT is about as long as net_buffer_length

SERIES = """CREATE TABLE `{name}` (
  `id` int NOT NULL,
  `nwb_file_name` varchar(64) NOT NULL,
  `time` double NOT NULL,
  `value` float DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `nwb_file_name` (`nwb_file_name`,`time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
"""
BLOBS = """CREATE TABLE `{name}` (
  `id` int NOT NULL,
  `analysis_file_name` varchar(64) NOT NULL,
  `samples` longblob NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
"""
ENVIRONMENT = "name: bench\nchannels: [conda-forge]\ndependencies:\n  - python=3.12\n"

INITIALIZE = "mysqld --initialize-insecure --datadir=/var/lib/mysql/d 2>/dev/null\n"
# A server as it comes, and the dump as it is.
IMPORT = (
    INITIALIZE
    + """
mysqld --datadir=/var/lib/mysql/d --port=3306 2>/dev/null &
until mysql --user=root --execute='DO 0' 2>/dev/null; do sleep 0.05; done
started=$EPOCHREALTIME
mysql --user=root < /export/_Populate_bench.sql
echo loaded in $((${EPOCHREALTIME/./} - ${started/./}))
mysql --user=root --execute="CREATE USER root@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD'; GRANT ALL ON *.* TO root@'%'"
du -sm /var/lib/mysql/d | cut -f 1 >/tmp/size
wait
"""
)
LOADER = ("docker/load_export.sh", "config/digest_tables.sh", "config/digests.sql")
LOAD = """
install -d -o mysql /tmp/load
mysqld --no-defaults --user=mysql --initialize-insecure --datadir=/tmp/load/empty 2>/dev/null
for clients in 1 2 4; do
  started=$EPOCHREALTIME
  bash /load_export.sh /export_data /tmp/load/empty /tmp/load/seed $clients >/dev/null || exit
  echo $((${EPOCHREALTIME/./} - ${started/./}))
  rm -rf /tmp/load/seed
done
"""


def rows_of_series(generator: random.Random) -> Iterator[str]:
    """Many small rows with a secondary index."""
    for number in range(1 << 31):
        rat, value = generator.randrange(40), generator.randrange(10**6) / 1000
        yield f"({number},'rat{rat:06d}_.nwb',{number / 30000!r},{value})"


def rows_of_blobs(generator: random.Random) -> Iterator[str]:
    """Blobs of 4 KB, in hexadecimal as mysqldump --hex-blob writes them."""
    for number in range(1 << 31):
        yield f"({number},'rat000001_{number:010d}.nwb',0x{generator.randbytes(4096).hex()})"


def write_export(folder: Path, size: int) -> None:
    """Write an export whose dump has ``size`` bytes: twelve tables, the largest ten times the smallest."""
    generator = random.Random(1)
    weights = [1 + 9 * i / (TABLES - 1) for i in range(TABLES)]
    (folder / "environment.yml").write_text(ENVIRONMENT, encoding="utf-8")
    with (folder / "_Populate_bench.sql").open("w", encoding="ascii", newline="\n") as dump:
        dump.write("CREATE DATABASE IF NOT EXISTS bench; USE bench;\n-- MySQL dump 10.13\n")
        for i, weight in enumerate(weights):
            definition, rows = (BLOBS, rows_of_blobs) if i % 2 else (SERIES, rows_of_series)
            name = f"table_{i}"
            dump.write(definition.format(name=name))
            left = size * weight / sum(weights)
            row = rows(generator)
            while left > 0:
                values = [next(row)]
                length = len(values[0])
                while length < min(left, STATEMENT):
                    values.append(next(row))
                    length += len(values[-1]) + 1
                left -= dump.write(f"INSERT INTO `{name}` VALUES {','.join(values)};\n")
        dump.write("-- Dump completed on 2026-01-01  0:00:00\n")


def docker(*arguments: str, text: str | None = None) -> str:
    """Run docker and give its output; end where it fails."""
    done = subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


@contextmanager
def container(*options: str, script: str | None = None) -> Iterator[float]:
    """A container that is removed with its volume; gives the time of its start."""
    command = () if script is None else ("-c", script)
    started = time.perf_counter()
    docker("run", "--detach", f"--name={NAME}", "--publish=127.0.0.1::3306",
           f"--env=MYSQL_ROOT_PASSWORD={PASSWORD}", *options, *command)  # fmt: skip
    try:
        yield started
    finally:
        docker("rm", "--force", "--volumes", NAME)


def seconds_to_first_answer(started: float) -> float:
    """Wait until the server answers over TCP how many rows its largest table has; seconds since ``started``."""
    port = int(docker("port", NAME, "3306").strip().rpartition(":")[2])
    while time.perf_counter() - started < 1800:
        try:
            connection = pymysql.connect(host="127.0.0.1", port=port, user="root", password=PASSWORD)
        except pymysql.OperationalError:
            time.sleep(0.02)
            continue
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT MAX(id) FROM bench.table_{TABLES - 1}")
            return time.perf_counter() - started
    sys.exit("the server does not answer:\n" + docker("logs", NAME))


def main() -> None:
    """Print two tables."""
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 500_000_000
    base = load(ROOT, os.environ).db_base_image
    with tempfile.TemporaryDirectory() as scratch:
        paper, context = Path(scratch, "bench"), Path(scratch, "context")
        paper.mkdir()
        write_export(paper, size)
        copy_files(paper, context / "export_data", paper_id="bench")
        for folder in ("config", "docker"):
            shutil.copytree(ROOT / folder, context / folder)

        with container(f"--volume={paper}:/export:ro", "--user=mysql", "--entrypoint=bash", base, script=IMPORT) as at:
            incumbent_start = seconds_to_first_answer(at)
            incumbent_load = int(docker("logs", NAME).split("loaded in ")[1]) / 1e6
            incumbent_size = int(docker("exec", NAME, "cat", "/tmp/size"))
        loads = docker(
            "run", "--rm", "--interactive", "--user=root", "--entrypoint=bash",
            f"--volume={context / 'export_data'}:/export_data:ro",
            *(f"--volume={ROOT / path}:/{Path(path).name}:ro" for path in LOADER), base, "-s", text=LOAD,
        ).split()  # fmt: skip
        docker("build", f"--build-arg=DB_BASE_IMAGE={base}", f"--file={context / 'docker' / 'db.Dockerfile'}",
               f"--tag={NAME}", str(context))  # fmt: skip
        try:
            starts = []
            for _ in range(3):
                with container(NAME) as at:
                    starts.append(seconds_to_first_answer(at))
                    seed_size = int(docker("exec", NAME, "du", "-sm", "/opt/seed/data").split()[0])
        finally:
            docker("image", "rm", NAME)

    print(f"\n{size / 1e6:.0f} MB of SQL in {TABLES} tables, {os.cpu_count()} processors, {base}\n")
    print("| load | seconds | times faster |\n| --- | --- | --- |")
    print(f"| `mysql < dump`, default settings | {incumbent_load:.1f} | 1 |")
    for clients, microseconds in zip((1, 2, 4), loads, strict=True):
        seconds = int(microseconds) / 1e6
        print(f"| load_export.sh, clients: {clients} | {seconds:.1f} | {incumbent_load / seconds:.1f} |")
    start = sorted(starts)[1]
    print("\n| | at first start | from the seed | ratio |\n| --- | --- | --- | --- |")
    print(f"| start to first answer, s | {incumbent_start:.1f} | {start:.2f} | {incumbent_start / start:.0f} |")
    print(f"| data directory, MB | {incumbent_size} | {seed_size} | {incumbent_size / seed_size:.1f} |")


if __name__ == "__main__":
    with errors_as_lines():
        main()
