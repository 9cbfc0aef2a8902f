"""environment.yml as `conda env export` and people write it, and what is installed in its place."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spyglass_export.changes import Change
from spyglass_export.environment.installable import Evidence, make_installable
from spyglass_export.errors import UserError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "environments"
NVIDIA = "nvidia.com"
INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"


def environment(conda: Sequence[str] = ("ipykernel", "pip"), pip: Sequence[str] = ()) -> str:
    dependencies = [*conda, {"pip": list(pip)}] if pip else list(conda)
    data = {"name": "Gu2026", "channels": ["conda-forge"], "dependencies": dependencies}
    return yaml.safe_dump(data, sort_keys=False, width=1000)


def conda_part(text: str) -> list[str]:
    return [line for line in yaml.safe_load(text)["dependencies"] if isinstance(line, str)]


def pip_part(text: str) -> list[str]:
    return [line for part in yaml.safe_load(text)["dependencies"] if isinstance(part, dict) for line in part["pip"]]


def conda_after(*specs: str, exclude: Sequence[str] = ()) -> list[str]:
    return conda_part(make_installable(environment(["ipykernel", *specs]), name="Gu2026", exclude=exclude)[0])[1:]


def pip_after(*requirements: str, exclude: Sequence[str] = ()) -> list[str]:
    return pip_part(make_installable(environment(pip=requirements), name="Gu2026", exclude=exclude)[0])


def refusal(text: str, *, exclude: Sequence[str] = (), override: str | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        make_installable(text, name="Gu2026", exclude=exclude, override=override)
    return caught.value


@pytest.mark.parametrize("name", ["gpu_server", "macos", "pip_freeze"])
def test_exports_become_installable_line_by_line(name: str) -> None:
    exported = (FIXTURES / f"{name}.yml").read_text(encoding="utf-8")
    expected = (FIXTURES / f"{name}.expected.yml").read_text(encoding="utf-8")
    text, changes = make_installable(exported, name="Gu2026")
    assert text == expected
    assert make_installable(text, name="Gu2026") == (text, [])
    assert all(change.reason and change.kind and change.where for change in changes)


@pytest.mark.parametrize("name", ["demo", "demo_chunked", "demo_legacy"])
def test_real_exports(shared_exports: Path, name: str) -> None:
    exported = (shared_exports / name / "environment.yml").read_text(encoding="utf-8")
    text, changes = make_installable(exported, name="demo")
    assert make_installable(text, name="demo") == (text, [])
    assert not re.search(r"cuda|cudnn|nvidia|cu121|\.dev|prefix", text)
    assert expected_lines(exported, changes) == lines_of(text)


def test_a_change_says_what_where_and_why() -> None:
    _, changes = make_installable(environment(pip=["jaxlib==0.4.23+cuda12.cudnn89"]), name="Gu2026")
    assert changes == [
        Change(
            kind="GPU build",
            where="jaxlib",
            before="jaxlib==0.4.23+cuda12.cudnn89",
            after="jaxlib==0.4.23",
            reason="the containers have no GPU; same version, built for a CPU",
        )
    ]


@pytest.mark.parametrize(
    "spec",
    [
        "numpy=1.26.4=py39h474f0d3_0",
        "jaxlib=0.4.23=cpu_py39hcd80d41_0",
        "pytorch=2.3.1=cpu_generic_py39h0b3b3e5_0",
        "pytorch-mutex=1.0=cpu",
        "cpuonly=2.0=0",
        "icu=73.2=h59595ed_0",
        "ucx=1.15.0=nocuda_h0",
        "conda-forge/linux-64::numpy>=1.26,<2",
        "numpy[version='>=1.26', build='py39*']",
        "jax",
    ],
)
def test_conda_specs_that_install_on_a_cpu_stay(spec: str) -> None:
    text = environment(["ipykernel", spec])
    assert make_installable(text, name="Gu2026") == (text, [])


@pytest.mark.parametrize(
    ("spec", "after"),
    [
        ("tensorflow-gpu=2.15.0=cuda120py39h0ea26f0_3", "tensorflow=2.15.0=*cpu*"),
        ("tensorflow-gpu=2.4.1=h30adc30_0", "tensorflow=2.4.1"),
        ("conda-forge::pytorch-gpu", "conda-forge::pytorch"),
        ("faiss-gpu=1.8.0=py3.9_h4c7d538_0_cuda12.1.1", "faiss-cpu=1.8.0"),
        ("pytorch 2.3.1 cuda120_py39*", "pytorch 2.3.1 *cpu*"),
        ("pyarrow=14.0.2=py39h6925388_3_cuda", "pyarrow=14.0.2=*cpu*"),
        ("pytorch[version='2.3.1', build='*cuda*']", "pytorch[version='2.3.1', build='*cpu*']"),
        ('pytorch[build="cuda*"]', 'pytorch[build="*cpu*"]'),
        ("jaxlib[build=cuda12*]", "jaxlib[build=*cpu*]"),
        ("xgboost=1.7.1=cuda112py39h1111111_0", "xgboost=1.7.1=*cpu*"),
        ("libhwloc=2.11.0=cuda_h_1000", "libhwloc=2.11.0"),
    ],
)
def test_gpu_builds_of_conda_become_cpu_builds_at_the_same_version(spec: str, after: str) -> None:
    assert conda_after(spec) == [after]


@pytest.mark.parametrize(
    "spec",
    [
        "CUDNN",
        "_py-xgboost-mutex=2.0=gpu_0",
        "_tflow_select=2.1.0=gpu",
        "cudatoolkit=11.3.1=hb98b00a_13",
        "cupy",
        "dask-cuda=23.10",
        "nccl=2.21",
        "nvidia::cuda-nvcc=12.4.99=0",
        "pytorch-mutex=1.0=cuda",
    ],
)
def test_conda_packages_for_a_gpu_go(spec: str) -> None:
    assert conda_after(spec) == []


@pytest.mark.parametrize("mark", ["pytorch-cuda=12.1", "cudatoolkit=11.3"])
def test_without_build_strings_the_packages_beside_pytorch_tell_that_it_is_a_gpu_build(mark: str) -> None:
    assert conda_after("pytorch=2.3.1", "torchvision", mark) == ["pytorch=2.3.1=*cpu*", "torchvision=*=*cpu*"]


@pytest.mark.parametrize(
    "requirement",
    [
        f"--extra-index-url https://pypi.{NVIDIA}",
        "-f https://storage.googleapis.com/jax-releases/jax_cuda_releases.html",
        "Numba-CUDA>=0.1",
        "cupy-cuda12x",
        "jax-cuda12-plugin==0.4.23",
        "jax_cuda12_pjrt==0.4.23",
        "nvidia-cudnn-cu12==8.9.7.29",
        "pytorch-triton==3.0.0+dedb7bdf33",
        "pywin32==306",
    ],
)
def test_pip_requirements_for_a_gpu_or_another_system_go(requirement: str) -> None:
    assert pip_after("six", requirement) == ["six"]


@pytest.mark.parametrize(
    ("requirement", "after"),
    [
        ("jax[cuda12]==0.4.23", "jax==0.4.23"),
        ("jax[cuda12_pip,k8s]==0.4.23", "jax[k8s]==0.4.23"),
        ("tensorflow[and-cuda]", "tensorflow"),
        ("onnxruntime-gpu==1.17.0", "onnxruntime==1.17.0"),
        ("mxnet-cu112==1.9.1", "mxnet==1.9.1"),
        ("torch-scatter==2.1.2+pt23cu121", "torch-scatter==2.1.2"),
        ("-i https://download.pytorch.org/whl/cu121", "-i https://download.pytorch.org/whl/cpu"),
        (
            "-f https://download.pytorch.org/whl/torch_stable.html",
            "-f https://download.pytorch.org/whl/cpu/torch_stable.html",
        ),
        ("git+ssh://git@github.com/lab/tool.git@v1", "git+https://github.com/lab/tool.git@v1"),
        ("tool @ git+ssh://git@github.com:lab/tool", "tool @ git+https://github.com/lab/tool"),
        ("git+git@github.com:lab/tool.git", "git+https://github.com/lab/tool.git"),
        ("black @ file:///croot/black_1680737233255/black-22.6.0-py3-none-any.whl", "black==22.6.0"),
        (
            "position_tools[test]==1.5.dev3+gabcdef1 ; python_version>'3.8'",
            "position_tools[test] @ git+https://github.com/LorenFrankLab/position_tools@abcdef1 ; python_version>'3.8'",
        ),
        (
            "non_local_detector==0.1+12.gabcdef1.dirty",
            "non_local_detector @ git+https://github.com/LorenFrankLab/non_local_detector@abcdef1",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_pip_requirements_become_what_installs_anywhere(requirement: str, after: str) -> None:
    assert pip_after(requirement) == [after]


@pytest.mark.parametrize(
    "requirement",
    [
        "datajoint==0.14.2",
        'pandas[excel]>=2,<3 ; python_version < "3.12"',
        "--index-url https://index.example.org/simple",
        "--find-links=https://example.org/wheels",
        "--pre",
        "-r https://example.org/requirements.txt",
        "tool @ git+https://github.com/lab/tool@v1",
        "-e git+https://github.com/lab/tool@v1#egg=tool",
        "https://example.org/tool-1.0-py3-none-any.whl",
        "spyglass-neuro==0.5.5.post1",
        "six==1.16.0 --hash=sha256:1e61c37477a1626458e36f7b1d82aa5c9b094fa4802892072e49de9c60c4c926",
    ],
)
def test_pip_requirements_that_install_anywhere_stay(requirement: str) -> None:
    text = environment(pip=[requirement])
    assert make_installable(text, name="Gu2026") == (text, [])


@pytest.mark.parametrize(
    "wheels",
    [["torch==2.3.1+cu121"], ["torch==2.3.1+cpu"], ["torch==2.3.1", "nvidia-cublas-cu12==12.1.3.1"], ["torch==2.3.1"]],
)
def test_torch_comes_from_pytorchs_index_of_cpu_builds(wheels: list[str]) -> None:
    assert pip_after("six", *wheels) == [INDEX, "six", "torch==2.3.1"]


def test_the_index_of_cpu_builds_is_not_named_twice() -> None:
    assert pip_after(INDEX, "torch==2.3.1+cu121") == [INDEX, "torch==2.3.1"]


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("-e /home/jane/src/tool", "tool"),
        ("--editable=/home/jane/src/tool[plots]", "tool"),
        ("-e .", "spyglass-neuro"),
        ("..", "spyglass-neuro"),
        ("-e ${HOME}/tool", "tool"),
        ("file:///home/jane/tool-1.0-py3-none-any.whl", "tool"),
        ("tool @ file:///home/jane/tool", "tool"),
        ("attrs @ file:///home/conda/feedstock_root/build_artifacts/attrs_1704011227531/work", "attrs"),
        ("git+file:///home/jane/tool", "tool"),
        ("./wheels/tool-1.0.tar.gz", "tool"),
        (r"C:\Users\jane\tool", "tool"),
        ("../spyglass", "spyglass-neuro"),
        ("-r requirements.txt", "requirements-txt"),
        ("-c /home/jane/constraints.txt", "constraints-txt"),
        ("--find-links /stelmo/wheels", "wheels"),
    ],
)
def test_paths_of_the_lab_are_an_error_until_the_author_decides(requirement: str, name: str) -> None:
    text = environment(pip=["six", requirement])
    error = refusal(text)
    assert error.what == f"environment.yml, line 9: '{requirement}' is on the lab's disk only"
    assert f"ENV_EXCLUDE={name}" in error.hint
    assert "environment.override.yml" in error.hint
    assert pip_part(make_installable(text, name="Gu2026", exclude=[name])[0]) == ["six"]
    override = f"dependencies: [{{pip: ['{name} @ git+https://example.org/x']}}]" if name != "-" else ""
    if override:
        text, _ = make_installable(text, name="Gu2026", override=override)
        assert pip_part(text) == ["six", f"{name} @ git+https://example.org/x"]


def test_every_path_of_the_lab_is_named_in_one_error() -> None:
    error = refusal(environment(["ipykernel", "pip", "file:///opt/x.conda"], ["-e /a/b", "-e /a/c"]))
    assert error.what == (
        "environment.yml, line 7: 'file:///opt/x.conda' is on the lab's disk only; "
        "environment.yml, line 9: '-e /a/b' is on the lab's disk only; "
        "environment.yml, line 10: '-e /a/c' is on the lab's disk only"
    )
    assert error.hint.endswith("ENV_EXCLUDE=x,b,c in .env")
    exported = environment(["ipykernel", "pip", "file:///opt/x.conda"], ["six", "-e /a/b", "-e /a/c"])
    text, _ = make_installable(exported, name="Gu2026", exclude=["x", "b", "c"])
    assert (conda_part(text), pip_part(text)) == (["ipykernel", "pip"], ["six"])


@pytest.mark.parametrize("folder", ["..", "-e .", "./", ".[test]"])
def test_the_folder_of_spyglass_own_environment_file_is_the_exports_version(folder: str) -> None:
    text, [change] = make_installable(environment(pip=[folder]), name="Gu2026", spyglass_version="0.5.5")
    extra = "[test]" if "[" in folder else ""
    assert pip_part(text) == [f"spyglass-neuro{extra}==0.5.5"]
    assert change.before == folder


def test_files_of_requirements_are_quoted_line_by_line_with_a_way_out() -> None:
    text = environment(pip=["-r requirements.txt", "-c constraints.txt", "--no-deps", "six"])
    error = refusal(text)
    for line in ("line 8: '-r requirements.txt'", "line 9: '-c constraints.txt'", "line 10: '--no-deps'"):
        assert line in error.what
    assert "write the lines of requirements.txt under `pip:` in export_data/environment.override.yml" in error.hint
    assert "take '--no-deps' out of environment.yml" in error.hint
    override = "dependencies: [{pip: [numpy==1.26.4]}]"
    without = text.replace("  - --no-deps\n", "")
    text, _ = make_installable(
        without, name="Gu2026", override=override, exclude=["requirements-txt", "constraints-txt"]
    )
    assert pip_part(text) == ["six", "numpy==1.26.4"]


def test_hashes_stay_where_all_packages_have_one_and_go_where_not() -> None:
    hashed = [f"{name}==1.0 --hash=sha256:{64 * '0'}" for name in ("six", "attrs")]
    assert pip_after(*hashed) == hashed
    assert pip_after(*hashed, "numpy==1.26.4") == ["six==1.0", "attrs==1.0", "numpy==1.26.4"]


def test_pins_for_other_versions_of_python_do_not_contradict() -> None:
    pins = ['numpy==1.21 ;python_version<"3.8"', 'numpy==1.24 ;python_version>"3.7"']

    assert pip_after(*pins) == pins


def test_two_pins_of_one_package_are_told_with_both_lines_and_the_override_decides() -> None:
    exported = environment(
        ["ipykernel", "pip", "numpy=1.23.4", "numpy=1.24.0", "importlib-metadata=6.0", "importlib_metadata=6.1"],
        ["scipy==1.1", "scipy==1.2", "six==1.16", "six==1.16.0"],
    )
    error = refusal(exported)
    assert error.what == (
        "environment.yml, line 8: 'numpy=1.23.4' and 'numpy=1.24.0' contradict each other; "
        "environment.yml, line 13: 'scipy==1.1' and 'scipy==1.2' contradict each other"
    )
    override = "dependencies: [numpy=1.24.0, {pip: [scipy==1.2]}]"
    text, _ = make_installable(exported, name="Gu2026", override=override)
    assert "numpy=1.24.0" in conda_part(text)
    assert pip_part(text)[0] == "scipy==1.2"


@pytest.mark.parametrize(("version", "is_mirror"), [("1.11.0.post202", True), ("1.12.0.post202", False)])
def test_a_pip_line_that_is_the_metadata_of_a_conda_package_follows_it(version: str, is_mirror: bool) -> None:
    exported = environment(
        ["ipykernel", "pip", "pytorch=1.11.0=cuda112py310h51fe464_202"], [f"torch=={version}", "six"]
    )
    text, _ = make_installable(exported, name="Gu2026")
    assert (f"torch=={version}" not in pip_part(text)) == is_mirror


@pytest.mark.parametrize(
    ("requirement", "after"),
    [
        (
            "-f https://data.pyg.org/whl/torch-2.3.0+cu121.html",
            ["-f https://data.pyg.org/whl/torch-2.3.0+cpu.html", "six"],
        ),
        ("--extra-index-url https://download.pytorch.org/whl/test/cu128", [INDEX, "six"]),
        ("--find-links https://example.org/wheels/cu118/repo.html", ["six"]),
        ("spikeinterface[full-gpu,extractors]==0.101", ["six", "spikeinterface[extractors]==0.101"]),
        ("deeplabcut==3.0", [INDEX, "six", "deeplabcut==3.0"]),
    ],
)
def test_indexes_and_extras_for_a_gpu(requirement: str, after: list[str]) -> None:
    assert sorted(pip_after("six", requirement)) == sorted(after)


def test_what_describes_the_labs_processor_and_system_goes() -> None:
    assert conda_after("_x86_64-microarch-level=4=3_icelake", "__glibc=2.31", "__archspec", "numpy") == ["numpy"]


def test_beside_gpu_packages_a_line_without_a_build_asks_for_the_cpu_build() -> None:
    lines = conda_after("cudnn=8.4", "jaxlib=0.3.22", "pytorch>=1.10,<1.12", "numpy=1.23")
    assert lines == ["jaxlib=0.3.22=*cpu*", "pytorch >=1.10,<1.12 *cpu*", "numpy=1.23"]
    assert conda_after(*lines, "cudnn") == lines


def test_what_channels_tell_goes_before_the_short_lists() -> None:
    exported = environment(["ipykernel=6.4.1=py39_1", "pip", "vc=14.2=h21ff451_1", "comtypes=1.1=0", "odd-thing=2=0"])
    evidence = Evidence(absent=frozenset({"vc", "odd-thing"}), systems=("Windows", "Windows"))
    text, _ = make_installable(exported, name="Gu2026", evidence=evidence)
    assert conda_part(text) == ["ipykernel=6.4.1", "pip", "comtypes=1.1"]


def test_on_linux_nothing_goes_because_no_channel_has_it() -> None:
    exported = environment(["ipykernel", "libgcc-ng=13.2=h807b86f_5", "odd-thing=2=0"])
    evidence = Evidence(absent=frozenset({"odd-thing"}), systems=())
    assert make_installable(exported, name="Gu2026", evidence=evidence) == (exported, [])


@pytest.mark.parametrize("channel", ["file:///home/jane/channel", "/home/jane/miniconda3/conda-bld", "C:/conda-bld"])
def test_a_channel_on_the_labs_disk_is_an_error_until_overridden(channel: str) -> None:
    text = environment().replace("conda-forge", channel)
    error = refusal(text)
    assert error.what == f"environment.yml, line 3: the channel '{channel}' is on the lab's disk only"
    assert "`channels:`" in error.hint
    text, changes = make_installable(text, name="Gu2026", override="channels: [conda-forge, franklab]")
    assert yaml.safe_load(text)["channels"] == ["conda-forge", "franklab"]
    assert [(change.kind, change.before, change.after) for change in changes] == [
        ("override", channel, "conda-forge, franklab")
    ]


@pytest.mark.parametrize(
    "requirement", ["mytool==0.3.dev5+g1234567", "spyglass-neuro==0.5.6.dev0+d20250424", "deeplabcut==2.3+lab"]
)
def test_development_versions_of_unknown_origin_are_an_error(requirement: str) -> None:
    error = refusal(environment(pip=[requirement]))
    assert error.what == f"environment.yml, line 8: '{requirement}' is a development version that no index has"
    assert "@ git+https://" in error.hint


def test_an_ssh_address_with_a_port_is_an_error() -> None:
    assert "SSH key" in refusal(environment(pip=["git+ssh://git@lab.example.org:2222/tool.git"])).what


@pytest.mark.parametrize("pattern", ["jax*", "JAX*", "jax,jaxlib,jax-tools"])
def test_env_exclude_takes_names_and_patterns(pattern: str) -> None:
    exclude = pattern.split(",")
    assert conda_after("jaxlib=0.4.23", "ajax", exclude=exclude) == ["ajax"]
    assert pip_after("six", "jax==0.4.23", "Jax_Tools", exclude=exclude) == ["six"]


def test_env_exclude_leaves_what_the_hub_needs() -> None:
    text = environment(pip=["ipympl", "six"])
    text, changes = make_installable(text, name="Gu2026", exclude=["ipy*", "pip"])
    assert (conda_part(text), pip_part(text)) == (["ipykernel", "pip"], ["six"])
    assert [change.where for change in changes] == ["ipympl"]


def test_what_the_override_names_takes_its_place_or_is_added_and_is_left_alone() -> None:
    override = """\
# the reviewers' machine has a GPU
dependencies:
  - scipy=1.12.0
  - pytorch=2.3.1=py3.9_cuda12.1_cudnn8.9.2_0
  - pip:
      - jaxlib==0.4.23
      - Spyglass_Neuro==0.5.5
      - tool==1.0+lab
"""
    exported = environment(
        ["ipykernel", "jaxlib=0.4.23=cuda120py39h8c47b65_202", "pip", "scipy=1.11"],
        ["spyglass-neuro==0.5.4a2.dev23+g89e3be86", "six"],
    )
    text, changes = make_installable(exported, name="Gu2026", override=override, exclude=["scipy"])
    assert conda_part(text) == ["ipykernel", "pip", "scipy=1.12.0", "pytorch=2.3.1=py3.9_cuda12.1_cudnn8.9.2_0"]
    assert pip_part(text) == ["Spyglass_Neuro==0.5.5", "six", "jaxlib==0.4.23", "tool==1.0+lab"]
    assert {change.kind for change in changes} == {"override"}
    assert make_installable(text, name="Gu2026", override=override, exclude=["scipy"]) == (text, [])


def test_the_override_can_add_the_pip_part() -> None:
    text, _ = make_installable(
        "name: Gu2026\ndependencies:\n  - ipykernel # last\n", name="Gu2026", override="dependencies: [{pip: [six]}]"
    )
    assert text == ("name: Gu2026\ndependencies:\n  - ipykernel # last\n  - pip\n  - pip:\n      - six\n")


@pytest.mark.parametrize("override", ["", "\n", "# nothing yet\n"])
def test_an_empty_override_changes_nothing(override: str) -> None:
    assert make_installable(environment(), name="Gu2026", override=override) == (environment(), [])


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("name: mine\n", "environment.override.yml, line 1: 'name' cannot be overridden"),
        ("dependencies:\n  - six\n\t- numpy\n", "environment.override.yml, line 3: broken YAML"),
        ("dependencies: [six=1, six=2]\n", "environment.override.yml, line 1: 'six' comes a second time"),
        ("dependencies: [{pip: [-e /home/x]}]\n", "environment.override.yml: '-e /home/x' is on the lab's disk only"),
    ],
)
def test_a_wrong_override_is_an_error(override: str, what: str) -> None:
    assert refusal(environment(), override=override).what.startswith(what)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name: x\ndependencies:\n\t- six\n", "environment.yml, line 3: broken YAML"),
        ("name: x\ndependencies: [six\nprefix: y\n", "environment.yml, line 3: broken YAML"),
        ("name: x\ndependencies:\n  - six\n - numpy\n", "environment.yml, line 4: broken YAML"),
        ("name: x\n\ndependencies:\n  - \x00\n", "environment.yml, line 4: a character that YAML does not allow"),
        ("dependencies:\n  - six\n  - 3.9\n", "environment.yml, line 3: '3.9' is no name"),
        ("dependencies:\n  - six\n  -\n", "environment.yml, line 3: an empty entry is no name"),
        ("dependencies:\n  - python: 3.9\n", "environment.yml, line 2: neither a package nor the one `pip:` part"),
        ("dependencies:\n  - pip: [a]\n  - pip: [b]\n", "environment.yml, line 3: neither a package"),
        ("dependencies: six\n", "environment.yml, line 1: 'dependencies' must be a list"),
        ("dependencies: [a]\ndependencies: [b]\n", "environment.yml, line 2: 'dependencies' comes a second time"),
        ("dependencies:\n  - pip:\n    - !secret x\n", "environment.yml, line 3: broken YAML"),
        ("name: x\nchannels: [defaults]\n", "environment.yml names no dependencies"),
        ("name: x\ndependencies: []\n", "environment.yml names no dependencies"),
        ("- six\n", "environment.yml is not a conda environment"),
        ("", "environment.yml is not a conda environment"),
        ("when: 2024-13-45\n", "environment.yml: broken YAML"),
    ],
)
def test_a_file_that_is_no_environment_is_an_error_with_its_line(text: str, what: str) -> None:
    assert refusal(text).what.startswith(what)


def test_tabs_are_named_in_the_hint() -> None:
    assert "tabs" in refusal("name: x\ndependencies:\n\t- six\n").hint


def test_windows_line_ends_and_a_byte_order_mark_go() -> None:
    exported = "\ufeffname: Gu2026\r\ndependencies:\r\n  - ipykernel\r\nprefix: C:\\miniforge3"
    text, changes = make_installable(exported, name="Gu2026")
    assert text == "name: Gu2026\ndependencies:\n  - ipykernel\n"
    assert [change.kind for change in changes] == ["prefix"]


@pytest.mark.parametrize(("name", "line"), [("Gu2026", "name: Gu2026"), ("2026", "name: '2026'"), ("no", "name: 'no'")])
def test_the_name_is_a_string_whatever_it_looks_like(name: str, line: str) -> None:
    for before in ("name: spyglass # the lab's\n", "name:\n", "name: 7\n", ""):
        text, changes = make_installable(f"# top\n---\n{before}dependencies:\n- ipykernel\n", name=name)
        assert text.startswith(f"# top\n---\n{line}")
        assert yaml.safe_load(text)["name"] == name
        assert [change.kind for change in changes] == ["name"]


@pytest.mark.parametrize(
    "text",
    [
        "name: x\ndependencies: [cudnn, six, {pip: [nvidia-nccl-cu12, jax]}]\n",
        "{name: x, dependencies: [cudnn, six, pip: [nvidia-nccl-cu12, jax]], prefix: /home/jane}\n",
        "dependencies:\n-\n  cudnn\n- >-\n  six\n- pip: [nvidia-nccl-cu12,\n   jax]\n",
        "dependencies:\n- cudnn\n- &a six\n- pip:\n  - nvidia-nccl-cu12\n  - 'jax'\nprefix: *a\n",
    ],
)
def test_other_styles_of_yaml_say_the_same(text: str) -> None:
    out, _ = make_installable(text, name="Gu2026")
    assert yaml.safe_load(out) == {"name": "Gu2026", "dependencies": ["six", "pip", "ipykernel", {"pip": ["jax"]}]}
    assert make_installable(out, name="Gu2026") == (out, [])


def test_comments_blank_lines_and_quotes_stay_where_nothing_is_changed() -> None:
    exported = """\
# unser Gerät 🐀, our environment
name: lab  # on every machine
channels:
  - conda-forge

# what the figures need
dependencies:
  - "ipykernel"
  # for the decoder
  - jaxlib=0.4.23=cuda120py39h8c47b65_202  # a GPU's
  - cudnn

prefix: /home/jane/envs/lab
"""
    text, _ = make_installable(exported, name="Gu2026", override="channels: [conda-forge, lab]")
    assert (
        text
        == """\
# unser Gerät 🐀, our environment
name: Gu2026
channels:
- conda-forge
- lab

# what the figures need
dependencies:
  - "ipykernel"
  # for the decoder
  - jaxlib=0.4.23=*cpu*  # a GPU's

"""
    )


def test_an_emptied_pip_part_goes() -> None:
    text = environment(pip=["nvidia-nccl-cu12"])
    assert make_installable(text, name="Gu2026")[0] == environment()


def test_variables_that_the_hub_sets_itself_go() -> None:
    variables = "variables:\n  DJ_PASS: secret\n  SPYGLASS_BASE_DIR: /stelmo\n"
    text, changes = make_installable(environment() + variables, name="Gu2026")
    assert text == environment()
    assert [change.where for change in changes] == ["DJ_PASS", "SPYGLASS_BASE_DIR"]
    assert "secret" not in str(changes)


def expected_lines(text: str, changes: list[Change]) -> list[str]:
    """The lines of a file after its listed changes, worked out from nothing but the list."""
    lines = lines_of(text)
    for change in changes:
        if change.kind == "name":
            lines = [f"name: {change.after}" if line.startswith("name: ") else line for line in lines]
        elif change.kind == "prefix":
            lines = [line for line in lines if not line.startswith("prefix: ")]
        elif not change.before and change.after == INDEX:
            lines.insert(lines.index("- pip:") + 1, f"- {change.after}")
        elif not change.before:
            lines.insert(lines.index("- pip:") if "- pip:" in lines else len(lines), f"- {change.after}")
        else:
            at = lines.index(f"- {change.before}")
            lines[at : at + 1] = [f"- {change.after}"] if change.after else []
    return lines


def lines_of(text: str) -> list[str]:
    """The lines of a file without indentation, and without YAML's quotes."""
    return [re.sub(r"^- (['\"])(.*)\1$", r"- \2", line.strip()).replace("''", "'") for line in text.splitlines()]


names = st.from_regex(r"[a-z][a-z0-9]{0,5}([-_.][a-z0-9]{1,4})?", fullmatch=True)
versions = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){1,2}", fullmatch=True)
builds = st.sampled_from(
    ["", "=py39h474f0d3_0", "=cuda120py39h8c47b65_202", "=py3.9_cuda12.1_0", "=gpu_py39h8236f22_0"]
)
gpu_names = st.sampled_from(["pytorch", "jaxlib", "cudnn", "pytorch-cuda", "tensorflow-gpu", "libcxx", "pytorch-mutex"])
specs = st.builds("{}={}{}".format, names | gpu_names, versions, builds)
labels = st.sampled_from(["", "+cu121", "+cpu", "+cuda12.cudnn89"])
wheel_names = st.sampled_from(["torch", "torchvision", "nvidia-nccl-cu12", "jax[cuda12]", "tensorflow-gpu", "triton"])
requirements = st.one_of(
    st.builds("{}=={}{}".format, names | wheel_names, versions, labels),
    st.builds("spyglass-neuro=={}.dev3+g{}".format, versions, st.from_regex("[0-9a-f]{8}", fullmatch=True)),
    st.sampled_from(["--pre", "--index-url https://example.org/simple", "git+ssh://git@github.com/lab/tool"]),
)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(specs, unique=True, min_size=1), st.lists(requirements, unique=True), st.sampled_from(["", "jax*", "t*"])
)
def test_nothing_changes_but_what_is_listed_and_all_of_it_at_once(
    conda: list[str], pip: list[str], pattern: str
) -> None:
    exported = environment(conda, pip)
    try:
        text, changes = make_installable(exported, name="Gu2026", exclude=[pattern])
    except UserError as error:
        assert "contradict each other" in error.what
        return
    assert make_installable(text, name="Gu2026", exclude=[pattern]) == (text, [])
    lines = expected_lines(exported, changes)
    if pip and not pip_part(text):
        lines.remove("- pip:")
    assert lines_of(text) == lines


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_an_environment_or_an_error(text: str) -> None:
    try:
        out, _ = make_installable(text, name="Gu2026")
    except UserError as error:
        assert "\n" not in error.what
    else:
        assert make_installable(out, name="Gu2026") == (out, [])
