"""`invoke check` on notebooks with each trouble that readers met."""

import json
from pathlib import Path
from typing import Any

import pytest

from spyglass_export.checks import code
from spyglass_export.checks.check import Check
from spyglass_export.checks.notebooks import check_notebooks
from spyglass_export.errors import UserError
from spyglass_export.notebooks.files import check_links

# What `conda env export` writes has each package that another one needs, these four for Python itself.
COMPLETE = ["python=3.9.19=h0755675_0_cpython", "bzip2=1.0.8=h_0", "libffi=3.4=h_0", "openssl=3.3=h_0"]
SPYGLASS = ["numpy=1.26.4=py39_0", "scikit-learn=1.5=py39_0", {"pip": ["spyglass-neuro==0.5.4", "opencv-python==4.10"]}]


def write_notebook(file: Path, *cells: str, **metadata: Any) -> None:
    kernel = {"kernelspec": {"display_name": "spyglass", "language": "python", "name": "python3"}}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata or kernel,
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# import nothing from /stelmo/nwb/raw"]},
            *({"cell_type": "code", "metadata": {}, "outputs": [], "source": text.splitlines(True)} for text in cells),
        ],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(notebook), encoding="utf-8")


def checks_of(folder: Path, *cells: str, packages: list[Any] | None = None, **metadata: Any) -> list[Check]:
    write_notebook(folder / "figures.ipynb", *cells, **metadata)
    return check_notebooks(folder, {"dependencies": COMPLETE + SPYGLASS if packages is None else packages})


def test_a_notebook_that_is_fine(tmp_path: Path) -> None:
    [check] = checks_of(
        tmp_path, "import numpy as np\nimport os", "%matplotlib inline\nfrom spyglass.common import Nwbfile"
    )

    assert (check.status, check.name) == ("ok", "notebook figures.ipynb")
    assert check.what == "2 cells of code, saved with kernel spyglass"


def test_what_the_environment_lacks_is_named_with_its_cell(tmp_path: Path) -> None:
    _, check = checks_of(tmp_path, "import numpy", "import torch.nn as nn\nfrom seaborn import lineplot")

    assert check.status == "warning"
    assert check.what == (
        "it will stop at cell 3: it imports what the environment does not list: torch (cell 3), seaborn (cell 3)"
    )
    assert "environment.override.yml" in check.fix


@pytest.mark.parametrize(
    "packages", [["python=3.9", "numpy"], [*SPYGLASS, "python=3.9.19=h0755675_0_cpython"]], ids=["by hand", "shortened"]
)
def test_a_list_that_may_leave_out_what_others_bring_is_no_proof(tmp_path: Path, packages: list[Any]) -> None:
    _, check = checks_of(tmp_path, "import torch", packages=packages)

    assert check.status == "warning"
    assert check.what.startswith("it may stop at cell ")


@pytest.mark.parametrize(
    "cell", ["%pip install torch\nimport torch", "import sys\nsys.path.append('../src')\nimport torch"]
)
def test_a_notebook_that_brings_its_own_is_only_warned_of(tmp_path: Path, cell: str) -> None:
    assert [check.status for check in checks_of(tmp_path, cell)] == ["ok", "warning"]


def test_modules_beside_the_notebook_or_in_its_folders_are_present(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").touch()
    (tmp_path / "1" / "plots").mkdir(parents=True)
    write_notebook(tmp_path / "1" / "a.ipynb", "import helpers\nfrom plots import violin\nfrom .near import x")

    assert [check.status for check in check_notebooks(tmp_path, {"dependencies": COMPLETE})] == ["ok"]


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("sklearn", "scikit-learn"),
        ("cv2", "opencv-python-headless"),
        ("yaml", "pyyaml"),
        ("PIL", "pillow"),
        ("spyglass", "spyglass-neuro"),
        ("matplotlib", "matplotlib-base"),
        ("torch", "pytorch"),
        ("tables", "pytables"),
        ("mpl_toolkits", "matplotlib"),
        ("ndx_franklab_novela", "ndx-franklab-novela"),
        ("serial", "pyserial"),
        ("levenshtein", "python-levenshtein"),
        ("google", "google-auth"),
        ("trajectory_classification", "py-trajectory-classification"),
    ],
)
def test_modules_and_packages_of_other_names(module: str, package: str) -> None:
    assert code.provides({package}, module)
    assert not code.provides({"numpy"}, module)


def test_what_is_imported() -> None:
    text = """
import os, numpy.linalg as la
from pandas import DataFrame
from __future__ import annotations
try:
    import cupy
except ImportError:
    cupy = None
def later():
    import h5py
"""
    tree = code.parse(text)

    assert tree
    assert code.imports(tree) == ["numpy", "pandas", "h5py"]


@pytest.mark.parametrize(
    "text",
    [
        "%time import numpy",
        "%%time\nimport numpy",
        "%%capture out --no-stderr\nimport numpy",
        "!ls -la \\\n  /tmp\nimport numpy",
        "files = !ls\nimport numpy",
        "if True:\n    %matplotlib widget\nimport numpy",
        "import numpy\nnumpy.mean?",
        "import numpy\n?numpy",
        "import numpy\nx = (10\n % 3)",
        "x = %time 1 + 1\nimport numpy",
        "await something()\nimport numpy",
    ],
)
def test_ipythons_own_lines_hide_no_import(text: str) -> None:
    tree = code.parse(text)

    assert tree
    if not text.startswith("%time import"):
        assert code.imports(tree) == ["numpy"]


def test_cells_in_other_languages_are_left_alone(tmp_path: Path) -> None:
    assert [check.status for check in checks_of(tmp_path, "%%bash\nfor x in *; do echo $x; done", "%%html\n<b>")] == [
        "ok"
    ]


def test_a_cell_that_is_no_python_is_told(tmp_path: Path) -> None:
    _, check = checks_of(tmp_path, "import numpy", "print 'hello'")

    assert (check.status, check.what) == ("warning", "cell 3 is not valid Python")


@pytest.mark.parametrize(
    "cell",
    [
        "path = '/stelmo/nwb/raw/Chimi20200212_new.nwb'",
        "open(r'C:\\Users\\ada\\figures\\fig1.svg')",
        "files = glob('/home/ada/My Data/*.nwb')",
        "x = f'/Users/{name}/Desktop/fig.pdf'",
        "%cd /cumulus/ada/code",
        "!cp fig.png /mnt/share/figures/fig.png",
        r"x = '\\\\server\\share\\data.h5'",
    ],
)
def test_paths_of_the_authors_disk_are_told(tmp_path: Path, cell: str) -> None:
    _, check = checks_of(tmp_path, "1", cell)

    assert check.status == "warning"
    assert check.what.startswith("it uses paths that the hub does not have: ")
    assert "(cell 3)" in check.what


@pytest.mark.parametrize(
    "cell",
    [
        "open('/home/jovyan/data/raw/a.nwb')",
        "open('/tmp/x/y')",
        "nwb['/processing/behavior/position']",
        "'https://dandiarchive.org/dandiset/000447'",
        "'either/or'",
        "'/ per second'",
        "a /b /c",
        "# /stelmo/nwb/raw",
        "!curl https://example.org/stelmo/data",
    ],
)
def test_what_only_looks_like_a_path_is_let_be(cell: str) -> None:
    assert code.foreign_paths(cell) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "it is empty"),
        ('{"cells": [\n<<<<<<< HEAD\n', "it is not valid JSON, in line 2"),
        ('{"nbformat": 3, "worksheets": []}', "it is in notebook format 3, and 4 is needed"),
        ('{"a": 1}', "it is JSON, but no notebook"),
        ('{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "it is JSON, but no notebook"),
        ("[]", "it is JSON, but no notebook"),
    ],
)
def test_what_is_no_notebook(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "broken.ipynb").write_text(content)
    write_notebook(tmp_path / "good.ipynb", "1")

    broken, good = check_notebooks(tmp_path, {})

    assert broken.status == "warning"
    assert broken.what.startswith(f"it will not run: {what}")
    assert good.status == "ok"


def test_a_notebook_in_another_language(tmp_path: Path) -> None:
    [check] = checks_of(tmp_path, "library(ggplot2)", kernelspec={"display_name": "R", "language": "R", "name": "ir"})

    assert check.status == "warning"
    assert check.what == "it will not run: it is written in R, and the hub runs Python"


@pytest.mark.parametrize("metadata", [{"kernelspec": None}, {"language_info": {"name": "python"}}])
def test_a_notebook_without_a_kernel(tmp_path: Path, metadata: dict[str, Any]) -> None:
    assert [check.status for check in checks_of(tmp_path, "1", **metadata)] == ["ok"]


def test_copies_that_are_not_the_authors_are_left_out(tmp_path: Path) -> None:
    for name in (
        "a.ipynb",
        "executed/a.ipynb",
        ".ipynb_checkpoints/a-checkpoint.ipynb",
        "deep/.ipynb_checkpoints/b.ipynb",
    ):
        write_notebook(tmp_path / name, "1")

    assert [check.name for check in check_notebooks(tmp_path, {})] == ["notebook a.ipynb"]


def test_no_notebooks(tmp_path: Path) -> None:
    [check] = check_notebooks(tmp_path, {})

    assert check.status == "warning"
    assert str(tmp_path) in check.what


def test_the_labs_configuration_is_named_and_what_a_cell_sets_of_it(tmp_path: Path) -> None:
    (tmp_path / "dj_local_conf.json").write_text('{"database.host": "lmf-db"}')
    write_notebook(tmp_path / "a.ipynb", 'import datajoint as dj\ndj.config["database.host"] = "lmf-db"')

    found = [check.what for check in check_notebooks(tmp_path, {})]

    assert any(what.startswith("notebooks/dj_local_conf.json: host, port, account") for what in found)
    assert any('config["database.host"] = (cell 2)' in what for what in found)


@pytest.mark.parametrize("call", ['dj.config.load("dj_local_conf.json")', "config.load(path)"])
def test_a_configuration_that_a_cell_loads_is_named_as_its_file_is(tmp_path: Path, call: str) -> None:
    _, check = checks_of(tmp_path, f"import numpy\n{call}")

    assert check.status == "ok"
    assert check.what.startswith(f"it loads a configuration, {call} (cell 2): host, port, account")


def test_links_that_lead_out_of_the_folder_are_refused_and_others_are_not(tmp_path: Path) -> None:
    notebooks, repository = tmp_path / "notebooks", tmp_path / "repository"
    for folder in (notebooks, repository):
        folder.mkdir()
        write_notebook(folder / "a.ipynb", "1")
    (notebooks / "inside.ipynb").symlink_to("a.ipynb")
    check_links(notebooks)

    (notebooks / "figures").symlink_to("../repository")
    with pytest.raises(UserError, match=r"links in notebooks/ lead where .*: figures -> \.\./repository"):
        check_links(notebooks)

    (tmp_path / "link").symlink_to("notebooks")
    with pytest.raises(UserError, match="notebooks/ is a link to notebooks"):
        check_links(tmp_path / "link")
