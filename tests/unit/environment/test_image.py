"""What the image does with an environment that could not be solved before: it is solved there, and for no GPU."""

import importlib.util
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spyglass_export.environment.channels import answering
from spyglass_export.environment.installable import make_installable
from spyglass_export.environment.repodata import Channels
from tests.unit.environment.packages import Server, package, served, write_channel

ROOT = Path(__file__).parents[3]
PACKAGES = [
    package("libhwloc", "2.11.0", "cuda_h_1000", "cuda-version >=12") | {"build_number": 1000},
    package("libhwloc", "2.11.0", "default_h_0"),
    package("openmm", "8.1.1", "py310_1", "cudatoolkit 11.*") | {"build_number": 1},
    package("openmm", "8.1.1", "py310_0"),
    package("cuda-version", "12.4"),
    package("cudatoolkit", "11.8.0"),
    package("python", "3.10.6", "h1_cpython"),
]


def program(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(Path(name).stem, ROOT / "docker" / name)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("channels")
    write_channel(folder / "lab", PACKAGES)
    with served(folder) as server:
        yield server


def picked(channel: Server, tmp_path: Path, *specs: str) -> dict[str, str]:
    """What can be had for these lines where the image's pins hold; gives builds by name."""
    pins = program("install_environment.py").pins(json.dumps({"dependencies": specs}))
    channels = Channels(*answering([f"{channel.address}/lab"], None), tmp_path / "cache", None)
    records = channels.solve(specs, [pin.removesuffix(" <0a0") for pin in pins], "2.35")
    return {record.name.normalized: str(record.build) for record in records}


def test_no_build_for_a_gpu_wins_whatever_it_is_called(channel: Server, tmp_path: Path) -> None:
    builds = picked(channel, tmp_path, "libhwloc=2.11.0", "openmm", "python")
    assert builds == {"libhwloc": "default_h_0", "openmm": "py310_0", "python": "h1_cpython"}


@pytest.mark.parametrize("specs", [("libhwloc=2.11.0=cuda_h_1000",), ("libhwloc", "cuda-version=12.4")])
def test_the_author_may_ask_for_one(channel: Server, tmp_path: Path, specs: tuple[str, ...]) -> None:
    assert picked(channel, tmp_path, *specs)["libhwloc"] == "cuda_h_1000"


@pytest.mark.parametrize(
    "line", ["cupy", "pytorch-gpu=2.1", "faiss-gpu", "cuda-toolkit", "nvidia::cuda-nvcc", "cudf>=24"]
)
def test_a_package_for_a_gpu_asks_for_what_it_needs(line: str) -> None:
    assert program("install_environment.py").pins(json.dumps({"dependencies": ["python", line]})) == []


@pytest.mark.parametrize("line", ["gputil", "curl", "hippie", "pytorch=2.1=cpu_py310_0"])
def test_other_packages_do_not(line: str) -> None:
    assert program("install_environment.py").pins(json.dumps({"dependencies": ["python", line]}))


def test_mamba_is_told_and_what_was_a_gpu_build_asks_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = ("lightgbm=4.3.0=cuda_py310hd77b1f9_0", "libhwloc=2.11.0=cuda_h_1000", "gputil=1.4.0=pyhd8ed1ab_0")
    exported = json.dumps({"dependencies": ["ipykernel", *builds, "pytorch=2.3.1=cuda120_py310h26dae48_300"]})
    environment = tmp_path / "environment.yml"
    environment.write_text(make_installable(exported, name="Gu2026")[0])
    install = program("install_environment.py")
    told = {}

    def run(command: list[str], env: dict[str, str], **_: Any) -> "subprocess.CompletedProcess[str]":
        told[" ".join(command[:3])] = json.loads(Path(env["CONDARC"]).read_text())
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(install.subprocess, "run", run)
    install.solve("Gu2026", environment)
    assert "cudatoolkit <0a0" in told["mamba env create"]["pinned_packages"]
