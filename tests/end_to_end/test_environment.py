"""An environment from its channel to the image: solved, locked, installed from the lock, and found wanting."""

import asyncio
import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from rattler.index import index_fs

from spyglass_export.containers.docker import Docker
from spyglass_export.settings import Settings
from tests.end_to_end.paper import Paper, make_paper
from tests.end_to_end.registry import Registry
from tests.unit.environment.packages import package, served, write_channel

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = """\
name: lab
channels:
  - lab
dependencies:
  - python
  - ipykernel=6.29.5=stand_in_0
  - hello
  - pip
  - pip:
    - six==1.17.0
variables:
  MPLBACKEND: agg
"""


@dataclass(frozen=True)
class Channel:
    """A channel that both this machine and builds reach: its folder, and the address it is found below."""

    folder: Path
    alias: str

    def lists(self) -> dict[str, dict[str, object]]:
        """The builds for every system, by their files' names."""
        content = json.loads((self.folder / "noarch" / "repodata.json").read_text())
        return {**content["packages"], **content["packages.conda"]}


def pack_hello(channel: Path, files: Path) -> None:
    """Add a package to a channel that has a script for when its environment is activated."""
    specification = importlib.util.spec_from_file_location("make_channel", ROOT / "docker" / "base" / "make_channel.py")
    assert specification
    assert specification.loader
    make_channel = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(make_channel)
    scripts = files / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (scripts / "hello.sh").write_text("export HELLO=from-activate.d\n")
    index = {"name": "hello", "version": "1.0", "depends": [], "subdir": "noarch", "noarch": "generic"}
    make_channel.write_package(channel, files, index)
    asyncio.run(index_fs(channel))


@pytest.fixture(scope="module")
def channel(hub_base_image: str, docker_engine: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channel]:
    """The stand-in's own channel as `lab`, beside an empty `conda-forge`."""
    if "stand-in" not in hub_base_image:
        pytest.skip("the base image is not the stand-in, which has a channel in it")
    folder = tmp_path_factory.mktemp("channels")
    container = docker_engine.ask("create", hub_base_image).strip()
    docker_engine.ask("cp", f"{container}:/opt/conda/channel", str(folder / "lab"))
    docker_engine.ask("rm", container)
    pack_hello(folder / "lab", tmp_path_factory.mktemp("hello"))
    write_channel(folder / "conda-forge", [package("nothing", "1.0")])
    host = docker_engine.ask("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
    with served(folder, host) as server:
        yield Channel(folder / "lab", server.address)


@pytest.fixture(scope="module")
def solved(
    settings: Settings, channel: Channel, db_base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Paper]:
    """A paper whose environment was solved on the channel, and built."""
    paper = make_paper(tmp_path_factory.mktemp("solved") / "paper", settings, "Solved2026")
    (paper.root / "examples" / "export" / "example" / "environment.yml").write_text(ENVIRONMENT)
    try:
        told = paper.invoke("build", CONDA_CHANNEL_ALIAS=channel.alias)
        assert "kept in environment.lock.yml" in told
        yield paper
    finally:
        paper.remove()


def lock_of(paper: Paper) -> dict[str, list[dict[str, str]]]:
    content: dict[str, list[dict[str, str]]] = yaml.safe_load(
        (paper.root / "export_data" / "environment.lock.yml").read_text()
    )
    return content


def test_exactly_what_was_locked_is_installed(solved: Paper, channel: Channel) -> None:
    lock = lock_of(solved)
    listed = solved.in_hub("cat /opt/paper/installed/conda-explicit.txt").splitlines()
    assert {line for line in listed if line.startswith("http")} == {
        f"{one['url']}#{one['md5']}" for one in lock["conda"]
    }
    assert all(one["url"].startswith(f"{channel.alias}/lab/") for one in lock["conda"])
    assert [one["requirement"] for one in lock["pip"]] == ["six==1.17.0"]
    assert "six==1.17.0" in solved.in_hub("cat /opt/paper/installed/pip-freeze.txt")
    assert solved.in_hub("ls /opt/paper/installed").split() == ["conda-explicit.txt", "pip-freeze.txt"]


def test_the_environment_has_its_own_interpreter_and_variables(solved: Paper) -> None:
    told = solved.in_hub("python -c 'import sys, os; print(sys.executable, sys.prefix, os.environ[\"MPLBACKEND\"])'")
    prefix = "/opt/conda/envs/Solved2026"
    assert told.split() == [f"{prefix}/bin/python", prefix, "agg"]
    installed = solved.in_hub("python -c 'import six; print(six.__file__)'")
    assert installed.strip() == f"{prefix}/lib/python3.11/site-packages/six.py"


def test_scripts_that_packages_bring_for_activation_are_run(solved: Paper) -> None:
    assert solved.in_hub("echo $HELLO").strip() == "from-activate.d"
    kernel = "import os; print(os.environ['HELLO'])"
    assert solved.in_hub(f'python -c "{kernel}"').strip() == "from-activate.d"


def test_another_build_changes_no_layer_and_asks_no_channel(solved: Paper) -> None:
    def image() -> str:
        return solved.docker.ask("image", "inspect", "--format", "{{.Id}}", solved.settings.hub_image_name)

    before = image()
    solved.invoke("build")  # conda-forge cannot be reached, or has no such builds
    assert image() == before


def test_check_finds_a_build_that_its_channel_lost(solved: Paper, channel: Channel, tmp_path: Path) -> None:
    assert "are there, as environment.lock.yml has them" in " ".join(
        solved.invoke("check", CONDA_CHANNEL_ALIAS=channel.alias).split()
    )
    [lost] = channel.folder.glob("noarch/ipykernel-*")
    shutil.move(lost, tmp_path)
    try:
        found = json.loads(
            solved.invoke("check", "--json", status=1, CONDA_CHANNEL_ALIAS=channel.alias).split("\nerror:")[0]
        )["checks"]
    finally:
        shutil.move(tmp_path / lost.name, lost)
    [failure] = [one for one in found if one["status"] == "failure"]
    assert failure["what"] == f"environment.lock.yml names what its channels no longer have: {lost.name}"


def test_what_does_not_solve_stops_a_build_before_it_begins(
    settings: Settings, channel: Channel, tmp_path: Path
) -> None:
    paper = make_paper(tmp_path / "paper", settings, "Unsolved2026")
    text = ENVIRONMENT.replace("- python\n", "- python=3.99\n").replace(
        "- six==1.17.0", "- six==1.17.0\n    - six==1.16.0"
    )
    (paper.root / "examples" / "export" / "example" / "environment.yml").write_text(text)
    told = paper.invoke("build", status=1, CONDA_CHANNEL_ALIAS=channel.alias)
    assert "'six==1.17.0' and 'six==1.16.0' contradict each other" in told

    text = text.replace("\n    - six==1.16.0", "")
    (paper.root / "examples" / "export" / "example" / "environment.yml").write_text(text)
    told = paper.invoke("build", status=1, CONDA_CHANNEL_ALIAS=channel.alias)
    assert "no channel has 'python=3.99': there are 3." in told
    assert "building" not in told


def test_an_image_that_lacks_packages_says_so_and_is_given_away_only_when_told(
    settings: Settings, channel: Channel, db_base_image: str, registry: Registry, tmp_path: Path
) -> None:
    paper = make_paper(tmp_path / "paper", settings, "Lacking2026")
    environment = ENVIRONMENT.replace("  - lab\n", "  - conda-forge\n").replace("  - hello\n", "  - scipy=1.12.0\n", 1)
    # The comment makes it another environment than that of an earlier run, whose layer Docker would take.
    (paper.root / "examples" / "export" / "example" / "environment.yml").write_text(f"# {uuid4()}\n{environment}")
    nowhere = "http://127.0.0.1:1"
    with (paper.root / ".env").open("a", encoding="utf-8") as env:
        env.write(f"HUB_IMAGE_NAME={registry.host}/lab/hub\nDB_IMAGE_NAME={registry.host}/lab/db\n")
    before = registry.bytes()
    try:
        built = paper.invoke("build", CONDA_CHANNEL_ALIAS=nowhere)
        assert f"could not look at {nowhere}/conda-forge" in built
        assert "skipped scipy=1.12.0" in built
        assert "lacks scipy=1.12.0" in paper.invoke("status")
        paper.invoke("report")
        assert "scipy=1.12.0: no channel" in (paper.root / "export_data" / "report.html").read_text()
        for command in ("publish", "bundle", "archive"):
            told = paper.invoke(command, status=1)
            assert "lacks 1 of the environment's lines: scipy=1.12.0" in told
            assert "--incomplete" in told
        assert registry.bytes() == before
        for command in ("publish", "bundle", "archive"):
            assert "warning" in (told := paper.invoke(command, "--incomplete"))
            assert "lacks 1 of the environment's lines: scipy=1.12.0" in " ".join(told.split())
        assert registry.bytes() > before
        assert (paper.root / "Lacking2026.zip").is_file()
        assert (paper.root / "Lacking2026-archive" / "Lacking2026.zip").is_file()
    finally:
        paper.remove()
