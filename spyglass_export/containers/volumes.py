"""The volumes of a paper: which there are, what each is for, and whether it is of the export at hand."""

import json
from dataclasses import dataclass

from spyglass_export.containers.docker import PROJECT_LABEL, VOLUME_LABEL, Docker, of_project

# The roles of volumes that belong to one export or environment.
OF_AN_EXPORT = ("conda", "db_data")


def volume_names(docker: Docker) -> dict[str, list[str]]:
    """The names of this paper's volumes by role, the superseded ones too."""
    names: dict[str, list[str]] = {}
    if docker.dry:
        return names
    shown = f'{{{{.Label "{VOLUME_LABEL}"}}}}\t{{{{.Name}}}}'
    for line in docker.ask("volume", "ls", *of_project(docker.project), "--format", shown).splitlines():
        role, _, name = line.partition("\t")
        names.setdefault(role, []).append(name)
    return names


@dataclass(frozen=True)
class Volume:
    """A volume of this paper: its name, what it is for (such as `db_data`) and its size as Docker says it.

    ``is_current`` is None where nothing tells what it belongs to, as before `copy_files` has run.
    """

    name: str
    role: str
    size: str
    is_current: bool | None


def volumes_of(docker: Docker) -> list[Volume]:
    """Give this paper's volumes, those of an earlier export or environment too."""
    if docker.dry:
        return []
    volumes = json.loads(docker.ask("system", "df", "--verbose", "--format", "json"))["Volumes"]
    found = []
    for volume in volumes or []:
        labels = dict(label.partition("=")[::2] for label in volume["Labels"].split(","))
        if labels.get(PROJECT_LABEL) == docker.project:
            role = labels.get(VOLUME_LABEL, "")
            is_current: bool | None = True
            if role in OF_AN_EXPORT:
                wanted = docker.volume_hashes.get(role)
                is_current = volume["Name"] == f"{docker.project}_{role}_{wanted}" if wanted else None
            found.append(Volume(volume["Name"], role, volume["Size"], is_current))
    return sorted(found, key=lambda volume: (volume.role, not volume.is_current, volume.name))


def remove_volumes(docker: Docker, volumes: list[Volume]) -> None:
    """Remove volumes for good."""
    docker.ask("volume", "rm", *(volume.name for volume in volumes))
