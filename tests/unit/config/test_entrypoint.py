"""A notebook that was cut off while it was saved comes back, and no other is touched."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "config" / "entrypoint.py"
WHOLE, EARLIER = '{"cells": []}', '{"cells": ["earlier"]}'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("pwd", reason="the hub is a Linux container")
    specification = importlib.util.spec_from_file_location("entrypoint", PROGRAM)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "NOTEBOOKS", tmp_path)
    return module


@pytest.mark.parametrize("now", ["", '{"cells": [', None])
def test_the_version_before_comes_back(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], now: str | None
) -> None:
    folder = tmp_path / "été 2"
    folder.mkdir()
    (folder / ".~a.ipynb").write_text(EARLIER)
    if now is not None:
        (folder / "a.ipynb").write_text(now)

    program.put_back_notebooks()

    assert [file.name for file in folder.iterdir()] == ["a.ipynb"]
    assert (folder / "a.ipynb").read_text() == EARLIER
    said = "notebooks: été 2/a.ipynb was cut off while it was saved; its version before is back\n"
    assert capsys.readouterr().out == said


def test_a_notebook_that_is_whole_stays(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.ipynb").write_text(WHOLE)
    (tmp_path / ".~a.ipynb").write_text(EARLIER)

    program.put_back_notebooks()

    assert (tmp_path / "a.ipynb").read_text() == WHOLE
    assert capsys.readouterr().out == ""


def test_checkpoints_are_left_alone(program: ModuleType, tmp_path: Path) -> None:
    hidden = tmp_path / ".ipynb_checkpoints" / ".~a.ipynb"
    hidden.parent.mkdir()
    hidden.write_text(EARLIER)

    program.put_back_notebooks()

    assert [file.name for file in hidden.parent.iterdir()] == [hidden.name]
