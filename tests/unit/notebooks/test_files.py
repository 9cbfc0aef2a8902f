from pathlib import Path

import pytest

from spyglass_export.notebooks.files import notebook_files, tell_left_out


@pytest.mark.parametrize(
    "name",
    [
        "dj_local_conf.json",
        ".datajoint_config.json",
        ".netrc",
        ".my.cnf",
        ".aws/credentials",
        ".ssh/id_ed25519",
        ".env",
        ".env.local",
        "lab.env",
        ".bash_history",
        ".ipynb_checkpoints/figure-checkpoint.ipynb",
        "figure.ipynb~",
        ".figure.ipynb.swp",
        "#figure.ipynb#",
        ".git/config",
        "code/.gitconfig",
        "code/dj_local_conf.json",
        "keys/id_rsa",
        "server.key",
        "executed/figure.ipynb",
    ],
)
def test_what_no_notebook_needs_stays_out_of_the_image(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("secret")

    assert notebook_files(tmp_path) == []


@pytest.mark.parametrize("name", ["figure.ipynb", "code/load.py", "rats.csv", "x.zarr/.zgroup", "x.zarr/0/.zarray"])
def test_what_a_notebook_needs_is_in_the_image(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("data")

    assert notebook_files(tmp_path) == [tmp_path / name]
    assert tell_left_out(tmp_path) == ""


def test_what_is_left_out_is_listed_by_folder_without_what_programs_leave_behind(tmp_path: Path) -> None:
    for name in ("figure.ipynb", ".ssh/id_rsa", ".ssh/config", "code/.netrc", ".DS_Store", "__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    assert tell_left_out(tmp_path) == "left out of the image, of notebooks/: .ssh/, code/.netrc"


def test_a_bundle_has_no_folder_of_notebooks(tmp_path: Path) -> None:
    assert notebook_files(tmp_path / "notebooks") == []


def test_a_long_list_says_how_much_more_there_is(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"n{number:02}.ipynb~").write_text("x")

    assert tell_left_out(tmp_path).endswith("n19.ipynb~ and 5 more")
