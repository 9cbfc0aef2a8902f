"""Run the paper's notebooks in the hub, two at a time, and keep what came of each."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from spyglass_export import console
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.project import containers_of
from spyglass_export.errors import UserError
from spyglass_export.files import sha256
from spyglass_export.notebooks.files import EXECUTED, notebook_files
from spyglass_export.notebooks.results import NOTHING_TO_COMPARE, Result, fingerprint, keep_result, sentence
from spyglass_export.settings import Settings

SCRIPT = ("/opt/conda/bin/python", "/opt/paper/run_notebook.py")
IN_HUB = ("compose", "exec", "--no-TTY")
AT_A_TIME = 2
FIX = f"notebooks/{EXECUTED}/ has a copy of each with its error; `--timeout` gives them more seconds"
COUNTED = ("same", "close", "differs", "nothing saved")
DIFFERENCES_SHOWN = 5
Show = Callable[[str, str], None]


def published_notebooks(docker: Docker) -> list[str]:
    """Name the notebooks that the running hub's image holds."""
    listed = docker.ask(*IN_HUB, "hub", *SCRIPT, "--list")
    found: list[str] = [] if docker.dry else json.loads(listed)
    return found


def run_notebooks(
    settings: Settings, docker: Docker, names: Sequence[str], seconds: float, *, strict: bool, keep: bool
) -> None:
    """Run notebooks in the running hub, each for at most ``seconds``; show what came of each, and ``keep`` it.

    Raises UserError where one does not pass, or with ``strict`` where a cell shows something else than was saved.
    """
    before, results = _snapshot(settings), []
    for result in _run_all(settings, docker, names, seconds):
        results.append(result)
        if keep:
            keep_result(settings, result)
    if docker.dry:
        return
    results.sort(key=lambda result: names.index(result.name))
    _show(results)
    if changed := sorted({file for file, *_ in before ^ _snapshot(settings)}):
        where = "by you or by an absolute path in one of them"
        console.warn(f"changed in notebooks/ meanwhile, {where}: {', '.join(changed)}")
    troubled = [one.name for one in results if one.status != "passed"]
    console.say(
        f"{len(results) - len(troubled)} of {len(results)} passed; notebooks/{EXECUTED}/ has their executed copies, "
        f"and in NAME.compared.html saved and new side by side{'' if keep else ', to be opened in JupyterLab'}"
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
        count = f"{len(different)} of {len(results)} notebooks show something else than was saved"
        hint = "a cell whose output always changes can have the tag nbval-ignore-output"
        raise UserError(f"{count}: {', '.join(different)}", hint)


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
            kept = f"notebooks/{EXECUTED}/{one.name.removesuffix('.ipynb')}_files/"
            console.say(f"{one.name} wrote {', '.join(one.wrote)}: kept in {kept}")


def _snapshot(settings: Settings) -> set[tuple[str, int, int]]:
    stats = ((file, file.lstat()) for file in notebook_files(settings.notebooks))
    return {(file.relative_to(settings.notebooks).as_posix(), stat.st_size, stat.st_mtime_ns) for file, stat in stats}


def _run_all(settings: Settings, docker: Docker, names: Sequence[str], seconds: float) -> Iterator[Result]:
    ids = [one.id for _, one in sorted(containers_of(docker).items())]  # of db and hub
    images = docker.ask("inspect", "--format", "{{.Image}}", *ids).split() if ids else []
    tested_in = fingerprint(settings, docker, *images) if len(images) == 2 else ""
    # As long as the pipe is open, somebody waits for the notebooks. It closes with this process, however that ends.
    lifeline, end_of_lifeline = os.pipe()
    pool = ThreadPoolExecutor(max_workers=AT_A_TIME)
    running: dict[str, str] = {}
    done = 0
    try:
        with console.status(f"0 of {len(names)} notebooks done") as show_status:

            def show(name: str, what: str) -> None:
                running[name] = what
                lines = [f"  {name}: {what}" for name, what in sorted(running.items())]
                show_status("\n".join([f"{done} of {len(names)} notebooks done", *lines]))

            runs = [pool.submit(_run, settings, docker, name, seconds, lifeline, show) for name in names]
            for run in as_completed(runs):
                if result := run.result():
                    done += 1
                    running.pop(result.name, None)
                    console.say(f"{result.status}: {result.name}, {result.seconds:.1f} s")
                    yield replace(result, tested_in=tested_in)
    finally:
        os.close(end_of_lifeline)
        pool.shutdown(cancel_futures=True)
        os.close(lifeline)


def _run(settings: Settings, docker: Docker, name: str, seconds: float, lifeline: int, show: Show) -> Result | None:
    show(name, "starts")
    started, last = time.monotonic(), ""
    found: dict[str, Any] = {}
    file = settings.notebooks / name
    hashed = sha256(file) if file.is_file() else ""
    # With GRANT_SUDO the container is root's, and JupyterLab the notebooks' owner's all the same.
    user_id, group_id = docker.owner or (1000, 100)
    user = ("--user", f"{user_id}:{group_id}") if settings.grant_sudo else ()
    try:
        for line in docker.follow(*IN_HUB, *user, "hub", *SCRIPT, name, f"{seconds:g}", stdin=lifeline):
            try:
                report = json.loads(line)
            except ValueError:
                report = None
            if not isinstance(report, dict) or "cell" not in report:
                last = line.strip() or last
            elif "status" in report:
                found = report
            else:
                show(name, f"cell {report['cell']} of {report['cells']}")
    except subprocess.CalledProcessError as error:
        last = last or f"exit status {error.returncode}"
    if docker.dry:
        return None
    for note in found.pop("notes", ()):
        console.warn(f"{name}: {note}")
    why = f"the hub stopped running it, perhaps for want of memory: {last}"
    unfinished = {"status": "failed", "cell": None, "error": why, "seconds": round(time.monotonic() - started, 1)}
    ran = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Result.of({**(found or unfinished), "name": name, "sha256": hashed, "ran": ran})
