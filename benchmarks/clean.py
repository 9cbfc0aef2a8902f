"""How fast `invoke copy_files` is, against `cp` and against the incumbent's `sed`, side by side in one run.

Usage: python -m benchmarks.clean [--size MEGABYTES] [--tables N] [--folder FOLDER] [--rounds N] [--check]

Writes a synthetic export, half hex blobs and half short rows, one of legacy lengths whose values must be measured, and
one of 10,000 tables. What runs is the command itself, in a copy of the project: the start of Python, the checks,
the cleaning, the digests, and what it asks of Docker and of channels, of which the environment needs Python alone.
`cp` and the command run in turn, several rounds; the ratio is of the fastest runs: what else a machine does only
adds to a run: a virtual machine that gave memory to its host waits for it several times as long as `cp` takes.
`sed`, and what is measured against it on the legacy dump, run once.
`--check` exits 1 where a target is missed.
"""

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rebuild import copy_of_project

HEADER = b"""-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: localhost    Database: paper
-- ------------------------------------------------------
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
CREATE DATABASE IF NOT EXISTS `paper`;
USE `paper`;
"""
FOOTER = b"-- Dump completed on 2026-01-01  0:00:00\n"
# One in eight has what a cleaner must not stumble over.
NOTES = [b"", b"plain text", b"a, b (c)", b"/home/user/data", b"2.5 mm", b"left", b"CA1"] * 4
NOTES += [b"it\\'s", b"semi; colon", b"DEFAULT CHARSET=latin1", b"-- Dump completed"]
STATEMENT = 1_000_000  # bytes: what mysqldump puts into one INSERT
LENGTHS = [
    ("nwb_file_name", 255, 64),
    ("analysis_file_name", 255, 64),
    ("interval_list_name", 200, 170),
    ("position_info_param_name", 80, 32),
    ("mark_param_name", 80, 32),
    ("artifact_removed_interval_list_name", 200, 128),
    ("metric_params_name", 200, 64),
    ("auto_curation_params_name", 200, 36),
    ("sort_interval_name", 200, 64),
    ("preproc_params_name", 200, 32),
    ("sorter", 200, 32),
    ("sorter_params_name", 200, 64),
]


def short_row(number: int, chance: random.Random) -> bytes:
    """A row as Spyglass' tables have many: keys, numbers, a time, a little text."""
    return b"('rat%06d_.nwb','interval_%07d',%d,%.6f,'2024-03-%02d 10:11:12','%b')" % (
        chance.randrange(10**6),
        number,
        chance.randrange(-(10**6), 10**6),
        chance.random(),
        chance.randrange(1, 29),
        chance.choice(NOTES),
    )


def blob_row(number: int, chance: random.Random) -> bytes:
    """A row with a blob, as mysqldump --hex-blob writes it."""
    return b"(%d,'blob_%07d',0x%b)" % (
        number,
        number,
        chance.randbytes(chance.randrange(200, 40_000)).hex().upper().encode(),
    )


def write_dump(path: Path, size: int, key_length: int) -> None:
    """Write ``size`` bytes, half of them short rows and half hex blobs."""
    chance = random.Random(3)
    tables = [
        (
            b"CREATE TABLE `short` (\n  `nwb_file_name` varchar(%d) NOT NULL,\n"
            b"  `interval_list_name` varchar(%d) NOT NULL,\n"
            b"  `n` int NOT NULL,\n  `x` float DEFAULT NULL,\n  `t` timestamp NULL DEFAULT NULL,\n"
            b"  `note` varchar(255) DEFAULT NULL\n"
            b") ENGINE=InnoDB DEFAULT CHARSET=latin1;\n" % (key_length, 200 if key_length == 255 else 170),
            b"INSERT INTO `short` VALUES ",
            short_row,
        ),
        (
            b"CREATE TABLE `blobs` (\n  `id` int NOT NULL,\n  `name` varchar(32) NOT NULL,\n"
            b"  `content` longblob NOT NULL,\n"
            b"  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n",
            b"INSERT INTO `blobs` VALUES ",
            blob_row,
        ),
    ]
    with path.open("wb") as file:
        file.write(HEADER)
        for create, insert, row in tables:
            file.write(create)
            end = file.tell() + size // 2
            statements = []
            for _ in range(6):
                rows: list[bytes] = []
                left = STATEMENT
                while left > 0:
                    rows.append(row(chance.randrange(10**7), chance))
                    left -= len(rows[-1])
                statements.append(insert + b",".join(rows) + b";\n")
            while file.tell() < end:
                file.write(chance.choice(statements))
        file.write(FOOTER)


def write_tables(path: Path, number: int) -> None:
    """Write many small tables, each as a dump of its own, as Spyglass' script makes them."""
    columns = b"".join(b"  `c%d` varchar(64) NOT NULL COMMENT 'a column',\n" % column for column in range(8))
    with path.open("wb") as file:
        for table in range(number):
            name = b"`t%d`" % table
            create = b"CREATE TABLE %b (\n%b  PRIMARY KEY (`c0`,`c1`)\n) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n"
            lock = b"LOCK TABLES %b WRITE;\n/*!40000 ALTER TABLE %b DISABLE KEYS */;\n" % (name, name)
            rows = b"INSERT INTO %b VALUES ('a','b','c','d','e','f','g','h');\n" % name
            unlock = b"/*!40000 ALTER TABLE %b ENABLE KEYS */;\nUNLOCK TABLES;\n" % name
            file.write(HEADER + create % (name, columns) + lock + rows + unlock + FOOTER)


def export_of(folder: str, name: str) -> Path:
    """The dump's path in an export folder of its own, which has an environment beside it."""
    path = Path(folder) / name / f"{name}.sql"
    path.parent.mkdir()
    (path.parent / "environment.yml").write_text("dependencies:\n  - python=3.10\n", encoding="utf-8")
    return path


def copy(source: Path, target: Path) -> None:
    """The lower bound."""
    subprocess.run(["cp", source, target], check=True)


def copy_files(project: Path) -> Callable[[Path, Path], None]:
    """What an author types, with `export_data/` in the place of the target."""

    def run(source: Path, target: Path) -> None:
        # As it does unless told not to, Python may keep what it has compiled.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["SPYGLASS_PAPER_DIR"] = str(source.parent)
        command = [sys.executable, "-m", "invoke", "copy_files"]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        (project / "export_data").rename(target)

    return run


def remove(target: Path) -> None:
    """Remove a file or a folder, where there is one."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)


def sed(passes: int) -> Callable[[Path, Path], None]:
    """The incumbent: a copy, then one in-place pass a rule."""
    rules = [r"s/ DEFAULT CHARSET=[^ ]\w*//g", r"s/ DEFAULT COLLATE [^ ]\w*//g"]
    rules += [f"s/ `{column}` varchar({old})/ `{column}` varchar({new})/g" for column, old, new in LENGTHS]

    def run(source: Path, target: Path) -> None:
        shutil.copyfile(source, target)
        for rule in rules[:passes]:
            subprocess.run(["sed", "-i", rule, target], check=True)

    return run


def fastest(programs: dict[str, Callable[[Path, Path], None]], source: Path, rounds: int) -> dict[str, float]:
    """Seconds of wall time of each program's fastest run; these run in turn, so that they meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    target = source.parent.with_suffix(".out")
    for _ in range(rounds):
        for name, program in programs.items():
            remove(target)
            os.sync()  # or what one has written goes to the disk at the expense of the next
            start = time.perf_counter()
            program(source, target)
            times[name].append(time.perf_counter() - start)
    remove(target)
    return {name: min(values) for name, values in times.items()}


def main() -> int:
    """Run, print, and judge."""
    parser = argparse.ArgumentParser(description="Benchmark the dump cleaner.")
    parser.add_argument("--size", type=int, default=1000, help="megabytes of each dump")
    parser.add_argument("--tables", type=int, default=10_000, help="of the export of many")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--rounds", type=int, default=7, help="of cp and the cleaner")
    parser.add_argument("--check", action="store_true", help="exit 1 where a target is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        clean = copy_files(copy_of_project(Path(folder) / "project", "bench-clean"))
        today = export_of(folder, "today")
        write_dump(today, options.size * 1_000_000, 64)
        seconds = fastest({"cp": copy, "clean": clean}, today, options.rounds)
        seconds |= fastest({"sed, 2 passes": sed(2)}, today, 1)  # leaves the machine with gigabytes to clear away
        today.unlink()
        legacy = export_of(folder, "legacy")
        write_dump(legacy, options.size * 1_000_000, 255)
        seconds |= fastest({"clean legacy": clean, "sed, 14 passes": sed(14)}, legacy, 1)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        many = export_of(folder, "many")
        write_tables(many, options.tables)
        seconds |= fastest({"clean many tables": clean}, many, 1)
    for name, value in seconds.items():
        print(f"{name:18} {value:7.2f} s")
    targets = [
        ("clean / cp", seconds["clean"] / seconds["cp"], 4.0),
        ("clean / sed, 2 passes", seconds["clean"] / seconds["sed, 2 passes"], 1.0),
        ("clean legacy / sed, 14 passes", seconds["clean legacy"] / seconds["sed, 14 passes"], 0.33),
        ("seconds for many tables / 10", seconds["clean many tables"] / 10, 1.0),
        ("peak memory in MB / 150", memory / 150, 1.0),
    ]
    for name, ratio, limit in targets:
        print(f"{name:30} {ratio:5.2f}   target {limit}   {'ok' if ratio <= limit else 'MISSED'}")
    return int(options.check and any(ratio > limit for _, ratio, limit in targets))


if __name__ == "__main__":
    sys.exit(main())
