"""Podman for readers: the calls of docker compose that commands make, answered by one pod of two containers.

`podman compose` and podman-compose differ from version to version and may be missing; pods are the same since Podman 4.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spyglass_export.containers.docker import PROJECT_LABEL, VOLUME_LABEL, Docker, full_name, is_podman, of_project
from spyglass_export.containers.faults import NotInstalled, OtherVersion
from spyglass_export.errors import UserError

OLDEST = (4, 3)
STOP_SECONDS = "60"
DB_START_SECONDS = 600
HEALTH = {"db": "healthcheck_db.sh", "hub": "healthcheck_hub.py"}
# Where the volumes go, by role.
PLACES = {
    "db": {"db_data": "/var/lib/mysql"},
    "hub": {"notebooks": "/home/jovyan/notebooks", "conda": "/opt/paper/packages", "data": "/home/jovyan/data"},
}
# What each container is given; the values are in the environment of podman, not on its command line.
GIVEN = {
    "db": ("MYSQL_ROOT_PASSWORD",),
    "hub": (
        "PAPER_ID",
        "READER",
        "JUPYTER_SERVER_APP_PASSWORD",
        "DISPLAY_URL",
        "DJ_HOST",
        "DJ_PORT",
        "DJ_USER",
        "DJ_PASS",
        "DJ_SUPPORT_FILEPATH_MANAGEMENT",
        "SPYGLASS_BASE_DIR",
        "HDF5_USE_FILE_LOCKING",
        "DANDISET_VERSION",
    ),
}


def open_door(
    command: tuple[str, ...], root: Path, environment: Mapping[str, str] | None = None, **more: Any
) -> Docker:
    """Give the door to whichever program ``command`` calls."""
    return (Podman if is_podman(command) else Docker)(command, root, environment or {}, **more)


@dataclass(frozen=True)
class Podman(Docker):
    """Runs podman where docker is meant, and a pod where docker compose is meant."""

    def check(self, *, to_build: bool = True) -> None:
        """Raise UserError unless Podman is there and new enough."""
        if self.dry:
            return
        try:
            said = super().ask("--version")
        except FileNotFoundError as error:
            raise NotInstalled(what=f"there is no program `{self.command[0]}`", hint="install Podman") from error
        found = re.search(r"(\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) < OLDEST:
            raise OtherVersion(what=said.strip(), hint="it takes Podman 4.3 or newer")

    def ask(self, *arguments: str) -> str:
        """Do as docker and docker compose do, and give what they would print."""
        match arguments:
            case ("compose", "up", *_):
                self._up()
                return ""
            case ("compose", "ps", *_):
                return "\n".join(json.dumps(self._container(name)) for name in GIVEN if self._has(name))
            case ("compose", "config", *_):
                return json.dumps({"services": {service: {"image": self._image(service)} for service in GIVEN}})
            case ("compose", "logs", *_):  # what a container writes to standard error is there too
                return "\n".join(self.follow(*arguments))
            case ("version", *_):  # of the processor
                return super().ask("info", "--format", "{{.Host.Arch}}")
            case ("volume", "ls", *_):
                listed = self._volumes()
                return "\n".join(f"{one['Labels'].get(VOLUME_LABEL, '')}\t{one['Name']}" for one in listed)
            case ("system", "df", *_):
                volumes = [
                    {"Name": one["Name"], "Labels": ",".join(f"{k}={v}" for k, v in one["Labels"].items()), "Size": "-"}
                    for one in self._volumes()
                ]
                return json.dumps({"Volumes": volumes})
            case _:
                return super().ask(*arguments)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        match arguments:
            case ("compose", "stop", *_):
                arguments = ("pod", "stop", "--ignore", "--time", STOP_SECONDS, self.project)
            case ("compose", "down", *_):
                arguments = ("pod", "rm", "--force", "--ignore", "--time", STOP_SECONDS, self.project)
            case ("compose", "exec", *rest):
                arguments = ("exec", *self._exec(rest))
            case ("compose", "logs", *rest):
                arguments = self._logs(rest)
            case ("pull", *_):
                arguments = (*arguments[:-1], full_name(arguments[-1]))
        return super()._command(arguments)

    def _exec(self, rest: list[str]) -> list[str]:
        terminal = [] if {"--no-TTY", "-T"} & set(rest) else ["--tty"]
        service = next(at for at, word in enumerate(rest) if word in GIVEN)
        return ["--interactive", *terminal, f"{self.project}-{rest[service]}", *rest[service + 1 :]]

    def _logs(self, rest: list[str]) -> tuple[str, ...]:
        lines = rest[rest.index("--tail") + 1] if "--tail" in rest else "all"
        options = ["--follow"] if "--follow" in rest else []
        options += [] if lines == "all" else ["--tail", lines]
        if rest and rest[-1] in GIVEN:
            return ("logs", *options, f"{self.project}-{rest[-1]}")
        return ("pod", "logs", "--names", *options, self.project)

    def _has(self, service: str) -> bool:
        return self.succeeds("container", "exists", f"{self.project}-{service}")

    def _container(self, service: str) -> dict[str, Any]:
        name, variables = f"{self.project}-{service}", self.variables
        identifier, state = super().ask("inspect", "--format", "{{.Id}} {{.State.Status}}", name).split()
        is_healthy = state == "running" and self.succeeds("exec", name, HEALTH[service])
        port = variables["HUB_PORT" if service == "hub" else "DB_PORT"]
        return {
            "Service": service,
            "ID": identifier,
            "State": state,
            "Health": "healthy" if is_healthy else "starting" if state == "running" else "",
            "Publishers": [{"URL": variables["BIND_ADDRESS"], "PublishedPort": port}] if state == "running" else [],
        }

    def _image(self, service: str) -> str:
        variable = f"{service.upper()}_IMAGE"
        if chosen := self.variables.get(variable):
            return full_name(chosen)
        compose = (self.root / self.variables["COMPOSE_FILE"]).read_text(encoding="utf-8")
        named = re.search(r"\$\{" + variable + r":-([^$\s}]+)\}", compose)
        return full_name(named[1] if named else f"{self.variables[f'{variable}_NAME']}:latest")

    def _volumes(self) -> list[dict[str, Any]]:
        listed = super().ask("volume", "ls", *of_project(self.project), "--format", "json")
        found: list[dict[str, Any]] = json.loads(listed or "[]")
        return found or []

    def _up(self) -> None:
        given = {
            "READER": "yes",
            "DISPLAY_URL": f"http://localhost:{self.variables['HUB_PORT']}/lab",
            "DJ_HOST": "127.0.0.1",
            "DJ_PORT": "3306",
            "DJ_USER": "root",
            "DJ_PASS": self.variables["MYSQL_ROOT_PASSWORD"],
            "SPYGLASS_BASE_DIR": "/home/jovyan/data",
            "HDF5_USE_FILE_LOCKING": "FALSE",
        }
        podman = replace(self, environment={**self.environment, **given})
        address = self.variables["BIND_ADDRESS"]
        ports = ((self.variables["HUB_PORT"], "8888"), (self.variables["DB_PORT"], "3306"))
        published = [f"--publish={address}:{outer}:{inner}" for outer, inner in ports]
        podman.ask("pod", "create", f"--name={self.project}", f"--label={PROJECT_LABEL}={self.project}", *published)
        podman._start("db")
        podman._wait_for_database()
        podman._start("hub")

    def _start(self, service: str) -> None:
        mounts = []
        for role, place in PLACES[service].items():
            if role == "data" and (folder := self.variables.get("SPYGLASS_DATA_DIR")):
                mounts.append(f"--volume={folder}:{place}")
                continue
            labelled = (f"--label={PROJECT_LABEL}={self.project}", f"--label={VOLUME_LABEL}={role}")
            part = f"_{self.volume_hashes[role]}" if role in self.volume_hashes else ""
            volume = f"{self.project}_{role}{part}"
            if self.dry or not self.succeeds("volume", "exists", volume):
                self.ask("volume", "create", *labelled, volume)
            mounts.append(f"--volume={volume}:{place}")
        if service == "hub" and self.variables.get("CA_BUNDLE"):
            mounts.append(f"--volume={self.variables['CA_BUNDLE']}:/run/secrets/ca_bundle:ro")
        self.ask(
            "run",
            "--detach",
            f"--pod={self.project}",
            f"--name={self.project}-{service}",
            f"--stop-timeout={STOP_SECONDS}",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            "--restart=unless-stopped",
            "--pull=never",
            *(f"--env={name}" for name in GIVEN[service]),
            *mounts,
            self._image(service),
        )

    def _wait_for_database(self) -> None:
        deadline = time.monotonic() + DB_START_SECONDS
        while not self.dry:
            one = self._container("db")
            if one["Health"] == "healthy":
                return
            if one["State"] != "running" or time.monotonic() > deadline:
                raise UserError("the database does not start", "`invoke logs --service db` tells more")
            time.sleep(0.5)
