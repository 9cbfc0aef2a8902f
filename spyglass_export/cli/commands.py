"""The commands that authors and readers share; each parses, calls and prints."""

import functools
import gc
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from spyglass_export import console
from spyglass_export.cli.invoke_patches import wrong_usage
from spyglass_export.containers import ports, reader, stack
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import left_out
from spyglass_export.containers.podman import open_door
from spyglass_export.containers.project import containers_of, volumes_of
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings
from spyglass_export.settings import load as load_settings

ROOT = Path(__file__).resolve().parents[2]

# What pip calls a module; those of `invoke merge` are wanted together.
PACKAGES = {"dotenv": "python-dotenv", "rattler": "py-rattler", "yaml": "pyyaml"}
PACKAGES |= dict.fromkeys(("pymysql", "sqlparse"), "pymysql sqlparse")
STATES = {True: "in use", False: "superseded", None: "unknown"}


def _take_a_stop_as_an_interrupt() -> None:
    """End by SIGTERM, and by a terminal that closes, as by Ctrl-C: nothing half-written is left then."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has only the first
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, signal.default_int_handler)


def command(**options: Any) -> Callable[[Callable[..., None]], Task[Any]]:
    """Make a function a command whose problems reach the user as `error:` and `hint:` lines."""

    def decorate(function: Callable[..., None]) -> Task[Any]:
        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> None:
            _take_a_stop_as_an_interrupt()
            with console.errors_as_lines(debug=logging.getLogger("invoke").isEnabledFor(logging.DEBUG)):
                try:
                    function(*arguments, **named)
                except ModuleNotFoundError as error:  # readers install what most of them need
                    name = str(error.name)
                    hint = f"run `pip install {PACKAGES.get(name, name)}`"
                    raise UserError(f"{name} is not installed", hint) from error
                finally:
                    gc.freeze()  # or Python, as it ends, looks through all that was imported

        other_spelling = [run.__name__.replace("_", "-")] if "_" in run.__name__ else []
        made: Task[Any] = invoke_task(**options | {"aliases": [*options.get("aliases", ()), *other_spelling]})(run)
        return made

    return decorate


def is_dry(context: Context) -> bool:
    """Whether commands are shown and not run: `invoke --dry`."""
    return bool(context.config.run.dry)


def read_settings(context: Context, root: Path = ROOT) -> Settings:
    """Read .env, with a number for each port that is `auto`."""
    return ports.settle(load_settings(root, os.environ), dry=is_dry(context))


def this_stack(context: Context) -> tuple[Settings, Docker]:
    """Give the stack that this folder has: the author's, or a reader's."""
    settings, dry = read_settings(context), is_dry(context)
    open_door(settings.docker, ROOT, dry=dry).check(to_build=False)
    door = reader.readers_docker if reader.is_readers(settings, dry=dry) else stack.authors_docker
    return settings, door(settings, dry=dry)


def print_url(settings: Settings) -> None:
    """Print where JupyterLab answers, and its password."""
    console.say(f"JupyterLab: {settings.url}   password: {settings.jupyter_server_app_password}")


def start_if_down(settings: Settings, docker: Docker, service: str) -> None:
    """Start both containers, unless the one of this service runs already."""
    stack.check_folder(settings, docker)
    if not docker.dry and not stack.is_running(docker, service):
        console.say(f"{service} is not running: starting it")
        ports.check_ports(settings, docker)
        stack.start(settings, docker)


@command(help={"from_": "a folder that `invoke archive` wrote: its images, and no registry"})
def run(context: Context, from_: str = "") -> None:
    """Start the published images, as a reader does; prints JupyterLab's URL and password."""
    settings, dry = read_settings(context), is_dry(context)
    open_door(settings.docker, ROOT, dry=dry).check(to_build=False)
    if from_:
        reader.load_archive(settings, Path(from_).expanduser(), dry=dry)
        settings = read_settings(context)  # .env names the images now
    docker = reader.readers_docker(settings, dry=dry)
    ports.check_ports(settings, docker)
    reader.fetch(docker)
    stack.start(settings, reader.readers_docker(settings, dry=dry))
    if not dry:
        print_url(settings)
        console.say("next: open it, and run a notebook: Run, Run All Cells; `invoke down` stops it")


@command()
def stop(context: Context) -> None:
    """Pause both containers; `invoke up`, or a reader's `invoke run`, starts them again."""
    settings, docker = this_stack(context)
    stack.check_folder(settings, docker)
    docker.ask("compose", "stop")
    if not docker.dry:
        console.say("both containers are stopped; nothing was removed")


@command()
def down(context: Context) -> None:
    """Remove both containers; the volumes stay: the database, notebooks, data, what you added with pip."""
    settings, docker = this_stack(context)
    stack.check_folder(settings, docker)
    stack.down(docker)
    if not docker.dry:
        console.say("both containers are removed; the volumes are still here")


def _check_service(service: str) -> None:
    if service not in stack.SERVICES:
        raise wrong_usage(f"there is no service {service!r}", "it is hub or db")


@command(help={"service": "hub (default), or db for a mysql prompt"})
def enter(context: Context, service: str = "hub") -> None:
    """Open a shell in the running hub with the paper's environment, or with --service db a mysql prompt."""
    _check_service(service)
    settings, docker = this_stack(context)
    start_if_down(settings, docker, service)
    if status := stack.enter(docker, service):
        raise Exit(code=status)


@command()
def status(context: Context) -> None:
    """Show this paper's containers and their health, images and volumes, with their sizes."""
    settings, docker = this_stack(context)
    containers = [
        [one.service, one.state, one.health or "-", ", ".join(one.ports) or "-"]
        for one in containers_of(docker).values()
    ]
    console.show_table("containers", ["service", "state", "health", "answers on"], containers)
    named = [f"--filter=reference={name}" for name in (settings.db_image_name, settings.hub_image_name)]
    images = docker.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}\t{{.CreatedSince}}\t{{.Size}}", *named)
    console.show_table("images", ["image", "created", "size"], [line.split("\t") for line in images.splitlines()])
    for line in left_out(docker, f"{settings.hub_image_name}:latest"):
        console.warn(f"the hub's image lacks {line}")
    volumes = [[one.name, one.role, one.size, STATES[one.is_current]] for one in volumes_of(docker)]
    console.show_table("volumes", ["volume", "keeps", "size", ""], volumes)


@command()
def verify(context: Context) -> None:
    """Read every row of the running database and say which tables are not as they were published."""
    from spyglass_export.containers.seed import verify as verify_database

    settings, docker = this_stack(context)
    start_if_down(settings, docker, "db")
    verify_database(docker)


@command(
    help={"service": "hub or db; both when left out", "follow": "go on until Ctrl-C", "tail": "lines of each, or all"}
)
def logs(context: Context, service: str = "", follow: bool = False, tail: str = "100") -> None:
    """Show what the containers print."""
    if service:
        _check_service(service)
    _, docker = this_stack(context)
    options = ["--tail", tail, *(["--follow"] if follow else []), *([service] if service else [])]
    # Ctrl-C is how one stops following.
    with suppress(*[KeyboardInterrupt] if follow else []):
        if status := docker.attach("compose", "logs", *options):
            raise Exit(code=status)


@command()
def url(context: Context) -> None:
    """Print the address of JupyterLab and its password."""
    settings, docker = this_stack(context)
    if not docker.dry and not stack.is_running(docker, "hub"):
        raise UserError("JupyterLab is not running", "start it with `invoke build`, or as a reader with `invoke run`")
    print_url(settings)


@command(
    iterable=["names"],
    help={
        "names": "notebooks to run, as words after the command or one by one; all when left out",
        "timeout": "seconds that each may take",
        "strict": "end with status 1 where a cell shows something else than was saved, too",
    },
)
def test_notebooks(context: Context, names: list[str], timeout: str = "600", strict: bool = False) -> None:
    """Run the notebooks in the hub, in copies: what failed and why, and whether each cell shows what was saved."""
    from spyglass_export.notebooks.files import find, select
    from spyglass_export.notebooks.run import published_notebooks, run_notebooks

    if not (timeout.isascii() and timeout.isdigit() and int(timeout)):
        raise wrong_usage(f"--timeout {timeout!r} is not a number", "it is how many seconds each may take, such as 600")
    settings, docker = this_stack(context)
    is_authors = stack.is_authors(settings, docker)
    selected = select(settings, find(settings), names) if is_authors else []  # before anything starts
    start_if_down(settings, docker, "hub")
    if not is_authors:
        selected = select(settings, published_notebooks(docker), names)
    run_notebooks(settings, docker, selected, int(timeout), strict=strict, keep=is_authors)


SERVER = {
    "host": "the server of your lab; DataJoint's or ~/.my.cnf's where it is left out",
    "port": "its port, 3306 as a rule",
    "user": "your user there; the password is MYSQL_PWD, or DataJoint's or ~/.my.cnf's, or asked",
    "yes": "do not ask",
}


@command(
    help=SERVER
    | {
        "plan": "show what would be done, and do nothing",
        "json": "print the plan as JSON",
        "skip_conflicts": "leave out what is in conflict with your rows, and all that depends on it",
        "data_dir": "a folder of NWB files: which of those that the rows expect are missing",
    }
)
def merge(
    context: Context,
    host: str = "",
    port: str = "",
    user: str = "",
    plan: bool = False,
    json: bool = False,
    yes: bool = False,
    skip_conflicts: bool = False,
    data_dir: str = "",
) -> None:
    """Put the paper's rows into a database of your own, beside yours: shows a plan, asks, all of it or nothing."""
    folder = Path(data_dir).expanduser() if data_dir else None
    if folder and not folder.is_dir():
        raise UserError(f"there is no folder {data_dir}", "name the folder of the NWB files with --data-dir")
    settings, docker = this_stack(context)
    if docker.dry:
        console.say(f"# merges the rows of {settings.paper_id} into {host}")
        return
    from spyglass_export.merging.merge import Options, merge_paper
    from spyglass_export.servers.account import find_account

    merge_paper(
        settings,
        docker,
        find_account(host, port, user, folder=ROOT),
        Options(plan_only=plan, as_json=json, yes=yes, skip_conflicts=skip_conflicts, data_dir=folder),
    )


@command(positional=["record"], help=SERVER | {"record": "the file that `invoke merge` wrote"})
def unmerge(context: Context, record: str, host: str = "", port: str = "", user: str = "", yes: bool = False) -> None:
    """Take out again what a merge inserted, where nothing else depends on it."""
    if is_dry(context):
        console.say(f"# takes the rows of {record} out again")
        return
    from spyglass_export.merging.merge import unmerge_paper
    from spyglass_export.merging.record import read_head
    from spyglass_export.servers.account import find_account

    path = Path(record).expanduser()
    read_head(path)  # before anybody is asked for a password
    unmerge_paper(path, find_account(host, port, user, folder=ROOT), yes=yes)
