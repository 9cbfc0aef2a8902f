"""Files that are no conda environment are told for what they are, and slips by their own line."""

from pathlib import Path

import pytest

from spyglass_export.environment.file import read_text
from spyglass_export.environment.installable import make_installable
from spyglass_export.errors import UserError


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("# platform: linux-64\n@EXPLICIT\nhttps://x.test/linux-64/python-3.10.6-0.conda\n", "`conda list --explicit`"),
        ("# packages in environment at /home/ada/envs/lab:\n#\n_libgcc_mutex  0.1  main\n", "`conda list` writes"),
        ('[project]\nname = "lab"\n\n[dependencies]\npython = "3.10.*"\n', "project file of pixi"),
        ("version: 6\nenvironments:\n  default: {}\n", "lock file of pixi"),
        ("version: 1\nmetadata:\n  platforms: [linux-64]\npackage:\n- name: numpy\n", "lock file of conda-lock"),
        ("# ours\nnumpy==1.23.4\nscipy>=1.9\n", "list of requirements for pip"),
        ("-r base.txt\nnumpy==1.23.4\n", "list of requirements for pip"),
    ],
)
def test_other_kinds_of_files_are_named_with_what_to_write(text: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        make_installable(text, name="Gu2026")
    assert what in caught.value.what
    assert "environment.yml" in caught.value.what + caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf16_is_named_as_powershell_writes_it(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "environment.yml"
    file.write_bytes((b"" if encoding == "utf-16" else b"\xff\xfe") + "name: lab\n".encode(encoding))
    with pytest.raises(UserError, match="UTF-16 text, as `>` of Windows PowerShell writes it") as caught:
        read_text(file)
    assert "`conda env export --file environment.yml`" in caught.value.hint


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "environment.yml"
    file.write_bytes(b"\xef\xbb\xbfname: lab\r\ndependencies: [python]\r\n")
    assert read_text(file) == "name: lab\ndependencies: [python]\n"


def test_text_in_no_known_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_text(tmp_path / "environment.yml")


@pytest.mark.parametrize("indent", ["  ", "      "])
def test_a_missing_dash_is_told_by_its_own_line(indent: str) -> None:
    with pytest.raises(UserError) as caught:
        make_installable(f"name: lab\ndependencies:\n  - python=3.10\n{indent}numpy=1.23\n", name="Gu2026")
    assert "environment.yml, line 4" in caught.value.what
    assert "numpy=1.23" in caught.value.what + caught.value.hint
    assert "`- `" in caught.value.hint
