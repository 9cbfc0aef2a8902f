"""The conda part, solved for Linux without a GPU; what cannot be had is told, all of it, with what to do."""

import asyncio
import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from rattler import Subdir
from rattler.index import index_fs

from spyglass_export.environment.channels import answering
from spyglass_export.environment.conda_part import solve
from spyglass_export.environment.parts import CondaPart
from spyglass_export.environment.repodata import Channels, gather_evidence
from tests.unit.environment.packages import Server, package, served, write_channel

PY310, PY311 = "python >=3.10,<3.11.0a0", "python >=3.11,<3.12.0a0"
PACKAGES = [
    package("python", "3.10.6", "h1_cpython"),
    package("python", "3.11.2", "h2_cpython"),
    package("numpy", "1.23.4", "py310h1_0", PY310),
    package("numpy", "1.23.4", "py310h9_1", PY310),
    package("numpy", "1.26.4", "py310h2_0", PY310),
    package("scipy", "1.9.0", "py310h1_0", PY310, "numpy >=1.24"),
    package("scipy", "1.8.0", "py310h1_0", PY310, "numpy >=1.20"),
    package("pandas", "2.0.0", "py311_0", PY311),
    package("pytorch", "2.3.1", "cuda120_py310_300", PY310, "__cuda") | {"build_number": 300},
    package("pytorch", "2.3.1", "cuda112_py310_200", PY310, "cudatoolkit 11.2.*") | {"build_number": 200},
    package("pytorch", "2.3.1", "cpu_py310_0", PY310),
    package("jaxlib", "0.4.1", "cuda112_py310_0", PY310),
    package("cudatoolkit", "11.2.2"),
    package("fast", "1.0", "0", "__archspec 1 skylake"),
    package("newer", "1.0", "0", "__glibc >=2.99"),
    package("win-tool", "1.0", "h1_0", subdir="win-64"),
    package("numpy", "1.23.4", "py310hwin_0", subdir="win-64"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("channels")
    write_channel(folder / "lab", PACKAGES)
    return folder


@pytest.fixture(scope="module")
def channel(folder: Path) -> Iterator[Server]:
    with served(folder) as server:
        yield server


def read(addresses: list[str], cache: Path) -> Channels:
    """The channels as they are read, where their servers answer."""
    return Channels(*answering(addresses, None), cache, None)


@pytest.fixture(scope="module")
def channels(channel: Server, tmp_path_factory: pytest.TempPathFactory) -> Channels:
    return read([f"{channel.address}/lab"], tmp_path_factory.mktemp("cache"))


def picked(part: CondaPart) -> list[str]:
    assert part.problems == []
    return sorted("{name}={version}={build}".format(**one) for one in part.packages)


def test_what_goes_together_is_picked_with_address_and_hashes(channels: Channels) -> None:
    part = solve(channels, ["python=3.10.6", "numpy=1.23.4=py310h1_0"], "2.35")
    assert picked(part) == ["numpy=1.23.4=py310h1_0", "python=3.10.6=h1_cpython"]
    [numpy] = [one for one in part.packages if one["name"] == "numpy"]
    assert numpy["url"] == f"{channels.addresses[0]}/linux-64/numpy-1.23.4-py310h1_0.conda"
    assert (len(numpy["sha256"]), len(numpy["md5"]), part.brought) == (64, 32, {"numpy": "1.23.4"})


def test_no_gpu_build_is_picked_where_nothing_asks_for_one(channels: Channels) -> None:
    assert "pytorch=2.3.1=cpu_py310_0" in picked(solve(channels, ["pytorch"], "2.35"))


def test_a_package_that_has_gpu_builds_alone_is_told(channels: Channels) -> None:
    [problem] = solve(channels, ["jaxlib"], "2.35").problems
    assert "jaxlib 0.4.1 can be had as a GPU build only" in problem.what


def test_the_author_may_ask_for_a_gpu_build(channels: Channels) -> None:
    part = solve(channels, ["pytorch=2.3.1=cuda112_py310_200"], "2.35")
    assert "cudatoolkit=11.2.2=0" in picked(part)


@pytest.mark.parametrize(("spec", "needs"), [("fast", "__archspec"), ("newer", "__glibc >=2.99")])
def test_what_needs_another_processor_or_system_is_told(channels: Channels, spec: str, needs: str) -> None:
    [problem] = solve(channels, [spec, "python"], "2.35").problems
    assert problem.what.startswith(f"'{spec}' cannot be installed:")
    assert needs in problem.what


def test_all_that_is_missing_or_contradicts_is_told_at_once(channels: Channels) -> None:
    specs = ["python=3.10.6", "numpy=1.23.4", "scipy=1.9.0", "pandas=2.0", "gone=1.0", "numpy=1.23.4=py310hff_0"]
    problems = solve(channels, specs, "2.35").problems
    assert [problem.lines for problem in problems] == [
        ("gone=1.0",),
        ("numpy=1.23.4=py310hff_0",),
        ("python=3.10.6", "pandas=2.0"),
        ("numpy=1.23.4", "scipy=1.9.0"),
    ]
    missing, build, python, numpy = problems
    assert missing.what == "no channel has gone for Linux ('gone=1.0')"
    assert build.what == "no channel has numpy 1.23.4 in build py310hff_0 any more ('numpy=1.23.4=py310hff_0')"
    assert "write `numpy=1.23.4`" in build.advice
    assert python.advice == "leave it out: ENV_EXCLUDE=pandas"
    assert numpy.what.startswith("'numpy=1.23.4' and 'scipy=1.9.0' contradict each other: ")
    assert "write `scipy=1.8.0`" in numpy.advice


def test_advice_is_followed_by_a_solution(channels: Channels) -> None:
    assert picked(solve(channels, ["python=3.10.6", "numpy=1.23.4", "scipy=1.8.0"], "2.35"))


@pytest.mark.parametrize(
    ("spec", "near"), [("numpy=1.25.0", "1.23.4"), ("numpy=1.2", "1.23.4"), ("numpy>=2", "1.26.4")]
)
def test_a_version_that_is_not_there_is_told_with_the_nearest(channels: Channels, spec: str, near: str) -> None:
    [problem] = solve(channels, [spec], "2.35").problems
    assert problem.what == f"no channel has '{spec}': there are 1.26.4, 1.23.4"
    assert f"write `numpy={near}`" in problem.advice


def test_a_line_that_is_no_spec_is_told(channels: Channels) -> None:
    [problem] = solve(channels, ["numpy=>=1"], "2.35").problems
    assert problem.what.startswith("'numpy=>=1' cannot be read:")


def test_a_later_channel_serves_where_an_earlier_cannot(channel: Server, folder: Path, tmp_path: Path) -> None:
    write_channel(folder / "old", [package("numpy", "1.19.0", "py310h0_0")])
    channels = read([f"{channel.address}/lab", f"{channel.address}/old"], tmp_path / "cache")
    assert picked(solve(channels, ["numpy=1.19.0"], "2.35")) == ["numpy=1.19.0=py310h0_0"]
    assert picked(solve(channels, ["old::numpy"], "2.35")) == ["numpy=1.19.0=py310h0_0"]


def test_a_silent_channel_is_named_and_what_it_may_have_is_no_problem(channel: Server, tmp_path: Path) -> None:
    silent = "http://ada:secret@127.0.0.1:1/forge"
    channels = read([silent, f"{channel.address}/lab"], tmp_path / "cache")
    part = solve(channels, ["python=3.10.6", "elsewhere=1.0", "numpy=1.23.5", "numpy=1.23.4", "scipy=1.9.0"], "2.35")
    assert [*channels.unreachable] == ["http://127.0.0.1:1/forge"]
    assert part.unknown == ["elsewhere=1.0"]
    assert [problem.lines for problem in part.problems] == [("numpy=1.23.5",), ("numpy=1.23.4", "scipy=1.9.0")]


def test_an_address_without_a_channel_is_given(channel: Server, tmp_path: Path) -> None:
    channels = read([f"{channel.address}/lab", f"{channel.address}/nobody"], tmp_path / "cache")
    assert channels.lost == [f"{channel.address}/nobody"]
    assert channels.addresses == [f"{channel.address}/lab"]
    assert solve(channels, ["elsewhere"], "2.35").unknown == ["elsewhere"]


def test_nobody_is_told_to_leave_out_what_the_hub_needs(channels: Channels) -> None:
    [problem] = solve(channels, ["python=3.99"], "2.35").problems
    assert problem.advice == "write `python=3.11.2` in export_data/environment.override.yml"


def test_evidence_is_what_linux_lacks_and_where_it_is(channels: Channels) -> None:
    evidence = gather_evidence(channels, ["win-tool=1.0=h1_0", "numpy=1.23.4=py310hwin_0", "python=3.10.6=h1_cpython"])
    assert evidence.absent == frozenset({"win-tool"})
    assert sorted(evidence.systems) == ["Linux", "Windows", "Windows"]


def test_what_a_channel_has_is_fetched_once(channel: Server, tmp_path: Path) -> None:
    channel.asked.clear()
    for _ in range(2):
        channels = read([f"{channel.address}/lab"], tmp_path / "cache")
        assert solve(channels, ["numpy"], "2.35").packages
    fetched = [line for line in channel.asked if line == "/lab/linux-64/repodata.json"]
    assert len(fetched) <= 2  # the second asks whether it has changed


def test_a_channel_that_has_its_list_in_pieces_is_read_again_and_again(tmp_path: Path) -> None:
    index = {"name": "tool", "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    (tmp_path / "channels" / "lab" / "noarch").mkdir(parents=True)
    with tarfile.open(tmp_path / "channels" / "lab" / "noarch" / "tool-1.0-0.tar.bz2", "w:bz2") as archive:
        content = json.dumps(index).encode()
        entry = tarfile.TarInfo("info/index.json")
        entry.size = len(content)
        archive.addfile(entry, BytesIO(content))
    asyncio.run(index_fs(tmp_path / "channels" / "lab", target_platform=Subdir("noarch")))
    (tmp_path / "channels" / "lab" / "linux-64").mkdir(exist_ok=True)
    asyncio.run(index_fs(tmp_path / "channels" / "lab", target_platform=Subdir("linux-64")))
    with served(tmp_path / "channels") as server:
        for _ in range(3):
            channels = read([f"{server.address}/lab"], tmp_path / "cache")
            assert channels.lost == []
            assert picked(solve(channels, ["tool"], "2.35")) == ["tool=1.0=0"]
    assert any("shards" in line for line in server.asked)
    # The whole list of conda-forge has a hundred megabytes.
    assert "/lab/noarch/repodata.json.zst" not in server.asked
