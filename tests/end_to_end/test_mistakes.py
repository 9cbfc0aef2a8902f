"""What goes wrong ends in one error line, one hint line and exit status 1, with nothing half-done."""

import re
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from tests.end_to_end.paper import Paper, interrupt

pytestmark = pytest.mark.end_to_end


def error_of(paper: Paper, *arguments: str, **environment: str) -> str:
    """Run a command that fails; give its error line after seeing that a hint follows."""
    lines = paper.invoke(*arguments, status=1, **environment).splitlines()
    assert [line.split(":")[0] for line in lines[-2:]] == ["error", "hint"]
    return lines[-2].removeprefix("error: ")


def test_no_env_file(unbuilt_paper: Paper) -> None:
    (unbuilt_paper.root / ".env").unlink()

    assert error_of(unbuilt_paper, "build") == f"no .env in {unbuilt_paper.root}"


def test_invalid_paper_id(unbuilt_paper: Paper) -> None:
    assert error_of(unbuilt_paper, "build", PAPER_ID="Gu 2026!") == "PAPER_ID 'Gu 2026!' is not valid"


@pytest.mark.parametrize("command", ["copy_files", "build"])
def test_no_export(unbuilt_paper: Paper, docker_engine: Docker, command: str) -> None:
    error = error_of(unbuilt_paper, command, SPYGLASS_PAPER_DIR="nowhere")

    assert str(unbuilt_paper.root / "nowhere") in error
    assert [file.name for file in (unbuilt_paper.root / "export_data").iterdir()] == [".gitkeep"]


def test_an_empty_export(unbuilt_paper: Paper) -> None:
    (unbuilt_paper.root / "empty").mkdir()

    assert str(unbuilt_paper.root / "empty") in error_of(unbuilt_paper, "copy_files", SPYGLASS_PAPER_DIR="empty")


def test_an_export_without_environment_leaves_the_last_one_whole(unbuilt_paper: Paper) -> None:
    unbuilt_paper.invoke("copy_files")
    before = (unbuilt_paper.root / "export_data" / "manifest.json").read_bytes()
    shutil.copytree(unbuilt_paper.root / "examples" / "export" / "example", unbuilt_paper.root / "other")
    (unbuilt_paper.root / "other" / "environment.yml").unlink()

    assert "environment.yml" in error_of(unbuilt_paper, "copy_files", SPYGLASS_PAPER_DIR="other")
    assert (unbuilt_paper.root / "export_data" / "manifest.json").read_bytes() == before


def test_no_docker(unbuilt_paper: Paper) -> None:
    assert error_of(unbuilt_paper, "build", DOCKER="no-such-docker") == (
        "Docker is not installed: there is no program `no-such-docker`"
    )


def docker_that_says(folder: Path, text: str) -> str:
    program = folder / "docker.py"
    program.write_text(f"import sys\nsys.exit({text!r})\n", encoding="utf-8")
    return f"'{sys.executable}' '{program}'"


def test_no_permission_to_use_docker(unbuilt_paper: Paper) -> None:
    docker = docker_that_says(
        unbuilt_paper.root, "permission denied while trying to connect to the Docker daemon socket at unix:///x"
    )

    assert error_of(unbuilt_paper, "build", DOCKER=docker) == "you have no permission to use Docker"


def test_a_busy_port(unbuilt_paper: Paper, docker_engine: Docker) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        printed = unbuilt_paper.invoke("build", status=1, HUB_PORT=str(port))

    assert f"error: port {port} (HUB_PORT) is in use by another program" in printed
    assert re.search(r"hint: set HUB_PORT=\d+ in .env: port \d+ is free", printed)


def test_a_container_that_dies(paper: Paper) -> None:
    entrypoint = paper.root / "config" / "entrypoint.py"
    whole = entrypoint.read_text(encoding="utf-8")
    try:
        entrypoint.write_text("raise SystemExit('no such thing as a free lunch')\n", encoding="utf-8")

        printed = paper.invoke("build", status=1)
    finally:
        entrypoint.write_text(whole, encoding="utf-8")

    assert "no such thing as a free lunch" in printed
    assert "error: the container hub stopped right after its start" in printed
    assert paper.docker.ask("compose", "ps", "--all", "--quiet") == ""
    paper.invoke("build")


def test_control_c_while_building(paper: Paper) -> None:
    (paper.root / "export_data" / "environment.override.yml").write_text("dependencies: [pip, {pip: [six==1.16.0]}]\n")
    build = paper.start("build")
    assert build.stdout
    printed = ""
    for line in build.stdout:
        printed += line
        if "export_data/manifest.json" in line:
            time.sleep(3)  # the environment, which takes longer, is being installed by then
            interrupt(build)
    (paper.root / "export_data" / "environment.override.yml").unlink()

    assert build.wait() == 1
    assert printed.splitlines()[-2:] == [
        "error: interrupted",
        "hint: nothing was lost; run the same command again to go on",
    ]
    assert "healthy" in paper.invoke("status")
