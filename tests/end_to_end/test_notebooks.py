"""An author tests notebooks that pass, fail, hang, print without end and kill their kernel, and reports on it."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.end_to_end.paper import Paper, interrupt

pytestmark = pytest.mark.end_to_end

FOLDER = "ordeal"
# Without the first, Chromium as root does not start.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NOTEBOOKS = {
    "passes": ["import datajoint as dj; dj.conn(); print('connected')"],
    "fails": ["# a first cell", "1 / 0", "print('never')"],
    "hangs": ["print('before')", "import time\nwhile True: time.sleep(1)"],
    "prints": ["for _ in range(1000): print('x' * 100_000)", "print('done')"],
    "kills": ["import os, signal; os.kill(os.getpid(), signal.SIGKILL)"],
    "writes": [
        "import helper; print(helper.ANSWER)",
        "open('data.txt', 'w').write('changed')",
        "open('../beside.txt', 'w').write('new')",
        "import os; assert 'raw' in os.listdir('../../data')",
    ],
}


@pytest.fixture(scope="module")
def tested(paper: Paper) -> tuple[Paper, str]:
    """The paper with a folder of notebooks after one test of all of them, and what it printed."""
    folder = paper.root / "notebooks" / FOLDER
    folder.mkdir()
    for name, cells in NOTEBOOKS.items():
        write_notebook(folder / f"{name}.ipynb", cells)
    write_notebook(folder / "skips.ipynb", ["raise ValueError('skipped')", "print('ran')"], skip=[0])
    (folder / "broken.ipynb").write_text('{"cells": [', encoding="utf-8")
    (folder / "helper.py").write_text("ANSWER = 42\n", encoding="utf-8")
    (folder / "data.txt").write_text("the author's", encoding="utf-8")
    before = contents(folder)
    names = [f"{FOLDER}/{file.stem}" for file in sorted(folder.glob("*.ipynb"))]
    printed = paper.invoke("test_notebooks", *names, "--timeout", "20", status=1)
    assert contents(folder) == before
    return paper, printed


def write_notebook(file: Path, cells: list[str], skip: list[int] | None = None) -> None:
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"kernelspec": {"name": "lab-gpu", "display_name": "lab", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "metadata": {"tags": ["skip-test"]} if number in (skip or []) else {},
                "execution_count": 7,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "of an earlier run"}],
                "source": cell,
            }
            for number, cell in enumerate(cells)
        ],
    }
    file.write_text(json.dumps(notebook), encoding="utf-8")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir() if file.is_file()}


def executed(paper: Paper, name: str) -> str:
    """What the executed copy of a notebook printed."""
    copy = json.loads((paper.root / "notebooks" / "executed" / FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return "".join("".join(output.get("text", "")) for cell in copy["cells"] for output in cell["outputs"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("passes", r"passed\s+[\d.]+"),
        ("fails", r"failed(\s+[\d.]+){5}\s+cell 2: ZeroDivisionError: division by zero"),
        ("hangs", r"timed out(\s+[\d.]+){5}\s+cell 2: not done after 20 s"),
        ("prints", r"passed\s+[\d.]+"),
        ("kills", r"kernel died(\s+[\d.]+){5}\s+cell 1: ended by SIGKILL"),
        ("writes", r"passed\s+[\d.]+"),
        ("skips", r"passed\s+[\d.]+"),
        ("broken", r"failed(\s+[\d.]+){5}\s+it is not valid JSON, in line 1"),
    ],
)
def test_the_table_says_what_became_of_each(tested: tuple[Paper, str], name: str, said: str) -> None:
    """Behind the seconds stand four counts of cells."""
    assert re.search(rf"^{FOLDER}/{name}\.ipynb\s+{said}", tested[1], re.MULTILINE)


def test_a_notebook_that_wants_more_memory_than_there_is_says_so(paper: Paper) -> None:
    file = paper.root / "notebooks" / "eats.ipynb"
    write_notebook(file, ["kept = []", "while True: kept.append(b'x' * 10_000_000)"])
    hub = paper.docker.ask("compose", "ps", "--quiet", "hub").strip()
    limit = ("update", "--memory", "700m", "--memory-swap", "700m", hub)
    try:
        paper.docker.ask(*limit)
        printed = paper.invoke("test_notebooks", "eats", status=1)
    finally:
        file.unlink()
        paper.invoke("down")
        paper.invoke("build")

    assert re.search(r"kernel died .*cell 2: its memory of 0\.7 GB is full", printed)


def test_executed_copies_are_the_authors_and_hold_this_run_alone(tested: tuple[Paper, str]) -> None:
    paper, _ = tested

    assert executed(paper, "passes").endswith("connected\n")
    assert executed(paper, "skips") == "ran\n"
    assert executed(paper, "hangs") == "before\n"
    assert "never" not in executed(paper, "fails")
    assert "[left out of this copy: 99,001,000 more characters that the cell printed]" in executed(paper, "prints")
    for name in ("passes", "fails", "hangs", "prints", "kills", "writes", "skips"):
        page = paper.root / "notebooks" / "executed" / FOLDER / f"{name}.html"
        assert 100_000 < page.stat().st_size < 5_000_000
        assert (page.stat().st_uid, page.stat().st_gid) == (os.getuid(), os.getgid())


def test_what_a_notebook_writes_is_kept_beside_its_copy(tested: tuple[Paper, str]) -> None:
    paper, printed = tested

    kept = paper.root / "notebooks" / "executed" / FOLDER / "writes_files"
    assert (kept / FOLDER / "data.txt").read_text() == "changed"
    assert (kept / "beside.txt").read_text() == "new"
    assert executed(paper, "writes") == "42\n"
    assert not (paper.root / "notebooks" / "beside.txt").exists()
    assert f"{FOLDER}/writes.ipynb wrote beside.txt, {FOLDER}/data.txt" in printed


def leftovers(paper: Paper) -> list[str]:
    """What tests of notebooks have in the hub: a scratch folder, a process, and a kernel that was given its folder."""
    command = "ls -d /tmp/run-notebook-* 2>/dev/null; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
    printed = paper.docker.ask("compose", "exec", "-T", "hub", "bash", "-c", command)
    return [line for line in printed.splitlines() if re.match(r"/tmp/run-|/opt/paper/run_notebook.py$", line)]


@pytest.mark.parametrize("kill", [False, True], ids=["Ctrl-C", "killed"])
def test_an_interruption_leaves_nothing_behind_in_the_hub(tested: tuple[Paper, str], kill: bool) -> None:
    paper, _ = tested
    with paper.start("test_notebooks", f"{FOLDER}/hangs") as process:
        try:
            wait_until(lambda: len(leftovers(paper)) == 3)
            if kill:
                os.kill(process.pid, signal.SIGKILL)
            else:
                interrupt(process)
            printed = process.communicate(timeout=30)[0]
        finally:
            process.kill()

    assert kill or "error: interrupted" in printed
    wait_until(lambda: not leftovers(paper))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_name_that_no_notebook_has(paper: Paper) -> None:
    printed = paper.invoke("test-notebooks", "exampel.ipynb", status=1)

    assert "error: there is no notebook exampel.ipynb" in printed
    assert "hint: did you mean example.ipynb?" in printed


def test_the_report_reads_well_without_network_and_on_paper(
    tested: tuple[Paper, str], chromium: str, tmp_path: Path
) -> None:
    paper, _ = tested
    printed = paper.invoke("report")
    asked_for: list[str] = []

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(offline=True, java_script_enabled=False)
        page = context.new_page()
        page.on("request", lambda request: asked_for.append(request.url))
        page.goto((paper.root / "export_data" / "report.html").as_uri())

        assert str(paper.root / "export_data" / "report.html") in printed
        assert len(asked_for) == 1
        assert page.get_by_role("row", name="Electrode _electrode imported 192").count() == 1
        assert page.get_by_role("row", name=f"{FOLDER}/fails.ipynb failed cell 2: ZeroDivisionError").count() == 1
        assert page.locator("svg .box", has_text="common_ephys").locator("text.count", has_text="192").count() == 1
        folded = page.get_by_text("DEFAULT CHARSET=latin1")
        assert not folded.is_visible()
        page.emulate_media(media="print")
        assert folded.is_visible()
        assert page.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")
        browser.close()


def test_neither_report_nor_executed_copies_get_into_the_images(tested: tuple[Paper, str]) -> None:
    paper, _ = tested
    paper.invoke("build")

    log = (paper.root / "build.log").read_text()
    loads = re.findall(r"#(\d+) \[db.*\] RUN ", log)
    assert loads
    assert all(f"#{step} CACHED" in log for step in loads)
    assert "executed" not in paper.in_hub("ls /opt/paper/notebooks")
