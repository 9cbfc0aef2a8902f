"""The two containers: start, wait, pause, remove, and tell how they are."""

import json
import sys
import time
from contextlib import suppress
from dataclasses import replace

from spyglass_export import console
from spyglass_export.containers.docker import Docker, is_podman
from spyglass_export.containers.labels import RECIPE
from spyglass_export.containers.project import Container, containers_of, volume_names
from spyglass_export.errors import UserError, spoken
from spyglass_export.export.manifest import read_manifest
from spyglass_export.files import sha256_of
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
    files = {"docker/compose.data.yml": settings.spyglass_data_dir, SUDO_FILE: settings.grant_sudo}
    environment = {
        # Compose would read .env by rules of its own.
        "COMPOSE_DISABLE_ENV_FILE": "1",
        # They hold the time, and would make each build another image.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        **variables(settings, "compose"),
    }
    asked_for = tuple(name for name, is_asked_for in files.items() if is_asked_for)
    docker = Docker(settings.docker, settings.root, environment, asked_for, settings.project, dry=dry)
    return replace(docker, owner=_owner_of_notebooks(settings, docker), volume_hashes=volume_hashes(settings))


def _owner_of_notebooks(settings: Settings, docker: Docker) -> tuple[int, int] | None:
    """The user and group id by which the hub writes as whoever owns the notebooks.

    Docker Desktop on macOS and Windows maps ids by itself. Rootless Docker, and Docker Desktop on Linux, let the
    container's root be the user who started Docker: https://docs.docker.com/engine/security/rootless/ and
    https://docs.docker.com/desktop/troubleshoot-and-support/faqs/linuxfaqs/
    """
    if sys.platform != "linux":
        return None
    if not docker.dry and docker.command[0] != "sudo":  # neither of the two is used by sudo
        with suppress(UserError, OSError):  # Docker is missing or does not answer, as whoever needs it will say
            # `docker info` tells the same, and takes four times as long.
            parts = "{{.Server.Platform.Name}} {{range .Server.Components}}{{.Name}} {{end}}"
            engine = replace(docker, patience=INFO_SECONDS).ask("version", "--format", parts)
            if "rootlesskit" in engine or "Docker Desktop" in engine:
                return (0, 0)
    owner = settings.notebooks.stat()
    return (owner.st_uid, owner.st_gid)


def volume_hashes(settings: Settings) -> dict[str, str]:
    """Name by role what each volume belongs to; nothing before copy_files has run."""
    solved = [settings.export_data / name for name in ("environment.yml", "environment.lock.yml")]
    manifest = read_manifest(settings.export_data)
    if not manifest or not solved[0].is_file():
        return {}
    return {
        "db_data": sha256_of(manifest.seed_id, settings.db_base_image)[:12],
        "conda": sha256_of(*(one.read_bytes() for one in solved if one.is_file()), settings.hub_base_image)[:12],
    }


def is_authors(settings: Settings, docker: Docker) -> bool:
    """Whether a stack is the author's; a reader's has another name."""
    return docker.project == settings.project


def check_folder(settings: Settings, docker: Docker) -> None:
    """Raise UserError where an author's containers of this name are those of another folder.

    A reader has each new version of a paper in a folder of its own, and they are of one stack.
    """
    folders = {one.folder for one in containers_of(docker).values()} if is_authors(settings, docker) else ()
    for folder in folders:
        try:
            is_ours = folder.samefile(settings.root)
        except (FileNotFoundError, NotADirectoryError):
            continue  # it was moved
        except PermissionError:
            is_ours = False  # in the home of somebody else
        if not is_ours:
            hint = "remove them there by `invoke down`, or give this paper another PAPER_ID in .env"
            raise UserError(f"the paper {settings.paper_id} has containers already, started in {folder}", hint)


def start(settings: Settings, docker: Docker) -> None:
    """Replace each container that would be made otherwise now, wait for both, and say which volumes begin afresh.

    A container that runs as it would be made anew stays, with its kernels and connections. Raises UserError with a
    container's last log lines printed above it, and leaves none running.
    """
    kept = _as_they_would_be(settings, docker)
    changed = [service for service in SERVICES if service not in kept]
    if not changed:
        return
    before = volume_names(docker)
    if changed == list(SERVICES):
        down(docker)
    else:
        docker.ask("compose", "rm", "--stop", "--force", *changed)
    try:
        with console.status("starting the database and JupyterLab"):
            try:
                docker.ask("compose", "up", "--detach", "--no-build", "--no-recreate", "--pull", "never")
            except UserError as error:
                raise _why_not_healthy(docker, containers_of(docker)) or error from error
            _wait_for_hub(docker)
    except BaseException:
        docker.succeeds("compose", "down")
        raise
    for line in log_of(docker, "hub"):
        if line.startswith("notebooks: "):
            console.say(line)
    for role, what in FRESH.items():
        names = before.get(role, [])
        if names and f"{docker.project}_{role}_{docker.volume_hashes.get(role, 'current')}" not in names:
            console.say(f"{what} is kept in the volume {', '.join(names)}")


def _as_they_would_be(settings: Settings, docker: Docker) -> list[str]:
    """The services whose containers are healthy, and of the settings and images that they would have now.

    An author's notebooks are mounted over those in the hub's last layer, which does not count then. With Podman there
    are none: its pod is made anew.
    """
    running = {name: one.id for name, one in containers_of(docker).items() if one.health == "healthy"}
    if not running or is_podman(docker.command):
        return []
    hashes = dict(line.split() for line in docker.ask("compose", "config", "--hash", "*").splitlines())
    found = json.loads(docker.ask("inspect", *running.values()))
    try:
        named = [image for one in found for image in (one["Image"], one["Config"]["Image"])]
        images = json.loads(docker.ask("image", "inspect", *named))
    except UserError:  # one of them is gone
        return []
    kept = []
    for name, one, old, new in zip(running, found, images[::2], images[1::2], strict=True):
        count = -1 if name == "hub" and is_authors(settings, docker) else None
        before, now = (
            ((image["Config"].get("Labels") or {}).get(RECIPE), image["RootFS"]["Layers"][:count])
            for image in (old, new)
        )
        if one["Config"]["Labels"].get("com.docker.compose.config-hash") == hashes.get(name) and before == now:
            kept.append(name)
    return kept


def _wait_for_hub(docker: Docker) -> None:
    deadline = time.monotonic() + HUB_START_SECONDS
    while not docker.dry:
        containers = containers_of(docker)
        if set(containers) != set(SERVICES):
            raise UserError("the containers were removed while they started", "run it again when nobody else does")
        if all(one.health == "healthy" for one in containers.values()):
            return
        if trouble := _why_not_healthy(docker, containers, timed_out=time.monotonic() > deadline):
            raise trouble
        time.sleep(0.5)


def _why_not_healthy(docker: Docker, containers: dict[str, Container], *, timed_out: bool = False) -> UserError | None:
    """Find the container that failed, print its last lines and say what happened; None where none has."""
    for one in containers.values():  # the database first
        is_up = one.state in ("running", "created")
        if is_up and one.health != "unhealthy" and not (timed_out and one.health != "healthy"):
            continue
        lines = log_of(docker, one.service, str(LOG_LINES))
        console.note(f"the last lines of the container {one.service}:")
        for line in lines:
            console.note(f"  {line}")
        happened = "does not get healthy" if is_up else f"stopped right after its start ({one.state})"
        said = spoken(lines) or UserError("", "")
        what = ": ".join(filter(None, (f"the container {one.service} {happened}", said.what)))
        return UserError(what, said.hint or "the lines above say why")
    return None


def log_of(docker: Docker, service: str, tail: str = "all") -> list[str]:
    """Give the last lines that a service's container printed."""
    log = docker.ask("compose", "logs", "--no-color", "--no-log-prefix", "--tail", tail, service)
    # Compose begins each line with a terminal's "erase line", even where there is no terminal.
    return log.replace("\x1b[2K", "").rstrip().splitlines()


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
        "hub": ". /opt/paper/activate.sh && exec bash",
        "db": 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" exec mysql --user=root',
    }[service]
    return docker.attach("compose", "exec", *options, service, "bash", "-c", command)


def is_running(docker: Docker, service: str) -> bool:
    """Whether a service's container runs."""
    container = containers_of(docker).get(service)
    return container is not None and container.state == "running"
