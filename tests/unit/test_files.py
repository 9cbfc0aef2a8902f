"""A file is written whole, or stays as it was."""

from pathlib import Path

import pytest

from spyglass_export.files import replaced, write_text


def test_a_text_file_has_lf_on_every_system(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one\ntwo é\n")

    assert (tmp_path / "a.txt").read_bytes() == "one\ntwo é\n".encode()


def test_what_breaks_off_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "before")

    with pytest.raises(KeyboardInterrupt), replaced(tmp_path / "a.txt") as incoming:
        incoming.write_text("half")
        raise KeyboardInterrupt

    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"
