"""A new version's notebooks come to a reader, and what the reader changed stays."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "config" / "sync_notebooks.py"


@pytest.fixture
def program() -> ModuleType:
    specification = importlib.util.spec_from_file_location("sync_notebooks", PROGRAM)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def folder(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.ipynb").write_text(text)
    return path


def contents(path: Path) -> dict[str, str]:
    return {file.stem: file.read_text() for file in sorted(path.glob("*.ipynb"))}


def test_an_empty_volume_gets_all_with_subfolders(program: ModuleType, tmp_path: Path) -> None:
    image, reader = folder(tmp_path / "image", one="1"), folder(tmp_path / "reader")
    (image / "été" / "assets").mkdir(parents=True)
    (image / "été" / "assets" / "map.png").write_bytes(b"\x89PNG")

    said = program.sync(image, reader)

    assert said == ["brought 2 new: one.ipynb, été/assets/map.png"]
    assert (reader / "été" / "assets" / "map.png").read_bytes() == b"\x89PNG"
    assert program.sync(image, reader) == []


def test_a_new_version_replaces_what_the_reader_left_as_it_was(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader")
    program.sync(folder(tmp_path / "v1", same="1", better="1"), reader)

    said = program.sync(folder(tmp_path / "v2", same="1", better="2", added="3"), reader)

    assert said == ["brought 2 new: added.ipynb, better.ipynb"]
    assert contents(reader) == {"added": "3", "better": "2", "same": "1"}


def test_what_the_reader_changed_stays_and_is_named(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader")
    program.sync(folder(tmp_path / "v1", figure="1", method="1"), reader)
    folder(reader, figure="mine", method="mine too")

    said = program.sync(folder(tmp_path / "v2", figure="2", method="1"), reader)

    new = tmp_path / "v2" / "figure.ipynb"
    assert said == [f"left figure.ipynb alone, because you changed it; the new one is {new}"]
    assert contents(reader) == {"figure": "mine", "method": "mine too"}
    assert program.sync(tmp_path / "v2", reader) == said


def test_a_notebook_that_is_put_back_as_it_came_is_updated_again(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader")
    program.sync(folder(tmp_path / "v1", figure="1"), reader)
    folder(reader, figure="mine")
    program.sync(folder(tmp_path / "v2", figure="2"), reader)
    folder(reader, figure="1")

    program.sync(tmp_path / "v2", reader)

    assert contents(reader) == {"figure": "2"}


def test_what_the_reader_removed_stays_removed(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader")
    program.sync(folder(tmp_path / "v1", figure="1"), reader)
    (reader / "figure.ipynb").unlink()

    assert program.sync(tmp_path / "v1", reader) == []
    said = program.sync(folder(tmp_path / "v2", figure="2"), reader)
    assert "because you removed it" in said[0]
    assert contents(reader) == {}


def test_the_readers_own_files_are_never_touched(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader", mine="a", figure="mine already")

    said = program.sync(folder(tmp_path / "v1", figure="1"), reader)

    assert contents(reader) == {"mine": "a", "figure": "mine already"}
    assert len(said) == 1


def test_what_a_version_has_no_more_stays(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader")
    program.sync(folder(tmp_path / "v1", old="1"), reader)

    said = program.sync(folder(tmp_path / "v2", new="2"), reader)

    assert said == ["brought 1 new: new.ipynb", "left old.ipynb here, though this version of the paper has it no more"]
    assert contents(reader) == {"new": "2", "old": "1"}


def test_a_folder_in_the_way_is_named_and_kept(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader")
    (reader / "figure.ipynb").mkdir()
    (reader / "figure.ipynb" / "mine").touch()

    said = program.sync(folder(tmp_path / "v1", figure="1", other="2"), reader)

    assert said[0] == "brought 1 new: other.ipynb"
    assert said[1].startswith("left figure.ipynb alone, because it cannot be written")
    assert (reader / "figure.ipynb" / "mine").exists()


@pytest.mark.parametrize("state", ["", "{", "\x00"])
def test_a_damaged_record_makes_the_reader_the_owner(program: ModuleType, tmp_path: Path, state: str) -> None:
    reader = folder(tmp_path / "reader")
    program.sync(folder(tmp_path / "v1", figure="1", same="1"), reader)
    (reader / program.DELIVERED).write_text(state)

    program.sync(folder(tmp_path / "v2", figure="2", same="1"), reader)

    assert contents(reader) == {"figure": "1", "same": "1"}
    assert list(json.loads((reader / program.DELIVERED).read_text())) == ["same.ipynb"]


def test_a_protected_file_of_the_author_can_be_edited_by_the_reader(program: ModuleType, tmp_path: Path) -> None:
    image = folder(tmp_path / "image", figure="1")
    (image / "figure.ipynb").chmod(0o400)

    program.sync(image, folder(tmp_path / "reader"))

    assert (tmp_path / "reader" / "figure.ipynb").stat().st_mode & 0o600 == 0o600


def test_nothing_half_written_is_left(program: ModuleType, tmp_path: Path) -> None:
    reader = folder(tmp_path / "reader")
    program.sync(folder(tmp_path / "v1", figure="1"), reader)

    assert sorted(path.name for path in reader.iterdir()) == [program.DELIVERED, "figure.ipynb"]
