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
from spyglass_export.containers.project import containers_of
from spyglass_export.errors import UserError

OLDEST = (4, 3)
STOP_SECONDS = "60"
DB_START_SECONDS = 600
HEALTH = {"db": "healthcheck_db.sh", "hub": "healthcheck_hub.py"}
HUB_SETTINGS = ("PAPER_ID", "JUPYTER_SERVER_APP_PASSWORD", "DJ_SUPPORT_FILEPATH_MANAGEMENT", "DANDISET_VERSION")
# Where the volumes go, by role.
PLACES = {
    "db": {"db_data": "/var/lib/mysql"},
    "hub": {"notebooks": "/home/jovyan/notebooks", "conda": "/opt/paper/packages", "data": "/home/jovyan/data"},
}


def open_door(
    command: tuple[str, ...], root: Path, environment: Mapping[str, str] | None = None, **more: Any
) -> Docker:
    """Give the door to whichever program ``command`` calls."""
    return (Podman if is_podman(command) else Docker)(command, root, environment or {}, **more)


@dataclass(frozen=True)
class Podman(Docker):
    """Runs podman where docker is meant, and a pod where docker compose is meant."""

    def check(self, *, to_build: bool = True) -> str:
        """Give Podman's version; raise UserError unless it is there and new enough."""
        if self.dry:
            return ""
        try:
            said = super().ask("--version")
        except FileNotFoundError as error:
            raise NotInstalled(what=f"there is no program `{self.command[0]}`", hint="install Podman") from error
        found = re.search(r"(\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) < OLDEST:
            raise OtherVersion(what=said.strip(), hint="it takes Podman 4.3 or newer")
        return said.strip()

    def ask(self, *arguments: str) -> str:
        """Do as docker and docker compose do, and give what they would print."""
        match arguments:
            case ("compose", "up", *_):
                self._up()
                return ""
            case ("ps", *_):
                listed = map(self._container, HEALTH if arguments[3].endswith(f"={self.project}") else ())
                return "\n".join(filter(None, listed))
            case ("compose", "config", *_):
                return json.dumps({"services": {service: {"image": self._image(service)} for service in HEALTH}})
            case ("compose", "logs", *_):  # what a container writes to standard error is there too
                return "\n".join(self.follow(*arguments))
            case ("version", *_):  # of the processor
                return super().ask("info", "--format", "{{.Host.Arch}}")
            case ("volume", "ls", *_):
                return "\n".join(f"{one['Labels'].get(VOLUME_LABEL)}\t{one['Name']}" for one in self._volumes())
            case ("system", "df", *_):
                volumes = [
                    {**one, "Labels": ",".join(map("=".join, one["Labels"].items())), "Size": "-"}
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
            case ("compose", "exec", "--no-TTY", service, *command):
                arguments = ("exec", "--interactive", f"{self.project}-{service}", *command)
            case ("compose", "exec", service, *command):
                arguments = ("exec", "--interactive", "--tty", f"{self.project}-{service}", *command)
            case ("compose", "logs", *rest):
                # Colours and prefixes are compose's; all lines are -1.
                options = [one.replace("all", "-1") for one in rest if one not in HEALTH and not one.startswith("--no")]
                names = [f"{self.project}-{one}" for one in rest if one in HEALTH]
                pod = ("pod", "logs", "--names", *options, self.project)
                arguments = ("logs", *options, *names) if names else pod
            case ("pull", *_):
                arguments = (*arguments[:-1], full_name(arguments[-1]))
        return super()._command(arguments)

    def _container(self, service: str) -> str:
        name, variables = f"{self.project}-{service}", self.variables
        if not self.succeeds("container", "exists", name):
            return ""
        identifier, state = super().ask("inspect", "--format", "{{.Id}} {{.State.Status}}", name).split()
        health = published = ""
        if state == "running":
            health = "(healthy)" if self.succeeds("exec", name, HEALTH[service]) else "(health: starting)"
            published = f"{variables['BIND_ADDRESS']}:{variables['HUB_PORT' if service == 'hub' else 'DB_PORT']}->"
        return "\t".join((service, identifier, state, health, published, str(self.root)))

    def _image(self, service: str) -> str:
        variable = f"{service.upper()}_IMAGE"
        if chosen := self.variables.get(variable):
            return full_name(chosen)
        compose = (self.root / self.variables["COMPOSE_FILE"]).read_text(encoding="utf-8")
        named = re.search(r"\$\{" + variable + r":-([^$\s}]+)\}", compose)
        return full_name(named[1] if named else f"{self.variables[f'{variable}_NAME']}:latest")

    def _volumes(self) -> list[dict[str, Any]]:
        found: Any = json.loads(super().ask("volume", "ls", *of_project(self.project), "--format", "json") or "[]")
        return found or []

    def _up(self) -> None:
        hub = {
            "READER": "yes",
            "DISPLAY_URL": f"http://localhost:{self.variables['HUB_PORT']}/lab",
            "DJ_HOST": "127.0.0.1",
            "DJ_PORT": "3306",
            "DJ_USER": "root",
            "DJ_PASS": self.variables["MYSQL_ROOT_PASSWORD"],
            "SPYGLASS_BASE_DIR": "/home/jovyan/data",
            "HDF5_USE_FILE_LOCKING": "FALSE",
        }
        podman = replace(self, environment={**self.environment, **hub})
        ports = ((self.variables["HUB_PORT"], "8888"), (self.variables["DB_PORT"], "3306"))
        published = [f"--publish={self.variables['BIND_ADDRESS']}:{outer}:{inner}" for outer, inner in ports]
        podman.ask("pod", "create", f"--name={self.project}", f"--label={PROJECT_LABEL}={self.project}", *published)
        podman._start("db", ["MYSQL_ROOT_PASSWORD"])
        deadline = time.monotonic() + DB_START_SECONDS
        while not self.dry and ((one := containers_of(self).get("db")) is None or one.health != "healthy"):
            if one is None or one.state != "running" or time.monotonic() > deadline:
                raise UserError("the database does not start", "`invoke logs --service db` tells more")
            time.sleep(0.5)
        podman._start("hub", [*HUB_SETTINGS, *hub])

    def _start(self, service: str, given: list[str]) -> None:
        """Start a container with these variables: their values are in podman's environment, not on its command line."""
        mounts = []
        for role, place in PLACES[service].items():
            volume = self.variables.get("SPYGLASS_DATA_DIR") if role == "data" else None
            if not volume:
                volume = "_".join(filter(None, (self.project, role, self.volume_hashes.get(role))))
                labels = (f"--label={PROJECT_LABEL}={self.project}", f"--label={VOLUME_LABEL}={role}")
                if self.dry or not self.succeeds("volume", "exists", volume):
                    self.ask("volume", "create", *labels, volume)
            mounts.append(f"--volume={volume}:{place}")
        if service == "hub" and self.variables.get("CA_BUNDLE"):
            mounts.append(f"--volume={self.variables['CA_BUNDLE']}:/run/secrets/ca_bundle:ro")
        names = (f"--pod={self.project}", f"--name={self.project}-{service}")
        rights = ("--cap-drop=ALL", "--security-opt=no-new-privileges")
        lasting = (f"--stop-timeout={STOP_SECONDS}", "--restart=unless-stopped", "--pull=never")
        variables = (f"--env={name}" for name in given)
        self.ask("run", "--detach", *names, *lasting, *rights, *variables, *mounts, self._image(service))
