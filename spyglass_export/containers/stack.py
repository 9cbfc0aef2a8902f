"""The two containers: build, start, wait, pause, remove, and tell how they are."""

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from spyglass_export import console
from spyglass_export.checksum import sha256_of
from spyglass_export.containers.docker import PROJECT_LABEL, Docker, is_podman, of_project
from spyglass_export.containers.labels import RECIPE
from spyglass_export.containers.volumes import volume_names
from spyglass_export.errors import UserError, spoken
from spyglass_export.export.manifest import read_manifest
from spyglass_export.settings import Settings, variables

SERVICES = ("db", "hub")
HUB_START_SECONDS = 300
INFO_SECONDS = 10
LOG_LINES = 15
SUDO_FILE = "docker/compose.sudo.yml"
# What to say where a changed export or environment begins with a fresh volume.
FRESH = {
    "db_data": "the export or its base image has changed: the database begins afresh, and all that was written to the "
    "earlier one",
    "conda": "the environment or its base image has changed: all that was added to the earlier one with pip",
}


def authors_docker(settings: Settings, *, dry: bool = False) -> Docker:
    """Give the door to docker, with all that docker compose fills its files from."""
    files = []
    if settings.spyglass_data_dir:
        files.append("docker/compose.data.yml")
    if settings.grant_sudo:
        files.append(SUDO_FILE)
    plain = Docker(settings.docker, settings.root, dry=dry)
    environment = {
        # Compose would read .env by rules of its own.
        "COMPOSE_DISABLE_ENV_FILE": "1",
        # They hold the time, and would make each build another image.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        **variables(settings, "compose"),
    }
    return replace(
        plain,
        environment=environment,
        compose_files=tuple(files),
        project=settings.project,
        owner=_owner_of_notebooks(settings, plain),
        volume_hashes=_volume_hashes(settings),
    )


def _owner_of_notebooks(settings: Settings, docker: Docker) -> tuple[int, int] | None:
    """The user and group id by which the hub writes as whoever owns the notebooks.

    Docker Desktop on macOS and Windows maps ids by itself. Rootless Docker, and Docker Desktop on Linux, let the
    container's root be the user who started Docker: https://docs.docker.com/engine/security/rootless/ and
    https://docs.docker.com/desktop/troubleshoot-and-support/faqs/linuxfaqs/
    """
    if sys.platform != "linux":
        return None
    # Neither of the two is used by sudo.
    if not docker.dry and docker.command[0] != "sudo" and _root_is_user(docker.command, docker.root):
        return (0, 0)
    owner = settings.notebooks.stat()
    return (owner.st_uid, owner.st_gid)


@cache  # a build connects twice
def _root_is_user(command: tuple[str, ...], root: Path) -> bool:
    try:
        engine = Docker(command, root, patience=INFO_SECONDS).ask(
            "info", "--format", "{{.OperatingSystem}} {{.SecurityOptions}}"
        )
    except (UserError, OSError):
        return False  # Docker is missing or does not answer, as whoever needs it will say
    return "name=rootless" in engine or "Docker Desktop" in engine


def _volume_hashes(settings: Settings) -> dict[str, str]:
    """Name by role what each volume belongs to; nothing before copy_files has run."""
    environment = settings.export_data / "environment.yml"
    manifest = read_manifest(settings.export_data)
    if not manifest or not environment.is_file():
        return {}
    solved = [one for one in (environment, settings.export_data / "environment.lock.yml") if one.is_file()]
    return {
        "db_data": sha256_of(manifest.seed_id, settings.db_base_image)[:12],
        "conda": sha256_of(*(one.read_bytes() for one in solved), settings.hub_base_image)[:12],
    }


def is_authors(settings: Settings, docker: Docker) -> bool:
    """Whether a stack is the author's; a reader's has another name."""
    return docker.project == settings.project


def check_folder(settings: Settings, docker: Docker) -> None:
    """Raise UserError where an author's containers of this name are those of another folder.

    A reader has each new version of a paper in a folder of its own, and they are of one stack.
    """
    if not is_authors(settings, docker):
        return
    shown = f'{{{{.Label "{PROJECT_LABEL}.working_dir"}}}}'
    listed = docker.ask("ps", "--all", *of_project(docker.project), "--format", shown)
    for folder in {Path(line) for line in listed.splitlines() if line}:
        try:
            is_other = not os.path.samestat(folder.stat(), settings.root.stat())
        except (FileNotFoundError, NotADirectoryError):
            is_other = False  # this one was moved
        except PermissionError:
            is_other = True  # in the home of somebody else
        if is_other:
            raise UserError(
                f"the paper {settings.paper_id} has containers already, started in {folder}",
                "remove them there by `invoke down`, or give this paper another PAPER_ID in .env",
            )


def start(settings: Settings, docker: Docker) -> None:
    """Replace each container that would be made otherwise now, wait for both, and say which volumes begin afresh.

    A container that runs as it would be made anew stays, with its kernels and connections. Raises UserError with a
    container's last log lines printed above it, and leaves none running.
    """
    before = volume_names(docker)
    kept = set() if docker.dry else _as_they_would_be(settings, docker)
    changed = [service for service in SERVICES if service not in kept]
    if not changed:
        return
    if changed == list(SERVICES):
        docker.ask("compose", "down", "--remove-orphans")
    else:
        docker.ask("compose", "rm", "--stop", "--force", *changed)
    try:
        with console.status("starting the database and JupyterLab"):
            try:
                docker.ask("compose", "up", "--detach", "--no-build", "--no-recreate", "--pull", "never")
            except UserError as error:
                raise _why_not_healthy(docker) or error from error
            _wait_for_hub(docker)
    except BaseException:
        docker.succeeds("compose", "down")
        raise
    for line in log_of(docker, "hub"):
        if line.startswith("notebooks: "):
            console.say(line)
    after = volume_names(docker)
    for role, what in FRESH.items():
        if role in before and before[role] != after.get(role):
            console.say(f"{what} is kept in the volume {', '.join(before[role])}")


def _as_they_would_be(settings: Settings, docker: Docker) -> set[str]:
    """The services whose containers are healthy, and of the settings and images that they would have now.

    An author's notebooks are mounted over those in the hub's last layer, which does not count then. With Podman there
    are none: its pod is made anew.
    """
    if is_podman(docker.command):
        return set()
    running = {name: one.id for name, one in containers_of(docker).items() if one.health == "healthy"}
    if not running:
        return set()
    lines = docker.ask("compose", "config", "--hash", "*").splitlines()
    hashes = dict(line.split() for line in lines if len(line.split()) == 2)
    kept = set()
    for name, found in zip(running, json.loads(docker.ask("inspect", *running.values())), strict=True):
        config, count = found["Config"], -1 if name == "hub" and is_authors(settings, docker) else None
        if config["Labels"].get("com.docker.compose.config-hash") != hashes.get(name):
            continue
        try:
            old, new = json.loads(docker.ask("image", "inspect", found["Image"], config["Image"]))
        except UserError:  # one of them is gone
            continue
        recipes = {(one["Config"].get("Labels") or {}).get(RECIPE) for one in (old, new)}
        if len(recipes) == 1 and old["RootFS"]["Layers"][:count] == new["RootFS"]["Layers"][:count]:
            kept.add(name)
    return kept


def _wait_for_hub(docker: Docker) -> None:
    deadline = time.monotonic() + HUB_START_SECONDS
    while not docker.dry:
        containers = containers_of(docker)
        if set(containers) != set(SERVICES):
            raise UserError("the containers were removed while they started", "run it again when nobody else does")
        if {name for name, one in containers.items() if one.health == "healthy"} == set(SERVICES):
            return
        if trouble := _why_not_healthy(docker, timed_out=time.monotonic() > deadline):
            raise trouble
        time.sleep(0.5)


@dataclass(frozen=True)
class Container:
    """A service's container: its ID, its state and health in Docker's words, and published ports."""

    service: str
    id: str
    state: str
    health: str
    ports: str


def containers_of(docker: Docker) -> dict[str, Container]:
    """Give this paper's containers, running or not, by service."""
    found = {}
    for line in docker.ask("compose", "ps", "--all", "--format", "json").splitlines():
        # Compose before 2.21 prints one list, later ones a line for each container.
        parsed = json.loads(line)
        for one in parsed if isinstance(parsed, list) else [parsed]:
            ports = ", ".join(
                sorted({f"{p['URL']}:{p['PublishedPort']}" for p in one["Publishers"] or [] if p["PublishedPort"]})
            )
            found[one["Service"]] = Container(one["Service"], one["ID"], one["State"], one["Health"], ports)
    return found


def _why_not_healthy(docker: Docker, *, timed_out: bool = False) -> UserError | None:
    """Find the container that failed, print its last lines and say what happened; None where none has."""
    containers = containers_of(docker)
    failed = [containers[name] for name in SERVICES if name in containers and _has_failed(containers[name], timed_out)]
    if not failed:
        return None
    one = failed[0]
    lines = log_of(docker, one.service, str(LOG_LINES))
    console.note(f"the last lines of the container {one.service}:")
    for line in lines:
        console.note(f"  {line}")
    happened = "does not get healthy" if one.state == "running" else f"stopped right after its start ({one.state})"
    said = spoken(lines)
    return UserError(
        f"the container {one.service} {happened}{f': {said.what}' if said else ''}",
        said.hint if said and said.hint else "the lines above say why",
    )


def _has_failed(container: Container, timed_out: bool) -> bool:
    if container.state not in ("running", "created"):
        return True
    return container.health == "unhealthy" or (timed_out and container.health != "healthy")


def log_of(docker: Docker, service: str, tail: str = "all") -> list[str]:
    """Give the last lines that a service's container printed."""
    log = docker.ask("compose", "logs", "--no-color", "--no-log-prefix", "--tail", tail, service)
    # Compose begins each line with a terminal's "erase line", even where there is no terminal.
    return log.replace("\x1b[2K", "").rstrip().splitlines()


def stop(docker: Docker) -> None:
    """Pause both containers; nothing is removed."""
    docker.ask("compose", "stop")


def down(docker: Docker) -> None:
    """Remove both containers and their network; volumes stay."""
    docker.ask("compose", "down", "--remove-orphans")


def enter(docker: Docker, service: str) -> int:
    """Open a shell in the hub, the paper's environment active, or a `mysql` prompt in the database.

    Returns the exit status of the shell.
    """
    options = [] if sys.stdin.isatty() else ["--no-TTY"]
    if service == "hub" and SUDO_FILE in docker.compose_files and docker.owner != (0, 0):
        options += ["--user", "jovyan"]  # the container itself runs as root then
    command = {
        "hub": ("bash", "-c", ". /opt/paper/activate.sh && exec bash"),
        "db": ("bash", "-c", 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" exec mysql --user=root'),
    }[service]
    return docker.attach("compose", "exec", *options, service, *command)


def is_running(docker: Docker, service: str) -> bool:
    """Whether a service's container runs."""
    container = containers_of(docker).get(service)
    return container is not None and container.state == "running"
