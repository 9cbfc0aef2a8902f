"""The paper's environment, solved for the base image that it will be installed in; told on the terminal."""

from spyglass_export import console
from spyglass_export.containers.bootstrap import is_stand_in
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import glibc_of
from spyglass_export.environment.lock import FILE as LOCK_FILE
from spyglass_export.environment.solving import Prepared, prepare, require_solved
from spyglass_export.settings import Settings


def solve_environment(settings: Settings, docker: Docker) -> Prepared:
    """Solve the environment, or take the lock that is there; say what could not be looked at.

    Raises UserError where it does not solve. On a stand-in where no channel of conda answers, what does not solve is a
    warning: the stand-in leaves out what cannot be had, and the image keeps what that was.
    """
    with console.status("solving the environment"):
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
