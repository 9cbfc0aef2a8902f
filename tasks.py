"""Every command of the project; each parses, calls and prints. `invoke --list` shows them."""

import functools
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from spyglass_export import bootstrap as machine
from spyglass_export import checks, console, export, images, stack
from spyglass_export.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings
from spyglass_export.settings import load as load_settings

ROOT = Path(__file__).resolve().parent


def command(**options: Any) -> Callable[[Callable[..., None]], Task[Any]]:
    """Make a function a command whose problems reach the user as `error:` and `hint:` lines."""

    def decorate(function: Callable[..., None]) -> Task[Any]:
        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> None:
            with console.errors_as_lines(debug=logging.getLogger("invoke").isEnabledFor(logging.DEBUG)):
                function(*arguments, **named)

        made: Task[Any] = invoke_task(**options)(run)
        return made

    return decorate


def _load(context: Context) -> tuple[Settings, Docker]:
    settings = load_settings(ROOT, os.environ)
    return settings, stack.connect(settings, dry=bool(context.config.run.dry))


@command()
def bootstrap(context: Context) -> None:
    """Make this machine ready: .env, Docker, base images. Quick and silent when it already is."""
    machine.make_env_file(ROOT)
    settings, docker = _load(context)
    machine.ensure_engine(docker)
    machine.ensure_base_images(settings, docker)


@command(help={"json": "print what was found as JSON instead of a table"})
def check(context: Context, json: bool = False) -> None:
    """Look whether `invoke build` has all it needs, in seconds, and say how to fix what it lacks; changes nothing."""
    found = checks.run(ROOT, os.environ, dry=bool(context.config.run.dry))
    (checks.show_as_json if json else checks.show_as_table)(found)
    checks.require_no_failure(found)


@command()
def copy_files(context: Context) -> None:
    """Read the export in SPYGLASS_PAPER_DIR, clean it and write export_data/. Loses no row, or says why."""
    settings, docker = _load(context)
    _copy_files(settings, docker)


def _copy_files(settings: Settings, docker: Docker) -> None:
    if docker.dry:
        console.say(f"# copies and cleans {settings.spyglass_paper_dir} to {settings.export_data}")
        return
    export.copy_files(
        settings.spyglass_paper_dir, settings.export_data, paper_id=settings.paper_id, exclude=settings.env_exclude
    )


@command(aliases=("build",))
def up(context: Context) -> None:
    """Build both images from the export and start them; prints JupyterLab's URL and password."""
    settings, docker = _load(context)
    docker.check()
    stack.check_ports(settings, docker)
    _copy_files(settings, docker)
    docker = stack.connect(settings, dry=docker.dry)
    images.build(ROOT, docker)
    stack.start(settings, docker)
    if docker.dry:
        return
    tables = stack.loaded_tables(docker)
    rows, size = sum(table.rows for table in tables), sum(table.bytes for table in tables)
    console.say(f"the database has {len(tables)} tables with {rows:,} rows ({size / 1e6:,.1f} MB)")
    _print_url(settings)


def _print_url(settings: Settings) -> None:
    console.say(f"JupyterLab: {settings.url}   password: {settings.jupyter_server_app_password}")


@command()
def stop(context: Context) -> None:
    """Pause both containers; `invoke up` starts them again."""
    _, docker = _load(context)
    docker.check()
    stack.stop(docker)
    console.say("both containers are stopped; nothing was removed")


@command()
def down(context: Context) -> None:
    """Remove both containers; what is in the volumes stays: the database and what you added with pip."""
    _, docker = _load(context)
    docker.check()
    stack.down(docker)
    console.say("both containers are removed; the volumes are still here")


@command(
    help={
        "yes": "do not ask",
        "superseded": "only remove volumes of an earlier export or environment",
    }
)
def clean(context: Context, yes: bool = False, superseded: bool = False) -> None:
    """Remove this paper's containers and volumes: all that was written to the database is gone then."""
    settings, docker = _load(context)
    docker.check()
    volumes = [v for v in stack.volumes_of(settings, docker) if not (superseded and v.is_current)]
    if not volumes and not docker.dry:
        console.say("there is no volume to remove")
        return
    for volume in volumes:
        console.say(f"{volume.name}  {volume.size}")
    if not yes and not docker.dry and not console.confirm("remove these volumes for good?"):
        console.say("nothing was removed")
        return
    if not superseded:
        stack.down(docker)
    stack.remove_volumes(docker, volumes)
    console.say(f"removed {len(volumes)} volumes")


@command(help={"service": "hub (default), or db for a mysql prompt"})
def enter(context: Context, service: str = "hub") -> None:
    """Open a shell in the running hub with the paper's environment, or with --service db a mysql prompt."""
    if service not in stack.SERVICES:
        raise Exit(f"there is no service {service!r}: it is hub or db", code=2)
    settings, docker = _load(context)
    docker.check()
    if not docker.dry and not stack.is_running(docker, service):
        console.say(f"{service} is not running: starting it")
        stack.check_ports(settings, docker)
        stack.start(settings, docker)
    if status := stack.enter(docker, service):
        raise Exit(code=status)


@command()
def status(context: Context) -> None:
    """Show this paper's containers and their health, images and volumes, with their sizes."""
    settings, docker = _load(context)
    docker.check()
    containers = stack.containers_of(docker).values()
    volumes = stack.volumes_of(settings, docker)
    console.show_table(
        "containers",
        ["service", "state", "health", "answers on"],
        [[one.service, one.state, one.health or "-", one.ports or "-"] for one in containers],
    )
    console.show_table("images", ["image", "created", "size"], stack.images_of(settings, docker))
    console.show_table(
        "volumes",
        ["volume", "keeps", "size", ""],
        [[one.name, one.role, one.size, "in use" if one.is_current else "superseded"] for one in volumes],
    )


@command(
    help={"service": "hub or db; both when left out", "follow": "go on until Ctrl-C", "tail": "lines of each, or all"}
)
def logs(context: Context, service: str = "", follow: bool = False, tail: str = "100") -> None:
    """Show what the containers print."""
    if service not in ("", *stack.SERVICES):
        raise Exit(f"there is no service {service!r}: it is hub or db", code=2)
    _, docker = _load(context)
    docker.check()
    docker.attach("compose", "logs", "--tail", tail, *(["--follow"] if follow else []), *([service] if service else []))


@command()
def url(context: Context) -> None:
    """Print the address of JupyterLab and its password."""
    settings, docker = _load(context)
    docker.check()
    if not docker.dry and not stack.is_running(docker, "hub"):
        raise UserError("JupyterLab is not running", "start it with `invoke build`")
    _print_url(settings)


def _run_python(*arguments: str) -> None:
    if status := subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=False).returncode:
        raise Exit(code=status)


@command(help={"select": "only tests whose names match, as for pytest's -k"})
def test(context: Context, select: str = "") -> None:
    """Run all tests that this machine can, and say which were skipped and why."""
    _run_python("pytest", *(["-k", select] if select else []))


@command()
def lint(context: Context) -> None:
    """Check code, types, shell scripts, Dockerfiles and YAML."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    linters = (
        [sys.executable, "-m", "ruff", "check"],
        [sys.executable, "-m", "ruff", "format", "--check"],
        [sys.executable, "-m", "mypy"],
        ["shellcheck", "--external-sources", *(name for name in files if name.endswith((".sh", ".ci/run")))],
        ["hadolint", *(name for name in files if name.endswith("Dockerfile"))],
        [sys.executable, "-m", "yamllint", "--strict", *(name for name in files if name.endswith((".yml", ".yaml")))],
    )
    failed = []
    for linter in linters:
        # Tools of this Python's environment come first, whether it is activated or not.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        name = next(word for word in linter if word not in (sys.executable, "-m"))
        if subprocess.run(linter, cwd=ROOT, env=os.environ | {"PATH": path}, check=False).returncode:
            failed.append(name)
    if failed:
        raise Exit(f"{', '.join(failed)} found something", code=1)
    console.say("all clean")
