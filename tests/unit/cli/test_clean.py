"""`invoke clean` in a paper's folder, as a person has it on the terminal; `docker` is a small program."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

import tasks
from spyglass_export.containers import stack
from spyglass_export.export.manifest import Manifest
from spyglass_export.settings import load

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal and POSIX signals")
Answered = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[3]
# Lists volumes.json, writes down what it is called with, and takes its time where a file `slow` says so.
DOCKER = """
import os, sys, time
with open("calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if os.path.exists("slow"):
    time.sleep(30)
if sys.argv[1:3] == ["system", "df"]:
    print(open("volumes.json").read())
"""


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A paper with two volumes of its export, one of them superseded, and the author's data."""
    for name in ("tasks.py", "docker-compose.yml"):  # an author's folder: a reader's says nothing of DOCKER
        shutil.copy(ROOT / name, tmp_path)
    for name in ("notebooks", "export_data"):
        (tmp_path / name).mkdir()
    (tmp_path / "docker.py").write_text(DOCKER)
    (tmp_path / ".env").write_text(f"PAPER_ID=Gu2026\nDOCKER={sys.executable} -I -S {tmp_path}/docker.py\n")
    (tmp_path / "export_data" / "environment.yml").write_text("name: Gu2026\n")
    Manifest("Gu2026", None, "e", "s", [], [], {}, []).write(tmp_path / "export_data")
    current = stack.authors_docker(load(tmp_path, {})).volume_hashes["db_data"]
    names = {f"db_data_{current}": "db_data", "db_data_old": "db_data", "data": "data"}
    project, label = "spyglass-gu2026", "com.docker.compose."
    volumes = [
        {
            "Name": f"{project}_{name}",
            "Size": "1GB",
            "Labels": f"{label}project={project},{label}volume={role}",
        }
        for name, role in names.items()
    ]
    (tmp_path / "volumes.json").write_text(json.dumps({"Volumes": volumes}))
    (tmp_path / "calls").unlink(missing_ok=True)
    return tmp_path


def start(paper: Path, *arguments: str, stdin: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "invoke", "clean", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=paper, env=environment, stdin=stdin, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def answered(paper: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Answered]:
    """Give the exit status and what was printed where a person answers the question."""
    keyboard, terminal = os.openpty()
    monkeypatch.setattr(tasks, "ROOT", paper)
    with os.fdopen(terminal) as stdin, os.fdopen(keyboard, "wb", buffering=0) as keys:
        monkeypatch.setattr(sys, "stdin", stdin)

        def answer(text: bytes, *arguments: str) -> tuple[int, str, str]:
            keys.write(text)
            status = 0
            try:
                Program(namespace=Collection.from_module(tasks)).run(["invoke", "clean", *arguments])
            except SystemExit as ended:
                status = int(ended.code or 0)
            return status, *capfd.readouterr()

        yield answer


def removed(paper: Path) -> list[str]:
    calls = (paper / "calls").read_text().splitlines()
    return [name for call in calls if call.startswith("volume rm ") for name in call.split()[2:]]


def is_down(paper: Path) -> bool:
    return any("compose" in call and " down" in call for call in (paper / "calls").read_text().splitlines())


@pytest.mark.parametrize("answer", [b"\n", b"n\n", b"what?\n", b"\x04"], ids=["enter", "n", "anything", "Ctrl-D"])
def test_whoever_does_not_say_yes_keeps_everything(paper: Path, answered: Answered, answer: bytes) -> None:
    status, printed, errors = answered(answer)

    assert (status, errors) == (0, "")
    assert "spyglass-gu2026_db_data_old  1GB" in printed
    assert printed.endswith("nothing was removed\n")
    assert (removed(paper), is_down(paper)) == ([], False)


def test_whoever_says_yes_has_the_containers_and_all_volumes_removed(paper: Path, answered: Answered) -> None:
    status, printed, _ = answered(b"y\n")

    assert status == 0
    assert printed.endswith("removed 3 volumes\n")
    assert len(removed(paper)) == 3
    assert is_down(paper)


def test_superseded_volumes_alone_are_removed_and_what_runs_goes_on(paper: Path, answered: Answered) -> None:
    status, printed, _ = answered(b"", "--superseded", "--yes")

    assert status == 0
    assert printed.endswith("removed 1 volume\n")
    assert removed(paper) == ["spyglass-gu2026_db_data_old"]
    assert not is_down(paper)


def test_what_is_superseded_must_be_known(paper: Path, answered: Answered) -> None:
    (paper / "export_data" / "manifest.json").unlink()

    status, _, errors = answered(b"", "--superseded", "--yes")

    assert status == 1
    assert errors.startswith("error: export_data/ is empty, so nothing tells which are current\nhint: ")
    assert removed(paper) == []


def test_where_nobody_can_answer_one_line_says_so(paper: Path) -> None:
    with start(paper, stdin=subprocess.DEVNULL) as process:
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert errors.splitlines() == [
        "error: nobody is here to answer: remove these volumes for good?",
        "hint: say --yes to go ahead without being asked",
    ]
    assert removed(paper) == []


@pytest.mark.parametrize("signals", [["SIGHUP"], ["SIGTERM"], ["SIGINT", "SIGINT"]])
def test_a_stop_is_one_error_and_no_traceback(paper: Path, signals: list[str]) -> None:
    (paper / "slow").touch()
    with start(paper, stdin=subprocess.DEVNULL) as process:
        while process.poll() is None and not (paper / "calls").exists():
            time.sleep(0.02)
        for name in signals:
            process.send_signal(getattr(signal, name))
            time.sleep(0.2)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert errors.startswith("error: interrupted\nhint: ")
    assert "Traceback" not in errors
