"""`invoke clean_sql` as it is typed: files, pipes, and what is left when it is stopped."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spyglass_export.dump import command_line
from tests.unit.dump.cleaning import framed

ROOT = Path(__file__).resolve().parents[3]
DUMP = framed(
    "CREATE DATABASE `d`; USE `d`;\nCREATE TABLE `t` (`a` int) DEFAULT CHARSET=latin1;\nINSERT INTO `t` VALUES (1);\n"
)
COMMAND = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "clean_sql"]
needs_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals, modes and pipes")


def clean_sql(*words: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*COMMAND, *words], capture_output=True, check=False, **options)


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "my export.sql"
    path.write_bytes(DUMP)
    return path


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the dump becomes when it is read from a file."""
    folder = tmp_path_factory.mktemp("cleaned")
    (folder / "dump.sql").write_bytes(DUMP)
    command_line.clean_sql(str(folder / "dump.sql"), str(folder / "clean.sql"), lambda _: None)
    return (folder / "clean.sql").read_bytes()


def test_a_file_into_a_file(dump: Path, tmp_path: Path, cleaned: bytes) -> None:
    done = clean_sql("my export.sql", "--output", "clean.sql", cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"1 tables, 1 changes\n")
    assert (tmp_path / "clean.sql").read_bytes() == cleaned
    assert cleaned.endswith(b"INSERT INTO `t` VALUES (1);\n-- Dump completed\n")


@pytest.mark.parametrize("text", [DUMP, gzip.compress(DUMP)], ids=["plain", "gzip"])
def test_standard_input_into_standard_output(cleaned: bytes, text: bytes) -> None:
    assert clean_sql("-", input=text).stdout == cleaned


@needs_posix
def test_a_pipe_is_read_like_a_file(cleaned: bytes, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([*COMMAND, str(pipe)], stdout=subprocess.PIPE) as process:
        pipe.write_bytes(DUMP)
        assert process.communicate()[0] == cleaned


@needs_posix
def test_a_reader_that_goes_away_is_one_line(dump: Path) -> None:
    dump.write_bytes(DUMP.replace(b"(1)", b"(1)" + b",(2)" * 60_000))
    with subprocess.Popen([*COMMAND, str(dump)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        lines = process.stderr.read().decode().splitlines()

    assert process.returncode == 1
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]


@needs_posix
def test_a_file_that_is_replaced_keeps_who_may_read_it(dump: Path, tmp_path: Path) -> None:
    output = tmp_path / "private.sql"
    output.touch(mode=0o600)
    command_line.clean_sql(str(dump), str(output), lambda _: None)

    assert output.stat().st_mode & 0o777 == 0o600
    assert output.stat().st_size > 0


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_nothing(tmp_path: Path, number: int) -> None:
    output = tmp_path / "clean.sql"
    output.write_bytes(b"earlier")
    os.mkfifo(tmp_path / "pipe")  # it waits for more to read for as long as the test wants
    with (
        subprocess.Popen(
            [*COMMAND, str(tmp_path / "pipe"), "--output", str(output)],
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process,
        (tmp_path / "pipe").open("wb", buffering=0) as pipe,
    ):
        pipe.write(DUMP)
        while not list(tmp_path.glob(".spyglass-export-*/*")):
            time.sleep(0.05)
        time.sleep(0.5)  # it waits for the rest by then: Python may miss a signal that comes as a read begins
        process.send_signal(number)
        assert process.stderr
        said = process.stderr.read().decode()

    assert process.returncode == 1
    assert said.startswith("error: interrupted\nhint: ")
    assert output.read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean.sql", "pipe"]
