"""The paper's database wins over the lab's, on a package that reads its settings as DataJoint 0.14 does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "config" / "paper_settings.py"
DATAJOINT = """
import json, pathlib
class Config:
    def __init__(self): self._conf = {"database.host": "localhost", "display.limit": 12}
    def __getitem__(self, name): return self._conf.get(name)
    def load(self, filename=None):
        self._conf.update(json.loads(pathlib.Path(filename or "dj_local_conf.json").expanduser().read_text()))
config = Config()
for file in (pathlib.Path("dj_local_conf.json"), pathlib.Path("~/.datajoint_config.json").expanduser()):
    if file.exists():
        config.load(str(file))
        break
"""
PAPER = {"database.host": "db", "stores": {"raw": "/home/jovyan/data/raw"}, "display.limit": 7}
LAB = {"database.host": "lmf-db.example.org", "stores": {"raw": "/stelmo"}, "display.limit": 3}
SHOW = "print(dj.config['database.host'], dj.config['stores']['raw'], dj.config['display.limit'])"
OF_PAPER = "db /home/jovyan/data/raw"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of notebooks, beside a home and DataJoint."""
    (tmp_path / "datajoint").mkdir()
    (tmp_path / "datajoint" / "settings.py").write_text(DATAJOINT)
    (tmp_path / "datajoint" / "__init__.py").write_text("from .settings import config")
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / ".datajoint_config.json", PAPER)
    return tmp_path / "notebooks"


def write(file: Path, settings: dict[str, Any]) -> None:
    file.write_text(json.dumps(settings))


def ask(folder: Path, code: str) -> str:
    """What a Python that imports the paper's settings at its start prints for ``code``."""
    home, start = str(folder.parent), f"import runpy; runpy.run_path({str(PROGRAM)!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}\nimport datajoint as dj\n{code}"],
        cwd=folder,
        env={**os.environ, "HOME": home, "USERPROFILE": home, "PYTHONPATH": home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_file_beside_the_notebook_does_not_lead_to_the_lab(folder: Path) -> None:
    write(folder / "dj_local_conf.json", LAB)

    assert ask(folder, SHOW) == f"{OF_PAPER} 3"


def test_nor_does_one_that_the_notebook_loads(folder: Path) -> None:
    write(folder / "lab.json", LAB)

    assert ask(folder, f"dj.config.load('lab.json'); {SHOW}") == f"{OF_PAPER} 3"


def test_older_tutorials_load_a_file_that_is_not_there(folder: Path) -> None:
    assert ask(folder, f"dj.config.load('dj_local_conf.json'); {SHOW}") == f"{OF_PAPER} 7"


def test_another_file_that_is_missing_is_still_an_error(folder: Path) -> None:
    with pytest.raises(AssertionError, match="FileNotFoundError"):
        ask(folder, "dj.config.load('other.json')")


def test_without_a_paper_nothing_is_changed(folder: Path) -> None:
    (folder.parent / ".datajoint_config.json").unlink()
    write(folder / "dj_local_conf.json", LAB)

    assert ask(folder, SHOW) == "lmf-db.example.org /stelmo 3"
