"""The images as other engines run them: any user id, homes that are mounted, JupyterHub's prefix."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.paper import Paper

pytestmark = pytest.mark.end_to_end

# As OpenShift gives them: an id that has no name, and the group 0.
ANYBODY = "1000650000:0"
VARIABLES = {
    "PAPER_ID": "Gu-2026",
    "READER": "yes",
    "JUPYTER_SERVER_APP_PASSWORD": "open-sesame",
    "DJ_HOST": "127.0.0.1",
    "DJ_PORT": "3306",
    "DJ_USER": "root",
    "DJ_PASS": "open-sesame",
    "MYSQL_ROOT_PASSWORD": "open-sesame",
}
RESTRICTED = ("--cap-drop=ALL", "--security-opt=no-new-privileges")


class Containers:
    """Containers of the paper's images, removed again."""

    def __init__(self, paper: Paper) -> None:
        self.images = {"db": paper.settings.db_image_name, "hub": paper.settings.hub_image_name}
        self.made: list[str] = []

    def arguments(self, service: str, *options: str) -> list[str]:
        variables = [f"--env={name}={value}" for name, value in VARIABLES.items()]
        return ["docker", "run", *RESTRICTED, *variables, *options, self.images[service]]

    def start(self, service: str, *options: str) -> str:
        command = self.arguments(service, "--detach", *options)
        self.made.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        return self.made[-1]

    def fails(self, service: str, *options: str) -> list[str]:
        """Start one that cannot run, and give what it printed."""
        done = subprocess.run(
            self.arguments(service, "--rm", *options), check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1, done.stdout + done.stderr
        return (done.stdout + done.stderr).splitlines()

    def close(self) -> None:
        if self.made:
            subprocess.run(["docker", "rm", "--force", "--volumes", *self.made], check=True, capture_output=True)


@pytest.fixture
def containers(paper: Paper) -> Iterator[Containers]:
    made = Containers(paper)
    yield made
    made.close()


def inspect(container: str, what: str) -> str:
    command = ["docker", "inspect", "--format", f"{{{{{what}}}}}", container]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def wait_until_healthy(container: str) -> None:
    for _ in range(240):
        if inspect(container, ".State.Health.Status") == "healthy":
            return
        if inspect(container, ".State.Running") != "true":
            break
        time.sleep(0.5)
    log = subprocess.run(["docker", "logs", container], check=True, capture_output=True, text=True)
    pytest.fail(log.stdout + log.stderr)


def in_container(container: str, line: str) -> str:
    command = ["docker", "exec", container, "bash", "-c", line]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("user", [ANYBODY, "4242:4242"])
def test_both_run_as_any_user(containers: Containers, user: str) -> None:
    db = containers.start("db", "--user", user, *(["--group-add=0"] if not user.endswith(":0") else []))
    hub = containers.start("hub", "--user", user, f"--network=container:{db}")
    wait_until_healthy(db)
    wait_until_healthy(hub)

    assert in_container(db, "id -u") == user.partition(":")[0]
    listed = in_container(hub, ". /opt/paper/activate.sh; python -c 'import datajoint as dj; print(dj.list_schemas())'")
    assert "common_session" in listed
    named = containers.arguments("hub", "--rm", "--user", user)
    name = subprocess.run([*named, "python", "-c", "import getpass; print(getpass.getuser())"], capture_output=True)
    assert name.stdout.splitlines()[-1] == b"author"
    in_container(hub, "touch ~/notebooks/mine ~/data/mine /opt/paper/packages/mine ~/.cache/mine")
    assert "example.ipynb" in in_container(hub, "ls ~/notebooks")


def test_neither_is_root_as_kubernetes_sees_it(containers: Containers) -> None:
    for image in containers.images.values():
        command = ["docker", "image", "inspect", "--format", "{{json .Config.User}}", image]
        user = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert user.partition(":")[0].isdigit()
        assert user.partition(":")[0] != "0"


def test_a_home_that_cannot_be_written_is_one_error(containers: Containers, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    printed = containers.fails("hub", "--user=1000:100", f"--volume={tmp_path}:/home/jovyan")

    assert printed[0] == "error: /home/jovyan cannot be written by the user 1000 (groups 100)"
    assert printed[1].startswith("hint: mount a folder or volume there")
    assert len(printed) == 2


def test_a_variable_that_is_missing_is_one_error(containers: Containers) -> None:
    printed = containers.fails("hub", "--env=DJ_PORT=many")

    assert [line.partition(":")[0] for line in printed] == ["error", "hint"]
    assert "many" in printed[0]


def test_terminals_have_the_papers_environment_in_a_mounted_home(containers: Containers, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / ".bashrc").write_text("# of another image")
    (tmp_path / ".bashrc").chmod(0o666)
    hub = containers.start("hub", f"--volume={tmp_path}:/home/jovyan")
    wait_until_healthy(hub)

    assert in_container(hub, "bash -i -c 'which python' 2>/dev/null") == "/opt/conda/envs/Gu-2026/bin/python"
    subprocess.run(["docker", "restart", hub], check=True, capture_output=True)
    assert in_container(hub, "grep -c activate.sh ~/.bashrc") == "1"


def test_the_health_check_asks_below_the_prefix_and_at_the_port_of_jupyterhub(containers: Containers) -> None:
    hub = containers.start(
        "hub",
        "--env=JUPYTERHUB_SERVICE_URL=http://0.0.0.0:9999/user/ada/",
        "--env=JUPYTER_PORT=9999",
    )
    for _ in range(240):
        if "is running at" in (log := subprocess.run(["docker", "logs", hub], capture_output=True, text=True).stderr):
            break
        time.sleep(0.5)
    check = ["docker", "exec", hub, "healthcheck_hub.py"]

    # A server that is not below the prefix answers 404 there.
    assert subprocess.run(check, capture_output=True, text=True).stderr == "JupyterLab answers 404\n", log
    without = ["docker", "exec", "--env=JUPYTERHUB_SERVICE_URL=", hub, "healthcheck_hub.py"]
    assert subprocess.run(without, capture_output=True).returncode == 0
