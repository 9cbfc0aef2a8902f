"""The example paper as it is committed: a real export, and a notebook that uses nothing but what the export holds."""

import base64
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "examples" / "export" / "example"
NOTEBOOK = ROOT / "notebooks" / "example.ipynb"


@cache
def dump() -> str:
    return (EXPORT / "_Populate_example.sql").read_text(encoding="utf-8")


@cache
def inserts_per_table() -> dict[tuple[str, str], int]:
    """The number of INSERT statements of each table in the dump, by schema and name."""
    counts: dict[tuple[str, str], int] = {}
    schema = table = ""
    for line in dump().splitlines():
        if found := re.match(r"CREATE DATABASE IF NOT EXISTS (\w+); USE \1;$", line):
            schema = found[1]
        elif found := re.match(r"CREATE TABLE `([^`]+)`", line):
            table = found[1]
            counts[schema, table] = 0
        elif found := re.match(r"INSERT INTO `([^`]+)` VALUES", line):
            assert found[1] == table
            counts[schema, table] += 1
    return counts


@cache
def notebook() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return content


def without_magics(cell: dict[str, Any]) -> str:
    """The Python of a cell."""
    return "".join(line for line in cell["source"] if not line.startswith("%"))


def code() -> str:
    """All code cells of the notebook, one after the other."""
    return "\n".join(without_magics(cell) for cell in notebook()["cells"] if cell["cell_type"] == "code")


def outputs(kind: str) -> list[Any]:
    """All that the notebook shows of a media type."""
    cells = [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    return [one["data"][kind] for cell in cells for one in cell["outputs"] if kind in one.get("data", {})]


def pip_packages() -> list[str]:
    """The lines of the pip part of the environment."""
    environment = yaml.safe_load((EXPORT / "environment.yml").read_text(encoding="utf-8"))
    [packages] = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    return list(packages)


def test_the_export_has_the_files_that_spyglass_writes_and_is_small() -> None:
    files = {path.name: path.stat().st_size for path in EXPORT.iterdir()}

    assert set(files) == {"_Populate_example.sql", "environment.yml", "spyglass_version"}
    assert sum(files.values()) < 1_000_000


def test_the_dump_says_which_spyglass_wrote_it() -> None:
    version = (EXPORT / "spyglass_version").read_text(encoding="utf-8")

    assert re.fullmatch(r"0\.6\.\d+", version)
    assert dump().startswith(f"--\n-- SPYGLASS VERSION: {version} --\n--\nCREATE DATABASE IF NOT EXISTS ")


def test_every_table_of_the_dump_has_rows_and_ends_completely() -> None:
    assert len(inserts_per_table()) == 13
    assert all(inserts_per_table().values()), inserts_per_table()
    assert dump().count("\n-- Dump completed on ") == len(inserts_per_table())


def test_the_dump_is_as_awkward_as_one_of_an_older_lab_server() -> None:
    assert "SET @@GLOBAL.GTID_PURGED" in dump()
    assert dump().count(") ENGINE=InnoDB") == dump().count(" DEFAULT CHARSET=latin1") == len(inserts_per_table())
    assert "'Zoë Muster'" in dump()


def test_the_environment_is_the_papers_pinned_and_light() -> None:
    environment = yaml.safe_load((EXPORT / "environment.yml").read_text(encoding="utf-8"))
    names = [requirement.partition("==")[0] for requirement in pip_packages()]

    assert environment["name"] == "example"
    assert any(part.startswith("python=3.11.") for part in environment["dependencies"] if isinstance(part, str))
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", requirement) for requirement in pip_packages())
    assert {"datajoint", "numpy", "pandas", "matplotlib"} <= set(names)
    assert {"ipympl", "ipywidgets", "tqdm"} <= set(names)  # what interactive figures of a paper use
    assert "spyglass-neuro" not in names


def test_the_notebook_is_valid_and_was_saved_after_it_ran() -> None:
    cells = notebook()["cells"]
    identifiers = [cell["id"] for cell in cells]

    assert (notebook()["nbformat"], notebook()["nbformat_minor"]) >= (4, 5)
    assert len(set(identifiers)) == len(identifiers)
    for cell in cells:
        assert cell["cell_type"] in {"code", "markdown"}
        if cell["cell_type"] == "code":
            assert cell["outputs"]
            assert cell["execution_count"]
            compile(without_magics(cell), cell["id"], "exec")


def test_the_notebook_shows_its_figures_tables_and_widgets_and_is_small() -> None:
    views = [one["model_id"] for one in outputs("application/vnd.jupyter.widget-view+json")]
    state = notebook()["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]

    assert [base64.b64decode(picture)[:4] for picture in outputs("image/png")] == [b"\x89PNG"] * 2
    assert sum("<table" in "".join(page) for page in outputs("text/html")) == 3
    assert len(views) == 3  # bar, slider, canvas
    assert set(views) <= set(state)
    assert NOTEBOOK.stat().st_size < 400_000


def test_the_notebook_tells_nothing_of_the_machine_that_it_ran_on() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")

    assert not re.search(r"/home/|/opt/|/tmp/|/Users/|jovyan", text)
    assert all(not {"execution", "ExecuteTime"} & set(cell["metadata"]) for cell in notebook()["cells"])
    assert all(output.get("name") != "stderr" for cell in notebook()["cells"] for output in cell.get("outputs", ()))


def test_the_notebook_was_saved_with_the_kernel_of_the_authors_lab() -> None:
    """Not the hub's: the paper's environment must be used whatever kernel a notebook names."""
    kernel = notebook()["metadata"]["kernelspec"]

    assert (kernel["name"], kernel["language"]) == ("spyglass", "python")


def test_the_notebook_imports_only_what_the_environment_has() -> None:
    imported = set(re.findall(r"^(?:import|from) (\w+)", code(), re.MULTILINE))

    assert imported == {"datajoint", "ipywidgets", "matplotlib", "numpy", "pandas", "tqdm"}
    assert imported <= {requirement.partition("==")[0] for requirement in pip_packages()}


def test_the_notebook_connects_as_datajoint_is_configured() -> None:
    assert re.search(r"^dj\.conn\(\)$", code(), re.MULTILINE)
    assert not re.search(r"password|host|DJ_|config", code(), re.IGNORECASE)


def table_classes() -> list[tuple[str, str]]:
    """Every `schema.Table` that the notebook uses."""
    return sorted(set(re.findall(r"\b(common_\w+)\.([A-Z]\w+)", code())))


@pytest.mark.parametrize(("schema", "table_class"), table_classes())
def test_a_table_that_the_notebook_uses_is_in_the_dump(schema: str, table_class: str) -> None:
    """DataJoint names a class CamelCase, its table snake_case after a mark of its tier: `_`, `__`, `#` or none."""
    name = re.sub(r"(?<!^)([A-Z])", r"_\1", table_class).lower()

    assert f'dj.VirtualModule("{schema}", "{schema}")' in code()
    assert any((schema, tier + name) in inserts_per_table() for tier in ("", "_", "__", "#"))
