"""Run the paper's notebooks in the hub, two at a time, and keep what came of each."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from spyglass_export import console
from spyglass_export.checksum import sha256
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.notebooks.files import notebook_files
from spyglass_export.notebooks.last_test import fingerprint
from spyglass_export.notebooks.results import EXECUTED, NOTHING_TO_COMPARE, Result, keep_result, sentence
from spyglass_export.settings import Settings

SCRIPT = "/opt/paper/run_notebook.py"
AT_A_TIME = 2
FIX = "notebooks/executed/ has a copy of each with its error; `--timeout` gives them more seconds"
COUNTED = ("same", "close", "differs", "nothing saved")
DIFFERENCES_SHOWN = 5


def published_notebooks(docker: Docker) -> list[str]:
    """Name the notebooks that the running hub's image holds, as paths relative to their folder.

    Raises UserError where it was published before readers could test notebooks.
    """
    if docker.dry:
        return []
    try:
        listed = docker.ask("compose", "exec", "--no-TTY", "hub", "/opt/conda/bin/python", SCRIPT, "--list")
        found: list[str] = json.loads(listed)
    except (UserError, ValueError) as error:
        what = "the hub that runs cannot test its notebooks: it was published before that was possible"
        raise UserError(what, "run them in JupyterLab") from error
    return found


def run_notebooks(
    settings: Settings, docker: Docker, names: Sequence[str], seconds: float, *, strict: bool, keep: bool
) -> None:
    """Run notebooks on the paper's kernel in the running hub, each for at most ``seconds``, and show what came of each.

    Each runs in a copy of its folder, so that what it writes there replaces nothing. With ``keep`` the results are
    kept in notebooks/ of this folder. Raises UserError where one does not pass, or with ``strict`` where a cell shows
    something else than was saved.
    """
    if not docker.dry and not docker.succeeds("compose", "exec", "--no-TTY", "hub", "test", "-f", SCRIPT):
        raise UserError("the hub that runs was built before notebooks could be tested", "run `invoke build`")
    before = _snapshot(settings)
    tested_in = "" if docker.dry else fingerprint(settings, docker, *(_image_of(docker, one) for one in ("db", "hub")))
    results = []
    with _progress(len(names)) as show:
        for result in _run_all(settings, docker, names, seconds, show):
            results.append(replace(result, tested_in=tested_in))
            if keep:
                keep_result(settings, results[-1])
    if docker.dry:
        return
    results.sort(key=lambda result: names.index(result.name))
    _show(results)
    if changed := sorted({file for file, _ in before ^ _snapshot(settings)}):
        console.warn(
            f"changed in notebooks/ meanwhile, by you or by an absolute path in one of them: {', '.join(changed)}"
        )
    troubled = [one.name for one in results if one.status != "passed"]
    where = "" if keep else ", to be opened in JupyterLab"
    console.say(
        f"{len(results) - len(troubled)} of {len(results)} passed; notebooks/{EXECUTED}/ has their executed copies, "
        f"and in NAME.compared.html saved and new side by side{where}"
    )
    told = sentence(results)
    if keep and not troubled:
        if told == NOTHING_TO_COMPARE:
            console.say("next: run and save them in JupyterLab, with their outputs, then `invoke test_notebooks` again")
        else:
            console.say("next: `invoke report` tells co-authors; `invoke archive` or `invoke publish` shares the paper")
    console.say(told)
    if troubled:
        raise UserError(f"{len(troubled)} of {len(results)} notebooks did not pass: {', '.join(troubled)}", FIX)
    if strict and (different := [one.name for one in results if one.count("cell", "differs")]):
        what = (
            f"{len(different)} of {len(results)} notebooks show something else than was saved: {', '.join(different)}"
        )
        raise UserError(what, "a cell whose output always changes can have the tag nbval-ignore-output")


def _show(results: Sequence[Result]) -> None:
    rows = [
        [one.name, one.status, f"{one.seconds:.1f}", *(str(one.count("cell", verdict)) for verdict in COUNTED), one.why]
        for one in results
    ]
    console.show_table("notebooks, and what their cells show", ["notebook", "result", "seconds", *COUNTED, "why"], rows)
    for one in results:
        for difference in one.differences[:DIFFERENCES_SHOWN]:
            console.say(f"{one.name}, {difference}")
        if more := one.differences[DIFFERENCES_SHOWN:]:
            console.say(f"{one.name}, and {len(more)} more")
        if one.wrote:
            console.say(f"{one.name} wrote {', '.join(one.wrote)}: kept in {files_of(one.name)}/")


def _image_of(docker: Docker, service: str) -> str:
    container = docker.ask("compose", "ps", "--quiet", service).strip()
    return docker.ask("inspect", "--format", "{{.Image}}", container).strip() if container else ""


def files_of(name: str) -> str:
    """Where, below the project's folder, what a notebook wrote is kept."""
    return f"notebooks/{EXECUTED}/{name.removesuffix('.ipynb')}_files"


def _snapshot(settings: Settings) -> set[tuple[str, tuple[int, int]]]:
    found = set()
    for file in notebook_files(settings.notebooks):
        status = file.lstat()
        found.add((file.relative_to(settings.notebooks).as_posix(), (status.st_size, status.st_mtime_ns)))
    return found


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, str], None]]:
    """Show which notebooks run, at which cell; gives what to call with a notebook and what it does, or ''."""
    running: dict[str, str] = {}
    done = 0
    with console.status(f"0 of {total} notebooks done") as show_status:

        def show(name: str, what: str) -> None:
            nonlocal done
            running[name] = what
            if not what:
                del running[name]
                done += 1
            lines = [f"  {name}: {what}" for name, what in sorted(running.items())]
            show_status("\n".join([f"{done} of {total} notebooks done", *lines]))

        yield show


def _run_all(
    settings: Settings, docker: Docker, names: Sequence[str], seconds: float, show: Callable[[str, str], None]
) -> Iterator[Result]:
    # As long as the pipe is open, somebody waits for the notebooks. It closes with this process, however that ends.
    lifeline, end_of_lifeline = os.pipe()
    pool = ThreadPoolExecutor(max_workers=AT_A_TIME)
    try:
        runs = [pool.submit(_run, settings, docker, name, seconds, lifeline, show) for name in names]
        for run in as_completed(runs):
            if result := run.result():
                console.say(f"{result.status}: {result.name}, {result.seconds:.1f} s")
                yield result
    finally:
        os.close(end_of_lifeline)
        pool.shutdown(cancel_futures=True)
        os.close(lifeline)


def _run(
    settings: Settings, docker: Docker, name: str, seconds: float, lifeline: int, show: Callable[[str, str], None]
) -> Result | None:
    show(name, "starts")
    started, last = time.monotonic(), ""
    found: dict[str, Any] = {}
    file = settings.notebooks / name
    hashed = sha256(file) if file.is_file() else ""
    # With GRANT_SUDO the container is root's, and JupyterLab the notebooks' owner's all the same.
    user_id, group_id = docker.owner or (1000, 100)
    user = ("--user", f"{user_id}:{group_id}") if settings.grant_sudo else ()
    command = ("/opt/conda/bin/python", SCRIPT, name, f"{seconds:g}")
    try:
        for line in docker.follow("compose", "exec", "--no-TTY", *user, "hub", *command, stdin=lifeline):
            report = _parse(line)
            if "status" in report:
                found = report
            elif report:
                show(name, f"cell {report['cell']} of {report['cells']}")
            else:
                last = line.strip() or last
    except subprocess.CalledProcessError as error:
        last = last or f"exit status {error.returncode}"
    show(name, "")
    if docker.dry:
        return None
    for note in found.get("notes", ()):
        console.warn(f"{name}: {note}")
    return Result(
        name=name,
        status=found.get("status", "failed"),
        cell=found.get("cell"),
        error=found.get("error", f"the hub stopped running it, perhaps for want of memory: {last}"),
        seconds=found.get("seconds", round(time.monotonic() - started, 1)),
        wrote=tuple(found.get("wrote", ())),
        sha256=hashed,
        ran=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        shown=found.get("shown", {}),
        differences=tuple(found.get("differences", ())),
    )


def _parse(line: str) -> dict[str, Any]:
    try:
        report = json.loads(line)
    except ValueError:
        return {}
    return report if isinstance(report, dict) and "cell" in report else {}
