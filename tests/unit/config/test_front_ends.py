"""Which front ends of the paper's packages JupyterLab 4 is given, and what is said of the others."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "config" / "front_ends.py"
FOLDER = Path("share/jupyter/labextensions")
WIDGETS = "@jupyter-widgets/jupyterlab-manager"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, for an environment, a base environment and JupyterLab's folder below ``tmp_path``."""
    monkeypatch.setenv("PAPER_ID", "Gu2026")
    specification = importlib.util.spec_from_file_location("front_ends", PROGRAM)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path / "env")
    monkeypatch.setattr(module, "LAB", tmp_path / "lab")
    monkeypatch.setattr(module, "version_of_ipywidgets", lambda: "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "base"))
    return module


def add(prefix: Path, name: str, needs: str = "^4.0.0", **jupyterlab: Any) -> None:
    """Install a front end as its package would."""
    folder = prefix / FOLDER / name
    folder.mkdir(parents=True)
    package = {
        "name": name,
        "version": "1.2.3",
        "dependencies": {"@jupyterlab/application": needs},
        "jupyterlab": jupyterlab,
    }
    (folder / "package.json").write_text(json.dumps(package))


def has_ipywidgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: ModuleType, version: str) -> list[str]:
    """Have the environment hold a version of ipywidgets, and pip bring a front end; gives what pip is asked for."""
    asked: list[str] = []

    def install(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        asked.append(command[-1])
        add(Path(command[command.index("--target") + 1]), WIDGETS)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(program, "version_of_ipywidgets", lambda: version)
    monkeypatch.setattr(program.subprocess, "run", install)
    return asked


def linked(tmp_path: Path) -> set[str]:
    """The front ends that JupyterLab finds."""
    top = tmp_path / "lab" / "labextensions"
    return {file.parent.relative_to(top).as_posix() for file in [*top.glob("*/*.json"), *top.glob("*/*/*.json")]}


def test_those_that_jupyterlab_can_run_are_linked(program: ModuleType, tmp_path: Path) -> None:
    add(tmp_path / "env", WIDGETS)
    add(tmp_path / "env", "jupyter-matplotlib", needs="^2 || ^3 || ^4")
    add(tmp_path / "env", "@jupyter-notebook/lab-extension")  # of Notebook 7, which is another server

    program.main()

    assert linked(tmp_path) == {WIDGETS, "jupyter-matplotlib"}
    assert (tmp_path / "lab" / "labextensions" / "jupyter-matplotlib").is_symlink()


def test_one_that_the_hub_has_itself_stays_the_hubs(program: ModuleType, tmp_path: Path) -> None:
    for place in ("base", "env"):
        add(tmp_path / place, "jupyterlab_pygments")

    program.main()

    assert linked(tmp_path) == set()


def test_one_that_cannot_run_is_named_with_the_reason(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path / "env", "jupyterlab-plotly", needs="^3.1.0")
    add(tmp_path / "env", "@jupyterlab/git", discovery={"server": {"base": {"name": "jupyterlab_git"}}})

    program.main()

    printed = capsys.readouterr().out
    assert linked(tmp_path) == set()
    assert "JupyterLab: the extension jupyterlab-plotly 1.2.3 does not work: it is for another JupyterLab" in printed
    assert "JupyterLab: the extension @jupyterlab/git 1.2.3 does not work: it has a part that runs in the" in printed


@pytest.mark.parametrize(
    ("version", "asked"), [("7.8.5", "jupyterlab_widgets>=1.1.11,<2"), ("8.1.5", "jupyterlab_widgets>=3.0.13,<4")]
)
def test_widgets_get_the_front_end_that_speaks_their_language(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, asked: str
) -> None:
    add(tmp_path / "env", WIDGETS, needs="^3.0.0")
    requirements = has_ipywidgets(tmp_path, monkeypatch, program, version)

    program.main()

    assert requirements == [asked]
    assert linked(tmp_path) == {WIDGETS}


def test_widgets_that_will_not_show_are_told_of(
    program: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    requirements = has_ipywidgets(tmp_path, monkeypatch, program, "6.0.0")

    program.main()

    assert requirements == []
    assert (
        "widgets will not show, for want of their front end: there is none for ipywidgets 6.0.0: pin ipywidgets 7 "
        in (capsys.readouterr().out)
    )
