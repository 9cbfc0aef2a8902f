"""The hub's pin of a Dandiset's version, on a client of the same signature as the `dandi` package's."""

import subprocess
import sys
from pathlib import Path

PIN = Path(__file__).resolve().parents[3] / "config" / "pin_dandiset.py"
CLIENT = """
class DandiAPIClient:
    def get_dandiset(self, dandiset_id, version_id=None, lazy=True):
        return dandiset_id, version_id, lazy
"""


def ask(folder: Path, code: str) -> str:
    """What a Python prompt of the hub prints for ``code``."""
    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        input=code + "\n",
        env={"PYTHONSTARTUP": str(PIN), "PYTHONPATH": str(folder), "DANDISET_VERSION": "0.220913.1400"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def client(folder: Path) -> Path:
    (folder / "dandi").mkdir()
    (folder / "dandi" / "dandiapi.py").write_text(CLIENT)
    return folder


def test_what_spyglass_asks_for_without_a_version_is_the_papers(tmp_path: Path) -> None:
    code = "from dandi.dandiapi import DandiAPIClient; print(DandiAPIClient().get_dandiset('000447'))"

    assert ask(client(tmp_path), code) == "('000447', '0.220913.1400', True)\n"


def test_a_notebook_that_names_a_version_gets_it(tmp_path: Path) -> None:
    code = "from dandi.dandiapi import DandiAPIClient; print(DandiAPIClient().get_dandiset('1', 'draft', lazy=False))"

    assert ask(client(tmp_path), code) == "('1', 'draft', False)\n"


def test_an_environment_without_dandi_starts_and_no_name_is_left_behind(tmp_path: Path) -> None:
    assert ask(tmp_path, "print([name for name in dir() if name[:2] != '__'])") == "[]\n"
