"""Run one notebook on the paper's kernel, in a copy of its own, and hold what it shows against what was saved.

usage: run_notebook.py NOTEBOOK SECONDS < A_PIPE
       run_notebook.py --list

NOTEBOOK is relative to the notebooks' folder; SECONDS are counted from when its kernel is ready. Prints one JSON
object a line: {"cell", "cells"} as each cell starts, at the end {"status", "cell", "error", "seconds", "wrote",
"notes", "shown", "differences"}. `status` is passed, failed, timed out or kernel died; `cell` counts all cells from 1;
`shown` counts verdicts on cells, figures, tables and texts, and `differences` says where and why. When standard input
ends, whoever asked is gone: kernel and process end too. `--list` prints the names of the notebooks as one JSON list.

The notebook runs in a copy of the notebooks' folder, so that what it reads beside it is there, and what it
writes replaces nothing. What it wrote is kept in executed/, beside its executed copy and the comparison. A reader's
are the notebooks as they were published, whatever the reader did to them since.
"""

import asyncio
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from compare import outputs, page
from compare.texts import ANSI
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter

HOME = Path("/home/jovyan")
NOTEBOOKS = HOME / "notebooks"
EXECUTED = NOTEBOOKS / "executed"
SOURCE = Path("/opt/paper/notebooks") if os.environ.get("READER") == "yes" else NOTEBOOKS
NOT_COPIED = shutil.ignore_patterns(".git", ".ipynb_checkpoints", "__pycache__")
KERNEL_START_SECONDS = 120
# Characters kept of what a cell prints, and of all else that it shows: a page has to open in a browser.
PRINTED_LIMIT, SHOWN_LIMIT, ERROR_LIMIT = 1_000_000, 50_000_000, 500


def say(**what: Any) -> None:
    """Print one JSON object."""
    print(json.dumps(what), flush=True)


class Runner(NotebookClient):  # type: ignore[misc] # nbclient is on the hub, where no type checker runs
    """Runs the cells, says which one, leaves out those that a tag says to skip, and cuts endless output."""

    timer: threading.Timer
    at: int | None = None
    kernel: "subprocess.Popen[bytes] | None" = None
    printed = shown = 0
    has_expired = False

    async def async_start_new_kernel_client(self) -> Any:
        """Start a kernel; see nbclient."""
        self.kernel = self.km.provisioner.process
        client = await super().async_start_new_kernel_client()
        self.timer.start()
        return client

    async def async_execute_cell(self, cell: Any, cell_index: int, *arguments: Any, **options: Any) -> Any:
        """Run one cell; see nbclient."""
        if cell.cell_type != "code" or outputs.SKIP_TAGS & outputs.tags_of(cell):
            return cell
        self.at, self.printed, self.shown = cell_index + 1, 0, 0
        say(cell=self.at, cells=len(self.nb.cells))
        try:
            return await super().async_execute_cell(cell, cell_index, *arguments, **options)
        finally:
            for output in cell.outputs:
                if output.output_type == "stream" and "\r" in output.text:
                    output.text = as_shown(output.text)
            if (more := self.printed - PRINTED_LIMIT) > 0:
                note = f"\n[left out of this copy: {more:,} more characters that the cell printed]\n"
                cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=note))

    def output(self, outs: list[Any], msg: dict[str, Any], *arguments: Any) -> Any:
        """Take one output of the running cell; see nbclient."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            room = max(0, PRINTED_LIMIT - self.printed)
            self.printed += len(content["text"])
            if not room:
                return None
            content["text"] = content["text"][:room]
            # Joined here, because nbclient's own way takes minutes for one line of a million characters.
            last = outs[-1] if outs and not self.clear_before_next_output else None
            if last and last.output_type == "stream" and last.name == content["name"]:
                last.text += content["text"]
                return last
        elif msg["msg_type"] == "error":
            content["evalue"] = content["evalue"][:PRINTED_LIMIT]
            content["traceback"] = [line[:PRINTED_LIMIT] for line in content["traceback"]]
        elif "data" in content:
            size = sum(len(str(value)) for value in content["data"].values())
            self.shown += size
            if self.shown > SHOWN_LIMIT:
                content["data"] = {"text/plain": f"[left out of this copy: {size:,} characters that the cell showed]"}
        return super().output(outs, msg, *arguments)

    def expire(self) -> None:
        """Kill the kernel, because its time is up."""
        self.has_expired = True
        self.kill()

    def kill(self) -> None:
        """Kill the kernel and whatever it started: it leads a process group."""
        if self.kernel:
            with suppress(ProcessLookupError):
                os.killpg(self.kernel.pid, signal.SIGKILL)


def as_shown(text: str) -> str:
    """Leave out what a terminal would write over, as progress bars do."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def read(file: Path) -> Any:
    """Read a notebook as its author saved it; raise ValueError where it is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 text, at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON, in line {error.lineno}: {error.msg}") from error
    if not isinstance(content, dict) or "nbformat" not in content:
        raise ValueError("it is JSON, but no notebook")
    try:
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:
        raise ValueError(f"it is no notebook that Jupyter can read: {str(error).splitlines()[0]}") from error
    return notebook


def without_outputs(saved: Any, paper_id: str) -> Any:
    """Copy a notebook, without its outputs and for the paper's kernel."""
    notebook = copy.deepcopy(saved)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if outputs.RAISES_TAG in outputs.tags_of(cell):
                cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), outputs.RAISES_TAG})
    notebook.metadata["kernelspec"] = {"name": paper_id.lower(), "display_name": paper_id, "language": "python"}
    notebook.metadata.pop("widgets", None)
    return notebook


def copy_home(scratch: Path) -> list[str]:
    """Make `scratch` look like the home, with a copy of the notebooks; return what could not be copied."""
    for entry in HOME.iterdir():
        if entry.name != NOTEBOOKS.name:
            (scratch / entry.name).symlink_to(entry)
    executed = {EXECUTED.name}
    try:
        shutil.copytree(
            SOURCE,
            scratch / NOTEBOOKS.name,
            symlinks=True,
            ignore=lambda folder, names: {*NOT_COPIED(folder, names), *(executed if Path(folder) == SOURCE else ())},
        )
    except shutil.Error as error:
        return [f"{source} was not there for the notebook: {reason}" for source, _, reason in error.args[0]]
    return []


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file below `folder`, but for what Python and Jupyter leave behind."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = set(folders) - NOT_COPIED(parent, folders)
        for file in (Path(parent) / name for name in files):
            status = file.lstat()
            found[file.relative_to(folder).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found


def run(runner: Runner, seconds: float, log: Path) -> tuple[str, str]:
    """Run all cells; return the status, and the error's last line where there is one."""
    # Starting a kernel takes a second or half a minute, as the machine is busy: that is not the notebook's time.
    runner.timer = threading.Timer(seconds, runner.expire)
    try:
        with log.open("wb") as errors:
            asyncio.run(runner.async_execute(stdout=subprocess.DEVNULL, stderr=errors))
    except CellExecutionError as error:
        last = (ANSI.sub("", error.evalue or "").strip().splitlines() or [""])[-1].strip()
        return "failed", f"{error.ename}: {last}"
    except (DeadKernelError, RuntimeError) as error:
        if runner.has_expired:
            return "timed out", f"not done after {seconds:g} s"
        return "kernel died", why_dead(runner, log) or str(error)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    finally:
        runner.timer.cancel()
        runner.kill()
    # A kernel that is killed as its last cell ends has no cell left to fail.
    return ("timed out", f"not done after {seconds:g} s") if runner.has_expired else ("passed", "")


def why_dead(runner: Runner, log: Path) -> str:
    """Say how the kernel ended, and what it last complained of where it ended by itself."""
    status = runner.kernel.poll() if runner.kernel else None
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        if name == "SIGBUS":
            megabytes = shutil.disk_usage("/dev/shm").total // 10**6  # noqa: S108
            return f"ended by SIGBUS: its shared memory of {megabytes} MB is full; HUB_SHM_SIZE in .env gives it more"
        if name == "SIGKILL" and kills_for_memory() > KILLS_BEFORE:
            return f"its memory of {memory() / 1e9:.1f} GB is full: Docker needs more of it, or the notebook less"
        return f"ended by {name}" + (", as when the memory is full" if name == "SIGKILL" else "")
    complaints = log.read_bytes()[-5000:].decode("utf-8", "replace").strip().splitlines()
    said = f": {ANSI.sub('', complaints[-1]).strip()}" if complaints and status else ""
    return "" if status is None else f"ended with exit status {status}{said}"


def of_cgroup(*names: str) -> str:
    """What cgroup v2 or v1, each by its own name of a file, says of this container; nothing where there is neither."""
    for name in names:
        with suppress(OSError):
            return (Path("/sys/fs/cgroup") / name).read_text(encoding="utf-8")
    return ""


def kills_for_memory() -> int:
    """Count the processes of this container that Linux killed for want of memory."""
    events = of_cgroup("memory.events", "memory/memory.oom_control")
    return sum(int(line.split()[1]) for line in events.splitlines() if line.startswith("oom_kill "))


def memory() -> int:
    """How many bytes of memory this container may take: its limit, or all that the machine has."""
    limit = of_cgroup("memory.max", "memory/memory.limit_in_bytes").strip()
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, int(limit)) if limit.isdigit() else machine


KILLS_BEFORE = kills_for_memory()


def replace(file: Path, content: str) -> None:
    """Put a file in place whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    incoming = file.with_name(f".{file.name}.tmp")
    incoming.write_text(content, encoding="utf-8")
    incoming.replace(file)


def keep(notebook: Any, name: Path, folder: Path, wrote: list[str], cells: list[dict[str, Any]]) -> list[str]:
    """Put executed copy, HTML, comparison and what it wrote into executed/; return what could not be kept."""
    target, notes = EXECUTED / name, []
    resources = {"metadata": {"name": name.stem, "path": str((folder / name).parent)}}
    try:
        replace(target, nbformat.writes(notebook) + "\n")
        kept = target.with_name(f"{name.stem}_files")
        shutil.rmtree(kept, ignore_errors=True)
        for file in wrote:
            (kept / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / file, kept / file, follow_symlinks=False)
        figures = [
            item | {"cell": cell["cell"]} for cell in cells for item in cell["items"] if item["kind"] == "figure"
        ]
        replace(target.with_suffix(".figures.json"), json.dumps(figures))
        ran = datetime.now().strftime("%Y-%m-%d %H:%M")
        replace(target.with_suffix(".compared.html"), page.render(str(name), outputs.count(cells), cells, ran))
        exporter = HTMLExporter(embed_images=True, html_manager_semver_range=html_manager(notebook))
        text, _ = exporter.from_notebook_node(with_pictures_of_widgets(notebook), resources)
        replace(target.with_suffix(".html"), text)
    except Exception as error:
        notes.append(f"not all of it could be kept in {EXECUTED.name}/: {type(error).__name__}: {error}")
    return notes


def html_manager(notebook: Any) -> str:
    """Which version of @jupyter-widgets/html-manager shows the widgets: ipywidgets 7 has models of major version 1."""
    models = [model for state in notebook.metadata.get("widgets", {}).values() for model in state["state"].values()]
    return "^0.20" if any(model["model_module_version"].startswith("1.") for model in models) else "^1"


def with_pictures_of_widgets(notebook: Any) -> Any:
    """Copy a notebook, with a picture in place of each widget that has one: it is seen without a network."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.data.pop(outputs.WIDGET, None)
    return notebook


def main(name: Path, seconds: float, scratch: Path) -> dict[str, Any]:
    """Run a notebook and keep what came of it; return its result."""
    paper_id, started = os.environ["PAPER_ID"], time.monotonic()
    try:
        saved = read(SOURCE / name)
    except (OSError, ValueError) as trouble:
        why = (isinstance(trouble, OSError) and trouble.strerror) or str(trouble)
        return {"status": "failed", "cell": None, "error": why, "seconds": 0, "wrote": [], "notes": [], "shown": {}}
    notebook = without_outputs(saved, paper_id)
    tempfile.tempdir = str(scratch)  # where the kernel's connection file goes
    folder = scratch / NOTEBOOKS.name
    runner = Runner(
        notebook,
        kernel_name=paper_id.lower(),
        resources={"metadata": {"path": str((folder / name).parent)}},
        timeout=None,
        startup_timeout=KERNEL_START_SECONDS,
        shutdown_kernel="immediate",
    )
    threading.Thread(target=end_with_standard_input, args=(runner, scratch), daemon=True).start()
    notes = copy_home(scratch)
    before = snapshot(folder)
    status, error = run(runner, seconds, scratch / "kernel.log")
    took = time.monotonic() - started
    wrote = sorted(file for file, state in snapshot(folder).items() if before.get(file) != state)
    stopped_at = None if status == "passed" else runner.at or 0
    cells = outputs.compare(saved, notebook, stopped_at, datetime.now())
    notes += keep(notebook, name, folder, wrote, cells)
    return {
        "status": status,
        "cell": None if status == "passed" else runner.at,
        "error": error if len(error) <= ERROR_LIMIT else f"{error[:ERROR_LIMIT]}…",
        "seconds": round(took, 1),
        "wrote": wrote,
        "notes": notes,
        "shown": outputs.count(cells),
        "differences": [
            f"cell {cell['cell']}: {item['kind']} differs: {item['why']}"
            for cell in cells
            for item in cell["items"]
            if item["verdict"] == outputs.DIFFERS
        ],
    }


def names() -> list[str]:
    """Name every notebook, as paths relative to their folder."""
    found = (file.relative_to(SOURCE) for file in SOURCE.rglob("*.ipynb"))
    return sorted(
        name.as_posix() for name in found if name.parts[0] != EXECUTED.name and ".ipynb_checkpoints" not in name.parts
    )


def end_with_standard_input(runner: Runner, scratch: Path) -> None:
    """Wait until whoever asked is gone, then leave nothing behind."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    runner.kill()
    for _ in range(100):  # the other thread may be writing there
        shutil.rmtree(scratch, ignore_errors=True)
        if not scratch.exists():
            break
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        print(json.dumps(names()))
        sys.exit()
    with tempfile.TemporaryDirectory(prefix="run-notebook-", ignore_cleanup_errors=True) as scratch_name:
        say(**main(Path(sys.argv[1]), float(sys.argv[2]), Path(scratch_name)))
