"""The door to docker, tried on a program that says what Docker says when something is wrong."""

from pathlib import Path
from subprocess import CalledProcessError

import pytest

from spyglass_export.containers.docker import PROXY_VARIABLES, Docker
from spyglass_export.errors import UserError
from tests.unit.docker_program import docker_that_runs


def docker_that(folder: Path, code: str, *, dry: bool = False) -> Docker:
    """Make a program in docker's place; `code` has the arguments in `args`."""
    program = f"import os, sys\nargs = sys.argv[1:]\n{code}\n"
    return docker_that_runs(folder, program, environment={"PAPER_ID": "Gu2026"}, dry=dry)


def test_ask_gives_what_docker_printed(tmp_path: Path) -> None:
    docker = docker_that(tmp_path, "print(args, os.environ['PAPER_ID'])")

    assert docker.ask("compose", "ps") == "['compose', 'ps'] Gu2026\n"


def test_follow_gives_lines_as_they_come_and_tells_of_failure(tmp_path: Path) -> None:
    docker = docker_that(tmp_path, "print('one', flush=True); print('two', file=sys.stderr); sys.exit(3)")
    lines: list[str] = []

    with pytest.raises(CalledProcessError) as error:
        for line in docker.follow("build"):
            lines.append(line)

    assert error.value.returncode == 3
    assert lines == ["one", "two"]


def test_dry_prints_commands_and_runs_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker = docker_that(tmp_path, "open('ran', 'w')", dry=True)

    docker.ask("compose", "up", "--detach")
    list(docker.follow("compose", "build"))
    docker.attach("compose", "logs")

    assert not (tmp_path / "ran").exists()
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("docker.py ")[1] for line in printed] == ["compose up --detach", "compose build", "compose logs"]


def test_extra_compose_files_come_after_the_main_one(tmp_path: Path) -> None:
    program = docker_that(tmp_path, "print(*args)")
    docker = Docker(program.command, tmp_path, compose_files=("docker/compose.sudo.yml",))

    assert docker.ask("compose", "ps") == "compose --file docker-compose.yml --file docker/compose.sudo.yml ps\n"
    assert docker.ask("ps") == "ps\n"


def test_sudo_is_told_which_variables_to_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    docker = Docker(("sudo", "docker"), tmp_path, {"PAPER_ID": "a", "HUB_PORT": "8888"}, dry=True)

    docker.ask("compose", "ps")

    assert capsys.readouterr().out == "sudo --preserve-env=PAPER_ID,HUB_PORT,HTTPS_PROXY docker compose ps\n"


@pytest.mark.parametrize(
    ("says", "what", "hint"),
    [
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "you have no permission to use Docker",
            "DOCKER=sudo docker",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
            "Docker is not running",
            "start it",
        ),
        ("write /var/lib/docker/x: no space left on device", "the disk is full", "free some space"),
        ("Error: something new", "docker version failed: Error: something new", "invoke logs"),
    ],
)
def test_what_docker_says_becomes_what_to_do(tmp_path: Path, says: str, what: str, hint: str) -> None:
    docker = docker_that(tmp_path, f"sys.exit({says!r})")

    with pytest.raises(UserError) as error:
        docker.check()

    assert error.value.what == what
    assert hint in error.value.hint


def test_no_docker_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Docker is not installed: there is no program `no-such-docker`"):
        Docker(("no-such-docker",), tmp_path).check()


def test_compose_v1_only(tmp_path: Path) -> None:
    docker = docker_that(
        tmp_path, "sys.exit(\"docker: 'compose' is not a docker command.\" if 'compose' in args else 0)"
    )

    with pytest.raises(UserError, match=r"Docker Compose v2 is missing") as error:
        docker.check()
    assert "invoke bootstrap" in error.value.hint
