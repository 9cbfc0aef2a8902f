"""One run at a time in a folder, whatever becomes of the one before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOLD = """
import sys, time
from pathlib import Path
from spyglass_export.export.lock import only_one
with only_one(Path(sys.argv[1]), "invoke copy_files"):
    print("in", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def run(folder: Path, seconds: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLD, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_who_waits_is_told_for_whom_and_goes_on_when_that_one_is_killed(tmp_path: Path) -> None:
    with run(tmp_path, 60) as first:
        assert first.stdout and first.stdout.readline() == "in\n"
        with run(tmp_path, 0) as second:
            assert second.stderr
            told = second.stderr.readline()
            assert second.poll() is None
            first.send_signal(signal.SIGKILL)

            assert second.communicate()[0] == "in\n"

    waiting = f"another `invoke copy_files` is at work in {tmp_path} (process {first.pid}): waiting until it has ended"
    assert " ".join(told.split()) == waiting
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
