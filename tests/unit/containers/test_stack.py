"""Ports, volumes and what docker compose is told, without Docker."""

import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spyglass_export.containers import ports, stack
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.project import volumes_of
from spyglass_export.errors import UserError
from spyglass_export.export.manifest import Manifest, seed_id
from spyglass_export.settings import Settings, load
from tests.unit.docker_program import docker_that_runs

LABEL = "com.docker.compose."


def project(folder: Path, env: str = "PAPER_ID=Gu2026\n") -> Settings:
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "export_data").mkdir(exist_ok=True)
    (folder / ".env").write_text(env, encoding="utf-8")
    return load(folder, {})


def export(settings: Settings, schema: str, environment: str) -> dict[str, str]:
    (settings.export_data / "sql").mkdir(exist_ok=True)
    (settings.export_data / "sql" / "schema.sql").write_text(schema)
    (settings.export_data / "environment.yml").write_text(environment)
    Manifest("Gu2026", None, "", seed_id(settings.export_data), [], [], {}, []).write(settings.export_data)
    return dict(stack.authors_docker(settings).volume_hashes)


def test_a_changed_export_gets_a_fresh_database_volume_and_keeps_the_other(tmp_path: Path) -> None:
    settings = project(tmp_path)

    before, after = export(settings, "a", "name: x"), export(settings, "b", "name: x")

    assert before["db_data"] != after["db_data"]
    assert before["conda"] == after["conda"]
    assert export(settings, "a", "name: x") == before


def test_a_changed_environment_gets_a_fresh_conda_volume(tmp_path: Path) -> None:
    settings = project(tmp_path)

    assert export(settings, "a", "name: x")["conda"] != export(settings, "a", "name: y")["conda"]


def test_compose_is_told_the_resolved_values_and_no_folder_of_spyglass(tmp_path: Path) -> None:
    settings = project(tmp_path, "PAPER_ID=Gu2026\nSPYGLASS_BASE_DIR=/lab\nDOCKER_HUB_USER=lab\n")

    environment = stack.authors_docker(settings).variables

    assert environment["COMPOSE_PROJECT_NAME"] == "spyglass-gu2026"
    assert environment["HUB_IMAGE_NAME"] == "lab/spyglass-hub-gu2026"
    assert environment["MYSQL_ROOT_PASSWORD"] == "Gu2026"
    assert not any(value.startswith("/lab") for value in environment.values())


@pytest.mark.parametrize(
    ("engine", "root_is_author"),
    [
        (" Engine containerd runc docker-init ", False),
        ("Docker Engine - Community Engine containerd runc docker-init rootlesskit ", True),
        ("Docker Desktop 4.45.0 (203075) Engine containerd runc docker-init ", True),
    ],
)
def test_the_hub_writes_as_the_author(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, root_is_author: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    settings = replace(project(tmp_path), docker=docker_that_runs(tmp_path, f"print({engine!r})").command)

    if hasattr(os, "chown") and os.getuid() == 0:
        os.chown(settings.notebooks, 1234, 1234)

    docker = stack.authors_docker(settings)

    owner = settings.notebooks.stat()
    ids = (0, 0) if root_is_author else (owner.st_uid, owner.st_gid)
    assert docker.owner == ids
    assert (docker.variables["HOST_UID"], docker.variables["HOST_GID"]) == tuple(map(str, ids))


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_docker_desktop_maps_the_ids_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert stack.authors_docker(project(tmp_path)).owner is None


def test_docker_that_is_missing_is_for_others_to_tell(tmp_path: Path) -> None:
    settings = replace(project(tmp_path), docker=("no-such-docker",))

    assert stack.authors_docker(settings).environment["PAPER_ID"] == "Gu2026"


def test_a_paper_that_runs_from_another_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, elsewhere, moved = (tmp_path / name for name in ("here", "elsewhere", "moved"))
    for folder in (here, elsewhere):
        folder.mkdir()
    settings = project(here)

    def engine(folder: Path) -> Docker:
        """Docker with containers of this paper that were started in a folder."""
        return replace(
            docker_that_runs(tmp_path, f"print('db', 1, 'running', '', '', {str(folder)!r}, sep='\\t')"),
            root=here,
            project=settings.project,
        )

    stack.check_folder(settings, engine(here))
    stack.check_folder(settings, engine(moved))
    with pytest.raises(UserError, match=r"the paper Gu2026 has containers already, started in .*elsewhere"):
        stack.check_folder(settings, engine(elsewhere))

    def closed(*_: object) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "samefile", closed)
    with pytest.raises(UserError, match=r"the paper Gu2026 has containers already, started in .*home_of_another"):
        stack.check_folder(settings, engine(tmp_path / "home_of_another"))


def test_a_volume_is_superseded_only_where_it_is_known_what_is_current(tmp_path: Path) -> None:
    settings = project(tmp_path)
    volumes = [
        {
            "Name": f"spyglass-gu2026_{name}",
            "Size": "1MB",
            "Labels": f"{LABEL}project=spyglass-gu2026,{LABEL}volume={role}",
        }
        for name, role in (("db_data_new", "db_data"), ("db_data_old", "db_data"), ("data", "data"))
    ]
    program = f"print({json.dumps({'Volumes': volumes})!r})"

    def states(hashes: dict[str, str]) -> dict[str, bool | None]:
        docker = docker_that_runs(tmp_path, program, project=settings.project, volume_hashes=hashes)
        return {volume.name.removeprefix("spyglass-gu2026_"): volume.is_current for volume in volumes_of(docker)}

    assert states({"db_data": "new"}) == {"data": True, "db_data_new": True, "db_data_old": False}
    assert states({}) == {"data": True, "db_data_new": None, "db_data_old": None}


def test_a_busy_port_is_named_with_a_free_one(tmp_path: Path) -> None:
    nothing_runs = Docker(("true",), tmp_path, project="spyglass-a")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = project(tmp_path, f"PAPER_ID=a\nHUB_PORT={port}\nDB_PORT=1024\n")

        with pytest.raises(UserError, match=rf"port {port} \(HUB_PORT\) is in use") as error:
            ports.check_ports(settings, nothing_runs)

    free = int(error.value.hint.rsplit("port ", 1)[1].split()[0])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free))


def test_an_address_that_is_not_this_machines(tmp_path: Path) -> None:
    settings = project(
        tmp_path, "PAPER_ID=a\nBIND_ADDRESS=192.0.2.1\nJUPYTER_SERVER_APP_PASSWORD=b\nMYSQL_ROOT_PASSWORD=b\n"
    )

    with pytest.raises(UserError, match=r"BIND_ADDRESS 192\.0\.2\.1 is not an address of this machine"):
        ports.check_ports(settings, Docker(("true",), tmp_path, project="spyglass-a"))
