"""`invoke check` on machines with something wrong: a program in Docker's place says what Docker would say."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spyglass_export.checks import machine
from spyglass_export.checks.check import Check
from spyglass_export.checks.machine import check_machine
from spyglass_export.containers.docker import Docker
from spyglass_export.settings import Settings, load
from tests.unit.docker_program import docker_that_runs

MIRRORS = "info --format {{join .RegistryConfig.Mirrors"
PROGRAM = """
import sys, time
for asked, answer in {answers!r}.items():
    if " ".join(sys.argv[1:]).startswith(asked):
        if isinstance(answer, float):
            time.sleep(answer)
        if answer is None or answer.startswith("error: "):
            sys.exit(answer or 1)
        print(answer)
        sys.exit(0)
sys.exit(f"error: not expected: {{sys.argv[1:]}}")
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for folder in ("docker/base", "export/Gu2026"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docker/with_ca_bundle.sh").touch()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        hub, db = one.getsockname()[1], other.getsockname()[1]
    (tmp_path / ".env").write_text(f"PAPER_ID=Gu2026\nSPYGLASS_BASE_DIR=.\nHUB_PORT={hub}\nDB_PORT={db}\n")
    return load(tmp_path, {})


def plugins(compose: str | None = "2.26.1-4", buildx: str | None = "0.13.1+ds1") -> dict[str, Any]:
    """What `docker info` says of its plugins; None where one is not there."""
    versions = {"buildx": buildx, "compose": compose}
    return {"Plugins": [{"Name": name, "Version": version} for name, version in versions.items() if version]}


def info(folder: Path, **other: Any) -> str:
    """What `docker info` says of this machine, but for what the test gives."""
    return json.dumps(
        {
            "OSType": "linux",
            "Architecture": "x86_64",
            "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
            "NCPU": 4,
            "MemTotal": 16 * 10**9,
            "DockerRootDir": str(folder),
            "DriverStatus": [["Backing Filesystem", "extfs"]],
            "Name": socket.gethostname(),
            "ClientInfo": plugins(),
            **other,
        }
    )


def usual(settings: Settings, facts: dict[str, Any]) -> dict[str, str | None]:
    """Answers of a docker that is well, by the beginning of the command; None is an exit status of 1."""
    return {
        MIRRORS: "",
        "version": facts.get("ServerVersion", "26.1.5+dfsg1"),
        "info": info(settings.root, **facts),
        "ps": "",
        "image inspect spyglass-hub": None,
        "image inspect spyglass-db": None,
        "image inspect": "sha256:1",
    }


def checked(settings: Settings, answers: dict[str, str | float | None] | None = None, **facts: Any) -> dict[str, Check]:
    """Check a machine whose Docker gives these answers and facts, and is well otherwise."""
    # The first that fits is said, so that what the test gives comes first.
    all_answers = {**(answers or {}), **{k: v for k, v in usual(settings, facts).items() if k not in (answers or {})}}
    docker = docker_that_runs(settings.root, PROGRAM.format(answers=all_answers), project=settings.project)
    checks = check_machine(docker, settings)
    return {check.name: check for check in checks}


def test_a_machine_that_is_well(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100 * 10**9))

    checks = checked(settings)

    assert {check.name: check.what for check in checks.values() if check.status != "ok"} == {}
    assert [*checks] == [
        "permission",
        "Docker Engine",
        "Docker compose",
        "Docker buildx",
        "platform",
        "disk of export_data",
        "disk of Docker",
        "memory",
        "port HUB_PORT",
        "port DB_PORT",
        "DB_BASE_IMAGE",
        "HUB_BASE_IMAGE",
    ]
    assert checks["Docker Engine"].what == "version 26.1.5+dfsg1"
    assert checks["Docker compose"].what == "version 2.26.1-4"
    assert checks["Docker buildx"].what == "version 0.13.1+ds1"


@pytest.mark.parametrize(
    ("facts", "name", "what"),
    [
        ({"ServerVersion": "20.10.24"}, "Docker Engine", "version 20.10.24 is too old: 23.0 or newer"),
        ({"ClientInfo": plugins(compose="2.6.0")}, "Docker compose", "version 2.6.0 is too old: 2.20 or newer"),
        ({"ClientInfo": plugins(compose=None)}, "Docker compose", "`docker compose` does not work"),
        ({"ClientInfo": plugins(buildx=None)}, "Docker buildx", "`docker buildx` does not work"),
        ({"ClientInfo": {"Plugins": None}}, "Docker buildx", "`docker buildx` does not work"),
    ],
)
def test_docker_that_is_not_as_needed(settings: Settings, facts: dict[str, Any], name: str, what: str) -> None:
    check = checked(settings, **facts)[name]

    assert check.status == "failure"
    assert check.what.startswith(what)
    assert "invoke bootstrap" in check.fix


@pytest.mark.parametrize(
    ("answer", "name", "what", "fix"),
    [
        (
            "error: permission denied while trying to connect to the Docker daemon socket",
            "permission",
            "you have no permission to use Docker",
            "DOCKER=sudo docker",
        ),
        (
            "error: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
            "Docker Engine",
            "Docker is not running",
            "start it",
        ),
    ],
)
def test_docker_that_does_not_answer(settings: Settings, answer: str, name: str, what: str, fix: str) -> None:
    # Without an Engine `info` tells of the client alone, and succeeds.
    check = checked(settings, {"version": answer, "info": json.dumps({"ServerErrors": [answer]})})[name]

    assert check.status == "failure"
    assert check.what.startswith(what)
    assert fix in check.fix


def test_a_docker_host_that_leads_nowhere_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://old-server:2375")

    check = checked(settings, {"version": "error: Cannot connect to the Docker daemon at tcp://old-server:2375"})

    assert "unset DOCKER_HOST in this shell, which sends you to tcp://old-server:2375" in check["Docker Engine"].fix


def test_no_docker_at_all(settings: Settings) -> None:
    first, *others = check_machine(Docker(("no-such-docker",), settings.root), settings)

    assert (first.status, first.name) == ("failure", "Docker Engine")
    assert first.what == "Docker is not installed: there is no program `no-such-docker`"
    assert [check.status for check in others] == ["warning"]


def test_what_cannot_be_looked_at_without_docker_is_said(settings: Settings) -> None:
    checks = checked(settings, {"version": "error: Cannot connect to the Docker daemon"})

    assert "disk space, memory, ports and base images: not checked" in checks["machine"].what


def test_docker_that_hangs_is_not_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PATIENCE", 0.5)

    check = checked(settings, {"version": 60.0})["Docker Engine"]

    assert check.status == "failure"
    assert check.what == "`docker version` gave no answer in 0.5 s"


def test_one_answer_that_makes_no_sense_does_not_hide_the_others(settings: Settings) -> None:
    checks = checked(settings, {"image inspect spyglass-hub": "no number"})

    assert checks["disk space"].status == "warning"
    assert "could not be checked" in checks["disk space"].what
    assert checks["port HUB_PORT"].status == "ok"


def test_windows_containers(settings: Settings) -> None:
    check = checked(settings, OSType="windows")["platform"]

    assert check.status == "failure"
    assert "Linux containers" in check.fix


def test_a_mac_with_an_arm_processor_is_told_of_emulation(settings: Settings) -> None:
    check = checked(settings, Architecture="aarch64")["platform"]

    assert check.status == "warning"
    assert "emulated" in check.what
    assert "Rosetta" in check.fix


@pytest.mark.parametrize(("memory", "status"), [(1 * 10**9, "failure"), (4 * 10**9, "warning"), (8 * 10**9, "ok")])
def test_memory(settings: Settings, memory: int, status: str) -> None:
    assert checked(settings, MemTotal=memory)["memory"].status == status


def write_dump_of(settings: Settings, size: int) -> None:
    """Write a dump of that size that takes no room."""
    with (settings.spyglass_paper_dir / "_Populate_Gu2026.sql").open("wb") as dump:
        dump.truncate(size)


def test_a_dump_that_no_disk_here_could_hold(settings: Settings) -> None:
    free = shutil.disk_usage(settings.root).free
    write_dump_of(settings, min(free * 2, 15 * 10**12))

    checks = checked(settings)

    assert checks["disk of Docker"].status == "failure"
    assert checks["disk of export_data"].status == "failure"
    assert "docker system prune" in checks["disk of Docker"].fix


def test_what_is_built_already_needs_no_more_room(settings: Settings) -> None:
    write_dump_of(settings, 10**9)

    fresh = checked(settings)["disk of Docker"].what
    built = checked(
        settings,
        {"image inspect spyglass-hub": str(3 * 10**9), "image inspect spyglass-db": str(3 * 10**9)},
    )["disk of Docker"].what

    assert "need about 8 GB" in fresh
    assert "need about 2 GB" in built


def test_docker_desktop_has_a_limit_of_its_own(settings: Settings) -> None:
    check = checked(settings, OperatingSystem="Docker Desktop", DockerRootDir="/var/lib/docker")["disk of Docker"]

    assert str(Path.home()) in check.what
    assert "Settings, Resources" in check.what


def test_docker_on_another_machine(settings: Settings) -> None:
    check = checked(settings, Name="gpu-server")["disk of Docker"]

    assert check.status == "warning"
    assert "another machine (gpu-server)" in check.what


@contextmanager
def busy_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_both_ports_are_told_when_both_are_taken(settings: Settings) -> None:
    with busy_port() as first, busy_port() as second:
        checks = checked(replace(settings, hub_port=first, db_port=second))

    assert checks["port HUB_PORT"].status == checks["port DB_PORT"].status == "failure"
    assert checks["port HUB_PORT"].fix.startswith("set HUB_PORT=")
    assert f"port {second} (DB_PORT) is in use" in checks["port DB_PORT"].what


def test_a_port_of_this_papers_own_container_is_no_trouble(settings: Settings) -> None:
    with busy_port() as port:
        checks = checked(replace(settings, hub_port=port), {"ps": f"hub\t1\trunning\t\t127.0.0.1:{port}->8888/tcp\t/"})

    assert checks["port HUB_PORT"].status == "ok"


@pytest.mark.parametrize(("mirror", "status"), [("", "failure"), ("https://mirror.example/", "warning")])
def test_a_base_image_whose_registry_does_not_answer(settings: Settings, mirror: str, status: str) -> None:
    # Nothing answers on port 1 of this machine.
    checks = checked(
        replace(settings, db_base_image="127.0.0.1:1/mysql:9.7"),
        {"image inspect 127.0.0.1:1/mysql:9.7": None, MIRRORS: mirror},
    )

    assert checks["DB_BASE_IMAGE"].status == status
    assert "127.0.0.1:1 does not answer" in checks["DB_BASE_IMAGE"].what
    assert "invoke bootstrap" in checks["DB_BASE_IMAGE"].fix
    assert checks["HUB_BASE_IMAGE"].status == "ok"


@pytest.mark.parametrize(
    ("answer", "status", "what"),
    [
        ("Name: mysql:9.7", "ok", "will be pulled"),
        ("error: ERROR: registry.test/mysql:9.9: not found", "failure", "has no registry.test/mysql:9.7"),
        ("error: ERROR: unexpected status: 500", "warning", "could not be looked up"),
    ],
)
def test_a_base_image_that_its_registry_has_or_has_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, answer: str, status: str, what: str
) -> None:
    monkeypatch.setattr("spyglass_export.containers.bootstrap.registries_answer", lambda images: [True for _ in images])

    check = checked(
        replace(settings, db_base_image="registry.test/mysql:9.7"),
        {"image inspect registry.test": None, "buildx imagetools inspect registry.test/mysql:9.7": answer},
    )["DB_BASE_IMAGE"]

    assert check.status == status
    assert what in check.what


def test_stand_ins_that_are_not_built(settings: Settings) -> None:
    check = checked(
        replace(settings, db_base_image="spyglass-export/mysql:9.7"), {"image inspect spyglass-export/mysql": None}
    )["DB_BASE_IMAGE"]

    assert (check.status, check.fix) == ("failure", "run `invoke bootstrap`")


def test_dry_shows_docker_commands_and_runs_none(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_machine(Docker(("no-such-docker",), settings.root, dry=True), settings) == []

    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["info"]
