"""The two containers: build, start, wait, pause, remove, and tell how they are."""

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import console
from .checksum import sha256
from .docker import Docker
from .errors import UserError
from .settings import Settings

SERVICES = ("db", "hub")
HUB_START_SECONDS = 300
LOG_LINES = 15
SUDO_FILE = "docker/compose.sudo.yml"
# Where the database's image keeps the row count and size of each table; see docs/database.md.
SEED_TABLES = "/opt/seed/tables.tsv"


def connect(settings: Settings, *, dry: bool = False) -> Docker:
    """Give the door to docker, with all that docker compose fills its files from."""
    files = []
    if settings.spyglass_data_dir:
        files.append("docker/compose.data.yml")
    if settings.grant_sudo:
        files.append(SUDO_FILE)
    return Docker(settings.docker, settings.root, _compose_environment(settings), tuple(files), dry)


def _compose_environment(settings: Settings) -> dict[str, str]:
    environment = {
        "COMPOSE_PROJECT_NAME": settings.project,
        # Compose would read .env by rules of its own.
        "COMPOSE_DISABLE_ENV_FILE": "1",
        # They hold the time, and would make each build another image.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "PAPER_ID": settings.paper_id,
        "HUB_IMAGE_NAME": settings.hub_image_name,
        "DB_IMAGE_NAME": settings.db_image_name,
        "HUB_BASE_IMAGE": settings.hub_base_image,
        "DB_BASE_IMAGE": settings.db_base_image,
        "HUB_APT_PACKAGES": settings.hub_apt_packages,
        "JUPYTER_SERVER_APP_PASSWORD": settings.jupyter_server_app_password,
        "MYSQL_USER": settings.mysql_user,
        "MYSQL_HOST": settings.mysql_host,
        "MYSQL_ROOT_PASSWORD": settings.mysql_root_password,
        "MYSQL_ROOT_HOST": settings.mysql_root_host,
        "DJ_SUPPORT_FILEPATH_MANAGEMENT": settings.dj_support_filepath_management,
        "DANDI_API_KEY": settings.dandi_api_key,
        "HUB_PORT": str(settings.hub_port),
        "DB_PORT": str(settings.db_port),
        "BIND_ADDRESS": f"[{settings.bind_address}]" if ":" in settings.bind_address else settings.bind_address,
        "CA_BUNDLE": str(settings.ca_bundle or ""),
        "SPYGLASS_DATA_DIR": str(settings.spyglass_data_dir or ""),
        **_volume_hashes(settings),
    }
    if sys.platform == "linux":
        # Docker Desktop maps ids by itself; on Linux the hub writes as whoever owns the notebooks.
        owner = settings.notebooks.stat()
        environment |= {"HOST_UID": str(owner.st_uid), "HOST_GID": str(owner.st_gid)}
    return environment


def seed_id(export_data: Path) -> str:
    """Identify a database by what it is loaded from: SHA-256 over names and contents of the SQL files.

    docker/load_export.sh computes the same and keeps it with the data.
    """
    listed = hashlib.sha256()
    files = (file.relative_to(export_data).as_posix() for file in export_data.glob("sql/**/*.sql"))
    for name in sorted(files, key=str.encode):
        listed.update(f"{sha256(export_data / name)}  {name}\n".encode())
    return listed.hexdigest()


def _volume_hashes(settings: Settings) -> dict[str, str]:
    """Name what each volume belongs to; nothing before copy_files has run."""
    environment = settings.export_data / "environment.yml"
    if not environment.is_file():
        return {}

    def short(*parts: str) -> str:
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    return {
        "DB_DATA_HASH": short(seed_id(settings.export_data), settings.db_base_image),
        "CONDA_HASH": short(environment.read_text(encoding="utf-8"), settings.hub_base_image),
    }


def start(settings: Settings, docker: Docker) -> None:
    """Replace the containers by new ones and wait until both are healthy.

    Raises UserError with a container's last log lines printed above it, and leaves none running.
    """
    docker.ask("compose", "down", "--remove-orphans")
    try:
        with console.out.status("starting the database and JupyterLab"):
            try:
                docker.ask("compose", "up", "--detach", "--no-build", "--pull", "never")
            except UserError as error:
                raise _why_not_healthy(docker) or error from error
            _wait_for_hub(docker)
    except BaseException:
        docker.succeeds("compose", "down")
        raise


def _wait_for_hub(docker: Docker) -> None:
    deadline = time.monotonic() + HUB_START_SECONDS
    while not docker.dry:
        containers = containers_of(docker)
        if {name for name, one in containers.items() if one.health == "healthy"} == set(SERVICES):
            return
        if trouble := _why_not_healthy(docker, timed_out=time.monotonic() > deadline):
            raise trouble
        time.sleep(0.5)


@dataclass(frozen=True)
class Container:
    """A service's container: its state and health in Docker's words, exit code and published ports."""

    service: str
    state: str
    health: str
    exit_code: int
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
            found[one["Service"]] = Container(one["Service"], one["State"], one["Health"], one["ExitCode"], ports)
    return found


def _why_not_healthy(docker: Docker, *, timed_out: bool = False) -> UserError | None:
    """Find the container that failed, print its last lines and say what happened; None where none has."""
    containers = containers_of(docker)
    for service in SERVICES:
        one = containers.get(service)
        if not one or (one.state in ("running", "created") and one.health != "unhealthy" and not timed_out):
            continue
        if timed_out and one.health == "healthy":
            continue
        lines = log_of(docker, service, str(LOG_LINES))
        console.err.print(f"the last lines of the container {service}:", markup=False)
        for line in lines:
            console.err.print(f"  {line}", markup=False)
        spoken = [line for line in lines if line.startswith("error: ")]
        hints = [line for line in lines if line.startswith("hint: ")]
        what = f"the container {service} " + (
            "does not get healthy" if one.state == "running" else f"stopped right after its start ({one.state})"
        )
        return UserError(
            f"{what}: {spoken[-1].removeprefix('error: ')}" if spoken else what,
            hints[-1].removeprefix("hint: ") if hints else "the lines above say why",
        )
    return None


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


@dataclass(frozen=True)
class Volume:
    """A volume of this paper: its name, what it is for (such as `db_data`) and its size as Docker says it."""

    name: str
    role: str
    size: str
    is_current: bool


def volumes_of(docker: Docker) -> list[Volume]:
    """Give this paper's volumes, those of an earlier export or environment too."""
    if docker.dry:
        return []
    project = docker.environment["COMPOSE_PROJECT_NAME"]
    hashes = {role: docker.environment.get(f"{role.upper()}_HASH") for role in ("conda", "db_data")}
    volumes = json.loads(docker.ask("system", "df", "--verbose", "--format", "json"))["Volumes"]
    found = []
    for volume in volumes or []:
        labels = dict(label.partition("=")[::2] for label in volume["Labels"].split(","))
        if labels.get("com.docker.compose.project") == project:
            role = labels.get("com.docker.compose.volume", "")
            is_current = role not in hashes or volume["Name"] == f"{project}_{role}_{hashes[role]}"
            found.append(Volume(volume["Name"], role, volume["Size"], is_current))
    return sorted(found, key=lambda volume: (volume.role, not volume.is_current, volume.name))


def remove_volumes(docker: Docker, volumes: list[Volume]) -> None:
    """Remove volumes for good."""
    docker.ask("volume", "rm", *(volume.name for volume in volumes))


def enter(docker: Docker, service: str) -> int:
    """Open a shell in the hub, the paper's environment active, or a `mysql` prompt in the database.

    Returns the exit status of the shell.
    """
    options = [] if sys.stdin.isatty() else ["--no-TTY"]
    if service == "hub" and SUDO_FILE in docker.compose_files and docker.environment.get("HOST_UID") != "0":
        options += ["--user", "jovyan"]  # the container itself runs as root then
    command = {
        "hub": ("bash", "-c", ". /opt/paper/activate.sh && exec bash"),
        "db": ("bash", "-c", 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" exec mysql --user=root'),
    }[service]
    return docker.attach("compose", "exec", *options, service, *command)


@dataclass(frozen=True)
class LoadedTable:
    """A table as it was counted when the database's image was built: rows, and bytes on disk."""

    name: str
    rows: int
    bytes: int


def loaded_tables(docker: Docker) -> list[LoadedTable]:
    """Give every table that the running database was loaded with."""
    lines = docker.ask("compose", "exec", "--no-TTY", "db", "cat", SEED_TABLES).splitlines()
    return [LoadedTable(name, int(rows), int(size)) for name, rows, size in (line.split("\t") for line in lines)]


def images_of(settings: Settings, docker: Docker) -> list[list[str]]:
    """Give name, time of creation and size of this paper's images, as Docker words them."""
    lines = []
    for name in (settings.db_image_name, settings.hub_image_name):
        listed = docker.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}\t{{.CreatedSince}}\t{{.Size}}", name)
        lines += [line.split("\t") for line in listed.splitlines()]
    return lines


def is_running(docker: Docker, service: str) -> bool:
    """Whether a service's container runs."""
    container = containers_of(docker).get(service)
    return container is not None and container.state == "running"
