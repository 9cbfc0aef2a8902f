"""Solve the environment and build the two images, showing each step as it runs."""

import re
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spyglass_export import console
from spyglass_export.containers.bootstrap import is_stand_in
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.faults import NoSpace, recognise
from spyglass_export.containers.image import glibc_of
from spyglass_export.environment.lock import FILE as LOCK_FILE
from spyglass_export.environment.solving import Prepared, prepare, require_solved
from spyglass_export.errors import UserError, spoken
from spyglass_export.files import write_text
from spyglass_export.settings import Settings

LOG_LINES = 15
# BuildKit's plain progress: "#7 [hub stage-0 2/9] RUN …" opens step 7, "#7 1.234 text" is what it prints.
STEP = re.compile(r"#(\d+) \[(db|hub)\b[^\]]*?(\d+/\d+)\] (.*)")
OUTPUT = re.compile(r"#(\d+) [\d.]+ (.*)")
FAILURE = re.compile(r"#(\d+) ERROR: (.*)")

# What a step does, by a word of its instruction; the first that fits.
MEANINGS = {
    "&& mysqld": "making an empty database",
    "load_export": "loading the paper's rows",
    "install_environment.py": "installing the paper's environment, which takes longest",
    "apt-get": "installing system packages",
    "pip install": "installing Python packages for JupyterLab",
    "front_ends": "preparing the kernel and its widgets",
    "pip freeze": "listing what was installed",
    "FROM": "getting the base image",
    "COPY notebooks": "copying the notebooks",
}


def solve_environment(settings: Settings, docker: Docker) -> Prepared:
    """Solve the environment, or take the lock that is there; say what could not be looked at.

    Raises UserError where it does not solve. On a stand-in where no channel of conda answers, what does not solve is a
    warning: the stand-in leaves out what cannot be had, and the image keeps what that was.
    """
    prepared = prepare(settings, glibc_of(docker, settings.hub_base_image))
    if prepared.unreachable:
        silent = "; ".join(f"{place} ({why})" for place, why in sorted(prepared.unreachable.items()))
        console.warn(f"could not look at {silent}: the environment is installed as it is written, and not locked")
    for note in prepared.notes:
        console.say(note)
    if is_stand_in(settings.hub_base_image) and not prepared.channels_answer:
        for problem in prepared.problems:
            console.warn(f"{problem.what}; {problem.advice}")
    else:
        require_solved(prepared)
    if prepared.lock and prepared.is_new:
        lock = prepared.lock
        console.say(f"solved: {len(lock.conda)} conda and {len(lock.pip)} pip packages, kept in {LOCK_FILE}")
    return prepared


def build_images(root: Path, docker: Docker) -> None:
    """Build both images; the whole log goes to `build.log`.

    Raises UserError with what failed: in our scripts' own words where they failed, else in Docker's, with
    the last lines of the failed step printed above it.
    """
    log: list[str] = []
    started = time.monotonic()
    try:
        with _steps_shown() as show:
            for line in docker.follow("compose", "--progress", "plain", "build"):
                log.append(line)
                show(line)
    except subprocess.CalledProcessError as error:
        raise _explain(log) from error
    finally:
        if log:
            write_text(root / "build.log", "\n".join(log) + "\n")
    for line in log:
        if (output := OUTPUT.match(line)) and output[2].startswith(("stand-in: ", "JupyterLab: ")):
            console.warn(output[2].removeprefix("stand-in: "))
    if not docker.dry:
        console.say(f"built both images in {time.monotonic() - started:.0f} s")


@contextmanager
def _steps_shown() -> Iterator[Callable[[str], None]]:
    """Show steps in place on a terminal, a line for each that runs where the output is none."""
    steps: dict[str, str] = {}
    shown: set[str] = set()
    with console.status("building both images") as show_status:

        def show(line: str) -> None:
            if step := STEP.match(line):
                steps[step[1]] = f"{step[2]}, step {step[3]}: {_meaning(step[4])}"
            elif (output := OUTPUT.match(line)) and (title := steps.get(output[1])):
                # What mysqld says while it starts alarms, and tells nothing.
                detail = "" if "[Server]" in line or "[InnoDB]" in line else textwrap.shorten(output[2], 100)
                show_status(f"{title}\n  {detail}".rstrip())
                if not console.is_terminal() and output[1] not in shown:
                    shown.add(output[1])
                    console.say(title)

        yield show


def _meaning(instruction: str) -> str:
    """Tell what a step does; what it mounts or may reach, and where files belong, says nothing to the user."""
    words = " ".join(word for word in instruction.split() if not word.startswith("--"))
    return next((meaning for word, meaning in MEANINGS.items() if word in words), "setting up")


def _explain(log: list[str]) -> UserError:
    outputs = [output[2] for line in log if (output := OUTPUT.match(line))]
    if said := spoken(outputs):
        return UserError(said.what, said.hint or "build.log has the whole log")
    # What a step prints is not Docker's own, except where the disk is full, which it alone may tell.
    if NoSpace.fits("\n".join(outputs)):
        return NoSpace()
    if trouble := recognise("\n".join(line for line in log if not OUTPUT.match(line))):
        return trouble
    failure = next((match for line in log if (match := FAILURE.match(line))), None)
    if not failure:
        last = next((line for line in reversed(log) if line.strip()), "Docker gave no reason")
        return UserError(f"the images cannot be built: {last}", "build.log has the whole log")
    step = [output[2] for line in log if (output := OUTPUT.match(line)) and output[1] == failure[1]]
    for text in step[-LOG_LINES:]:
        console.note(f"  {text}")
    title = next((found for line in log if (found := STEP.match(line)) and found[1] == failure[1]), None)
    return UserError(
        f"the image of {title[2]} cannot be built: step {title[3]} failed" if title else failure[2],
        "the lines above are the last that it printed; build.log has all of them",
    )
