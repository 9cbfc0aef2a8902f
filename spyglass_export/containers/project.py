"""What a paper has on this machine by its project of compose: its containers, and its volumes."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from spyglass_export.containers.docker import PROJECT_LABEL, VOLUME_LABEL, Docker, of_project

# Of `docker ps`, which takes a fifth of the time of `docker compose ps`.
_SHOWN = (
    '{{.Label "com.docker.compose.service"}}\t{{.ID}}\t{{.State}}\t{{.Status}}\t{{.Ports}}\t'
    f'{{{{.Label "{PROJECT_LABEL}.working_dir"}}}}'
)


class Container(NamedTuple):
    """A service's container: its ID, state and health in Docker's words, where it answers, and who started it where."""

    service: str
    id: str
    state: str
    health: str
    ports: tuple[str, ...]
    folder: Path


def containers_of(docker: Docker, project: str = "") -> dict[str, Container]:
    """Give the containers of a project, running or not, by service; this paper's where none is named."""
    listed = docker.ask("ps", "--all", *of_project(project or docker.project), "--format", _SHOWN)
    found = {}
    for line in sorted(filter(str.strip, listed.splitlines())):
        service, identifier, state, status, ports, folder = line.split("\t")
        health = "".join(re.findall(r"\((?:health: )?(healthy|unhealthy|starting)\)", status))
        published = tuple(dict.fromkeys(re.findall(r"[^\s,]+(?=->)", ports)))
        found[service] = Container(service, identifier, state, health, published, Path(folder))
    return found


def volume_names(docker: Docker) -> dict[str, list[str]]:
    """The names of this paper's volumes by role, the superseded ones too."""
    names: dict[str, list[str]] = {}
    shown = f'{{{{.Label "{VOLUME_LABEL}"}}}}\t{{{{.Name}}}}'
    for line in docker.ask("volume", "ls", *of_project(docker.project), "--format", shown).splitlines():
        role, _, name = line.partition("\t")
        names.setdefault(role, []).append(name)
    return names


class Volume(NamedTuple):
    """A volume of this paper: its name, what it is for (such as `db_data`) and its size as Docker says it.

    ``is_current`` is None where nothing tells what it belongs to, as before `copy_files` has run.
    """

    name: str
    role: str
    size: str
    is_current: bool | None


def volumes_of(docker: Docker) -> list[Volume]:
    """Give this paper's volumes, those of an earlier export or environment too."""
    listed = docker.ask("system", "df", "--verbose", "--format", "json")
    found = []
    for volume in (json.loads(listed)["Volumes"] or []) if listed else []:
        labels = dict(label.partition("=")[::2] for label in volume["Labels"].split(","))
        if labels.get(PROJECT_LABEL) == docker.project:
            name, role = volume["Name"], labels.get(VOLUME_LABEL, "")
            is_current: bool | None = True
            if role in ("conda", "db_data"):  # they belong to one environment, and to one export
                wanted = docker.volume_hashes.get(role)
                is_current = name == f"{docker.project}_{role}_{wanted}" if wanted else None
            found.append(Volume(name, role, volume["Size"], is_current))
    return sorted(found, key=lambda volume: (volume.role, not volume.is_current, volume.name))
