"""A reader with rootless Podman and no Docker: the pod of a bundle, and the commands with DOCKER=podman."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.settings import Settings
from tests.end_to_end.paper import Paper
from tests.end_to_end.walk import Terminal, Walk

pytestmark = pytest.mark.end_to_end

IMAGE = "sgx-podman"
HERE = Path(__file__).parent
PREPARE = """
mkdir -p ~/.config/containers ~/bundle /tmp/ada
printf '[storage]\\ndriver = "overlay"\\n' > ~/.config/containers/storage.conf
cd ~/bundle && python3 -m zipfile -e /archive/Gu-2026.zip . && echo DOCKER=podman >> .env
"""


class Machine:
    """A container in which ada has Podman and the unpacked bundle."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, line: str, user: str = "ada", status: int = 0) -> str:
        """Run a line of bash in the bundle's folder, see how it ends and give what it printed."""
        options = [f"--user={user}", "--env=HOME=/home/ada", "--env=XDG_RUNTIME_DIR=/tmp/ada", "--workdir=/home/ada"]
        command = f"cd bundle 2>/dev/null; {line}"
        done = subprocess.run(
            ["docker", "exec", *options, self.name, "bash", "-c", command], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if status == 0 else done.stdout + done.stderr


@pytest.fixture(scope="module")
def machine(settings: Settings, docker_engine: Docker, hub_base_image: str, archived: Path) -> Iterator[Machine]:
    """A machine whose Podman has the archive's images."""
    secret = [f"--secret=id=ca_bundle,src={settings.ca_bundle}"] if settings.ca_bundle else []
    options = [*secret, f"--build-arg=HUB_BASE_IMAGE={hub_base_image}", "--tag", IMAGE]
    docker_engine.ask("build", *options, "--file", str(HERE / "podman.Dockerfile"), str(settings.root / "docker"))
    made = Machine(f"sgx-podman-{os.getpid()}")
    run = ("run", "--detach", "--privileged", f"--name={made.name}", f"--volume={archived}:/archive:ro", IMAGE)
    docker_engine.ask(*run)
    try:
        made.run("chmod 666 /dev/net/tun", user="root")
        made.run(PREPARE)
        printed = made.run("invoke run --from /archive")
        assert "JupyterLab: http://localhost:" in printed
        yield made
    finally:
        docker_engine.succeeds("rm", "--force", "--volumes", made.name)


def test_readers_commands_work_and_keep_what_is_written(machine: Machine) -> None:
    assert machine.run("echo 'id -u; ls ~/notebooks' | invoke enter").split() == ["1000", "example.ipynb"]
    machine.run("echo 'CREATE DATABASE mine' | invoke enter --service db")
    assert machine.run("invoke status").count("healthy") == 2
    assert "ready for connections" in machine.run("invoke logs --service db --tail 5 2>&1")
    ports = machine.run("grep -E '^(HUB|DB)_PORT=' .env | cut -d= -f2").split()
    published = machine.run("podman ps --format '{{.Ports}}' | head -n 1")
    assert all(f"127.0.0.1:{port}->" in published for port in ports)

    assert "2 of 2 figures are the same" in machine.run("invoke test_notebooks")

    assert "both containers are stopped" in machine.run("invoke stop")
    assert "exited" in machine.run("invoke status")
    machine.run("invoke run")
    assert "both containers are removed" in machine.run("invoke down")
    assert machine.run("podman ps --all --quiet") == ""
    machine.run("invoke run")
    assert "mine" in machine.run("echo 'SHOW DATABASES' | invoke enter --service db")
    machine.run("invoke down")


def test_podman_alone_starts_the_pod_of_the_bundle_as_the_guide_shows(machine: Machine, tmp_path: Path) -> None:
    options = "--user ada --env HOME=/home/ada --env XDG_RUNTIME_DIR=/tmp/ada --workdir /home/ada/bundle"
    terminal = Terminal(tmp_path / "podman", os.environ, f"docker exec --interactive --tty {options} {machine.name}")
    walk = Walk("docs/elsewhere.md", terminal, {"gu2026": "gu-2026"}, "With Podman")
    port = machine.run("grep -o 'containerPort: [0-9]*' kubernetes/pod.yaml").split()[1]
    walk.until("podman play kube kubernetes/pod.yaml")
    answer = machine.run(f"curl --silent --retry 60 --retry-delay 1 --retry-all-errors http://127.0.0.1:{port}/api")
    assert "version" in answer
    listed = "python -c 'import datajoint as dj; print(dj.list_schemas())'"
    hub = "podman exec spyglass-gu-2026-hub bash -c"
    assert "common_session" in machine.run(f'{hub} ". /opt/paper/activate.sh; {listed}"')
    walk.to_the_end()


def test_what_authors_do_takes_docker(unbuilt_paper: Paper) -> None:
    for command in ("build", "publish", "archive", "bootstrap"):
        printed = unbuilt_paper.invoke(command, status=1, DOCKER="podman")
        # Where it is not installed, that is said first.
        assert "error: with Podman you can run" in printed or "there is no program `podman`" in printed
        assert "export_data" not in printed
