"""How long `invoke build` takes: the first time, again with nothing changed, and after a notebook changed.

Run as `python benchmarks/rebuild.py` where `invoke bootstrap` has been run. It works on a copy of the project
with the example paper under another ID, so that nothing but downloads is cached at first, and removes the copy, its
containers, volumes and images afterwards.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EMPTY_NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


def invoke(project: Path, *arguments: str) -> float:
    """Run `invoke` in a project and return the seconds that it took."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - started


def copy_of_project(folder: Path, paper_id: str) -> Path:
    """Copy what git tracks and .env, with the example paper's export as that of another, new paper."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, [*tracked.split("\0"), ".env"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    dump = folder / "examples" / "export" / "example" / "_Populate_example.sql"
    dump.write_bytes(dump.read_bytes().replace(b"-- Host: localhost", f"-- Host: {paper_id}".encode()))
    with (folder / ".env").open("a", encoding="utf-8") as env:
        env.write(f"\nPAPER_ID={paper_id}\nSPYGLASS_PAPER_DIR=examples/export/example\nHUB_PORT=18788\nDB_PORT=13788\n")
    return folder


def main() -> None:
    """Print the three times, and the later two as parts of the first."""
    with tempfile.TemporaryDirectory() as scratch:
        project = copy_of_project(Path(scratch), f"bench-{uuid.uuid4().hex[:8]}")
        try:
            first = invoke(project, "build")
            again = invoke(project, "build")
            (project / "notebooks" / "another.ipynb").write_text(EMPTY_NOTEBOOK, encoding="utf-8")
            notebook = invoke(project, "build")
        finally:
            invoke(project, "clean", "--yes")
    print("| build | seconds | of the first |\n| --- | --- | --- |")
    for name, seconds in (("first", first), ("nothing changed", again), ("a notebook changed", notebook)):
        print(f"| {name} | {seconds:.1f} | {seconds / first:.2f} |")


if __name__ == "__main__":
    main()
