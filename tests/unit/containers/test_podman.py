"""Podman for readers: what is asked of podman where commands ask docker compose."""

import json
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.containers.faults import OnlyForReaders
from spyglass_export.containers.podman import Podman, open_door

ENVIRONMENT = {
    "COMPOSE_FILE": "docker-compose-collab.yml",
    "HUB_PORT": "20734",
    "DB_PORT": "20735",
    "BIND_ADDRESS": "127.0.0.1",
    "MYSQL_ROOT_PASSWORD": "a-secret",
    "DB_IMAGE": "lab/db@sha256:0",
    "HUB_IMAGE": "",
    "HUB_IMAGE_NAME": "lab/hub",
}


@pytest.fixture
def podman(tmp_path: Path) -> Docker:
    (tmp_path / "docker-compose-collab.yml").write_text("image: ${HUB_IMAGE:-ghcr.io/lab/hub@sha256:1}\n")
    hashes = {"db_data": "0123"}
    door = open_door(("podman",), tmp_path, ENVIRONMENT, project="reader-x", volume_hashes=hashes, dry=True)
    assert isinstance(door, Podman)
    return door


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_up_makes_a_pod_whose_passwords_are_on_no_command_line(
    podman: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    podman.ask("compose", "up", "--detach")

    lines = printed(capsys)
    assert lines[0].startswith("podman pod create --name=reader-x ")
    assert "--publish=127.0.0.1:20734:8888 --publish=127.0.0.1:20735:3306" in lines[0]
    db, hub = (line for line in lines if line.startswith("podman run "))
    assert "--volume=reader-x_db_data_0123:/var/lib/mysql" in db
    assert db.endswith(" docker.io/lab/db@sha256:0")
    assert hub.endswith(" ghcr.io/lab/hub@sha256:1")
    assert "--env=DJ_PASS" in hub
    assert "a-secret" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("compose", "command"),
    [
        (("stop",), "podman pod stop --ignore --time 60 reader-x"),
        (("down", "--remove-orphans"), "podman pod rm --force --ignore --time 60 reader-x"),
        (("exec", "hub", "bash"), "podman exec --interactive --tty reader-x-hub bash"),
        (("exec", "--no-TTY", "db", "cat", "hub"), "podman exec --interactive reader-x-db cat hub"),
        (("logs", "--tail", "100"), "podman pod logs --names --tail 100 reader-x"),
        (("logs", "--tail", "all", "--follow", "db"), "podman logs --tail -1 --follow reader-x-db"),
    ],
)
def test_each_call_of_compose_is_one_of_podman(
    podman: Docker, capsys: pytest.CaptureFixture[str], compose: tuple[str, ...], command: str
) -> None:
    podman.attach("compose", *compose)

    assert printed(capsys) == [command]


def test_images_are_the_compose_files_unless_env_names_others(podman: Docker) -> None:
    services = json.loads(podman.ask("compose", "config", "--format", "json"))["services"]

    assert services == {
        "db": {"image": "docker.io/lab/db@sha256:0"},
        "hub": {"image": "ghcr.io/lab/hub@sha256:1"},
    }


def test_an_author_is_told_what_podman_cannot_do(tmp_path: Path) -> None:
    program = tmp_path / "podman"
    program.write_text("")
    program.chmod(0o755)

    with pytest.raises(OnlyForReaders):
        Docker((str(program),), tmp_path).check()
