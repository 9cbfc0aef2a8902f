"""`invoke check` as a whole: a project in a folder, a program in Docker's place, and an index that nobody answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spyglass_export.checks import run as checks
from spyglass_export.checks.check import Check, failed, passed, run_side_by_side, warned
from spyglass_export.checks.environment import check_packages, read_environment
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.settings import load
from tests.unit.environment.packages import served, write_wheel

ROOT = Path(__file__).resolve().parents[3]
NOBODY = "http://127.0.0.1:1"
OFFLINE = {"PIP_INDEX_URL": f"{NOBODY}/simple", "PIP_EXTRA_INDEX_URL": "", "CONDA_CHANNEL_ALIAS": NOBODY}
ENVIRONMENT = """name: spyglass
channels: [conda-forge]
dependencies:
- python=3.9.19=h0755675_0_cpython
- cudatoolkit=11.3.1=hb98b00a_13
- pip:
  - datajoint==0.14.2
prefix: /home/ada/miniforge3/envs/spyglass
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example paper in a folder of its own, out of reach of every index."""
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(ROOT / "examples" / "export", tmp_path / "examples" / "export")
    shutil.copytree(ROOT / "docker" / "base", tmp_path / "docker" / "base")
    shutil.copy(ROOT / "docker" / "with_ca_bundle.sh", tmp_path / "docker")
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "example.ipynb", tmp_path / "notebooks")
    shutil.copy(ROOT / "env.example", tmp_path / ".env")
    return tmp_path


def found_in(project: Path, **environment: str) -> dict[str, Check]:
    return {check.name: check for check in checks.run_checks(project, {"DOCKER": "no-such-docker", **environment})}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_example_paper_needs_nothing_but_docker(project: Path) -> None:
    before = tree(project)

    found = found_in(project)

    assert [name for name, check in found.items() if check.status == "failure"] == ["Docker Engine"]
    assert found["environment"].what.startswith("3 conda and 33 pip packages")
    assert found["notebook example.ipynb"].status == "ok"
    assert tree(project) == before


def test_everything_wrong_is_told_at_once(project: Path) -> None:
    paper = project / "examples" / "export" / "example"
    dump = paper / "_Populate_example.sql"
    dump.write_bytes(dump.read_bytes()[:-100])
    (paper / "environment.yml").write_text("dependencies: [numpy\n")
    (project / "notebooks" / "broken.ipynb").write_text("{")
    with (project / ".env").open("a") as env_file:
        env_file.write("GRANT_SUDO=perhaps\n")

    found = checks.run_checks(project, {"DOCKER": "no-such-docker"})

    assert {check.name for check in found if check.status == "failure"} == {
        ".env",
        "Docker Engine",
        "export",
        "environment",
    }
    assert all(check.fix for check in found if check.status != "ok")
    with pytest.raises(UserError, match=r"`invoke build` would fail: \.env, Docker Engine, export, environment$"):
        checks.require_no_failure(found)


def test_without_an_env_file_docker_is_checked_all_the_same(project: Path) -> None:
    (project / ".env").unlink()

    assert [*found_in(project)] == [".env", "Docker Engine", "machine"]


def test_warnings_alone_do_not_fail() -> None:
    checks.require_no_failure([passed("a", "well"), warned("b", "perhaps", "look")])


def test_one_row_for_each_check_with_its_fix(capsys: pytest.CaptureFixture[str]) -> None:
    checks.show_as_table([passed("memory", "16.0 GB"), failed("port [HUB]", UserError("it is in use", "set another"))])

    printed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in printed[2:]] == [
        ["memory", "ok", "16.0", "GB"],
        ["port", "[HUB]", "failure", "it", "is", "in", "use"],
        ["fix:", "set", "another"],
    ]


def test_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    checks.show_as_json([failed("export", UserError("sié " * 99, "copy it"))])

    assert json.loads(capsys.readouterr().out) == {
        "checks": [{"name": "export", "status": "failure", "what": "sié " * 99, "fix": "copy it"}]
    }


def test_the_command_ends_with_status_1_where_a_build_would_fail(project: Path) -> None:
    """The real command, in a process of its own, as a script would call it."""
    shutil.copy(ROOT / "tasks.py", project)
    environment = {"DOCKER": "no-such-docker", "PATH": "", "PYTHONPATH": str(ROOT), **OFFLINE}

    done = subprocess.run(
        [sys.executable, "-m", "invoke", "check", "--json"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: `invoke build` would fail: Docker Engine\nhint: ")
    assert {check["status"] for check in json.loads(done.stdout)["checks"]} == {"ok", "warning", "failure"}


def test_a_probe_that_breaks_does_not_take_the_others_along(tmp_path: Path) -> None:
    def breaks() -> list[Check]:
        raise RuntimeError("boom")

    def has_no_disk() -> list[Check]:
        (tmp_path / "gone").stat()
        return []

    found = run_side_by_side([("one", breaks), ("two", has_no_disk), ("three", lambda: [passed("three", "well")])])

    assert [(check.name, check.status) for check in found] == [("one", "warning"), ("two", "failure"), ("three", "ok")]
    assert found[0].what == "could not be checked: RuntimeError: boom"
    assert str(tmp_path / "gone") in found[1].what


def write_environment(project: Path, text: str) -> Path:
    file = project / "examples" / "export" / "example" / "environment.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_changes_to_the_environment_are_counted(project: Path) -> None:
    write_environment(project, ENVIRONMENT)

    [check], content = read_environment(load(project, {}))

    assert check.status == "ok"
    assert "packages for GPUs (1)" in check.what
    assert "cudatoolkit" not in str(content)
    assert content["name"] == "example"


@pytest.mark.parametrize(
    ("conda", "pip", "name", "oldest"),
    [
        ("ipympl=0.5.8=py38_0", "six", "ipympl 0.5.8", "ipympl=0.6.0"),
        ("ipywidgets=6.0.1", "six", "ipywidgets 6.0.1", "ipywidgets=7.0"),
        ("numpy", "pyviz-comms==2.2.1", "pyviz-comms 2.2.1", "pyviz-comms=3.0.0"),
    ],
)
def test_widgets_that_the_hub_cannot_show_are_told_with_what_to_pin(
    project: Path, conda: str, pip: str, name: str, oldest: str
) -> None:
    write_environment(
        project, ENVIRONMENT.replace("cudatoolkit=11.3.1=hb98b00a_13", conda).replace("datajoint==0.14.2", pip)
    )

    _, check = read_environment(load(project, {}))[0]

    assert (check.status, check.what.partition(" shows nothing")[0]) == ("warning", name)
    assert f"`{oldest}` or newer" in check.fix


def test_widgets_that_the_hub_shows_are_not_spoken_of(project: Path) -> None:
    lines = "ipywidgets=7\n- ipyevents=0.9\n- ipympl=0.8.8\n- k3d=2.16.1=pyhd_0\n- bqplot\n- pyviz-comms>=2"
    write_environment(project, ENVIRONMENT.replace("cudatoolkit=11.3.1=hb98b00a_13", lines))

    assert [check.status for check in read_environment(load(project, {}))[0]] == ["ok"]


def test_what_is_to_be_left_out_but_is_not_there_is_told(project: Path) -> None:
    write_environment(project, ENVIRONMENT)

    checked, _ = read_environment(load(project, {"ENV_EXCLUDE": "DataJoint jaxx* ipykernel"}))

    assert [check.status for check in checked] == ["ok", "warning"]
    assert checked[1].what.endswith(": jaxx*, ipykernel")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (ENVIRONMENT.replace("datajoint==0.14.2", "-e /home/ada/tool"), "is on the lab's disk only"),
        ("dependencies: [numpy\n", "line 2"),
        ("name: empty\n", "environment.yml"),
    ],
)
def test_an_environment_that_cannot_be_installed_elsewhere(project: Path, text: str, what: str) -> None:
    write_environment(project, text)

    [check], content = read_environment(load(project, {}))

    assert check.status == "failure"
    assert what in check.what
    assert content == {}


def test_no_environment(project: Path) -> None:
    write_environment(project, "").unlink()

    [check], _ = read_environment(load(project, {}))

    assert check.status == "failure"
    assert "conda env export" in check.fix


def test_what_the_author_overrides_counts(project: Path) -> None:
    write_environment(project, ENVIRONMENT.replace("datajoint==0.14.2", "-e /home/ada/tool"))
    (project / "export_data").mkdir()
    (project / "export_data" / "environment.override.yml").write_text("dependencies: [{pip: [tool==1.0]}]\n")

    [check], content = read_environment(load(project, {}))

    assert check.status == "ok"
    assert "tool==1.0" in str(content)


def test_packages_that_do_not_exist_are_a_failure_with_what_to_write(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(tmp_path / "index", "datajoint", "0.14.1")
    write_environment(project, ENVIRONMENT)
    settings = load(project, {})
    with served(tmp_path) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/index")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        missing, silent = check_packages(settings, Docker(("no-such-docker",), project))

    assert missing.status == "failure"
    assert missing.what.startswith("'datajoint==0.14.2' cannot be installed: ")
    assert "write `datajoint==0.14.1` in export_data/environment.override.yml" in missing.fix
    assert "ENV_EXCLUDE=datajoint" in missing.fix
    assert silent.status == "warning"
    assert silent.what.startswith("could not look at http://127.0.0.1:1/conda-forge (")
    assert silent.what.endswith("; 3 conda packages were not looked up")
