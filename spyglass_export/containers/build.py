"""Solve the environment and build the two images, showing each step as it runs."""

import re
import subprocess
import textwrap
import time
from collections.abc import Callable
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
    if (lock := prepared.lock) and prepared.is_new:
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
        with console.status("building both images") as show_status:
            shown: dict[str, str] = {}
            for line in docker.follow("compose", "--progress", "plain", "build"):
                log.append(line)
                if step := STEP.match(line):
                    # What it mounts or may reach, and where files belong, says nothing to the user.
                    words = " ".join(word for word in step[4].split() if not word.startswith("--"))
                    meaning = next((meaning for word, meaning in MEANINGS.items() if word in words), "setting up")
                    shown[step[1]] = f"{step[2]}, step {step[3]}: {meaning}"
                elif (output := OUTPUT.match(line)) and output[1] in shown:
                    _show(shown, output[1], output[2], show_status)
    except subprocess.CalledProcessError as error:
        raise _explain(log) from error
    finally:
        if log:
            write_text(root / "build.log", "\n".join(log) + "\n")
    for text in _printed(log):
        if text.startswith(("stand-in: ", "JupyterLab: ")):
            console.warn(text.removeprefix("stand-in: "))
    if not docker.dry:
        console.say(f"built both images in {time.monotonic() - started:.0f} s")


def _show(titles: dict[str, str], step: str, text: str, show_status: Callable[[str], None]) -> None:
    """Show a step in place on a terminal, or by a line where the output is none."""
    if not console.is_terminal():
        console.say(titles.pop(step))
        return
    # What mysqld says while it starts alarms, and tells nothing.
    detail = "" if "[Server]" in text or "[InnoDB]" in text else textwrap.shorten(text, 100)
    show_status(f"{titles[step]}\n  {detail}".rstrip())


def _printed(log: list[str], step: str = "") -> list[str]:
    """What the steps of a build printed, or one of them."""
    return [output[2] for line in log if (output := OUTPUT.match(line)) and step in ("", output[1])]


def _explain(log: list[str]) -> UserError:
    if said := spoken(_printed(log)):
        return UserError(said.what, said.hint or "build.log has the whole log")
    # What a step prints is not Docker's own, except where the disk is full, which it alone may tell.
    if NoSpace.fits("\n".join(_printed(log))):
        return NoSpace()
    if trouble := recognise("\n".join(line for line in log if not OUTPUT.match(line))):
        return trouble
    failure = next(filter(None, map(FAILURE.match, log)), None)
    if not failure:
        last = next((line for line in reversed(log) if line.strip()), "Docker gave no reason")
        return UserError(f"the images cannot be built: {last}", "build.log has the whole log")
    for text in _printed(log, failure[1])[-LOG_LINES:]:
        console.note(f"  {text}")
    title = next((found for found in map(STEP.match, log) if found and found[1] == failure[1]), None)
    what = f"the image of {title[2]} cannot be built: step {title[3]} failed" if title else failure[2]
    return UserError(what, "the lines above are the last that it printed; build.log has all of them")
