import errno
import os
from pathlib import Path

import pytest

from spyglass_export.dump.writing import copying
from spyglass_export.dump.writing.copying import Copier, Range
from spyglass_export.errors import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"0123456789")
    return path


def test_ranges_are_appended_in_order_also_after_a_wait(source: Path, tmp_path: Path) -> None:
    target, other = tmp_path / "target", tmp_path / "other"

    with Copier() as copier:
        copier.finish()
        copier.append(Range(target, b"a", source, 0, 3))
        copier.append(Range(other, b"", source, 9, 10))
        copier.append(Range(target, b"", source, 3, 5))
        copier.finish()
        assert target.read_bytes() == b"a01234"
        target.write_bytes(b"new ")
        copier.append(Range(target, b"", source, 5, 6))
        copier.finish()

    assert target.read_bytes() == b"new 5"
    assert other.read_bytes() == b"9"


@pytest.mark.parametrize("error", [None, OSError(errno.EXDEV, "Invalid cross-device link"), OSError(errno.EPERM, "")])
def test_ranges_are_read_and_written_where_the_system_cannot_copy_them(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    def refuse(*_: object) -> int:
        assert error
        raise error

    monkeypatch.setattr(copying, "_CHUNK", 4)
    if error:
        monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    else:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    target = tmp_path / "target"
    target.write_bytes(b"old ")

    with Copier() as copier:
        copier.append(Range(target, b"abc", source, 1, 10, b"\n"))
        copier.finish()

    assert target.read_bytes() == b"old abc123456789\n"


def test_what_goes_wrong_is_raised_at_the_end_(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"

    with Copier() as copier, pytest.raises(UserError, match="the export changed while it was read"):
        copier.append(Range(target, b"", source, 5, 11))
        copier.append(Range(target, b"", source, 0, 1))
        copier.finish()


def test_leaving_before_the_end_ends_the_copying(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"

    with pytest.raises(KeyboardInterrupt), Copier() as copier:
        for _ in range(100_000):
            copier.append(Range(target, b"", source, 0, 1))
        raise KeyboardInterrupt

    assert not target.exists() or target.stat().st_size < 100_000
