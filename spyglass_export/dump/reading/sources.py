"""The files of an export, plain or compressed, as regular files that can be read at any place."""

import errno
import filecmp
import gzip
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import BinaryIO

import xxhash

from spyglass_export.errors import UserError

_CHUNK = 1 << 20
COPY_AGAIN = "copy the file again from the machine that wrote the export, or dump it again"


def disk_error(error: OSError, place: Path) -> UserError:
    """What the operating system said, as a sentence; ``place`` is where something was to be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"the disk of {place} is full", "free twice as much space as the export takes")
    what = f"{error.filename or place}: {error.strerror or error}"
    return UserError(what, "check that the file is there, and its permissions")


@dataclass(frozen=True, slots=True)
class Source:
    """One SQL file: ``path`` holds its text uncompressed."""

    name: str  # what the user calls it
    path: Path
    packed: float = 1.0  # the size of the user's file as a share of the text's

    def place(self, offset: int) -> str:
        """Where this byte stands, by the number of its line, for an error."""
        with self.path.open("rb") as file:
            ends = sum(file.read(min(_CHUNK, offset - at)).count(b"\n") for at in range(0, offset, _CHUNK))
        return f"{self.name}, line {ends + 1}"


def open_source(path: Path, name: str, scratch: Path) -> Source:
    """The file as a `Source`; a ``.gz`` is unpacked into the folder ``scratch``.

    Raises `UserError` where the file is empty or its compression is broken.
    """
    if path.stat().st_size == 0:
        raise UserError(f"{name} is empty", COPY_AGAIN)
    if path.suffix.lower() != ".gz":
        return Source(name, path)
    plain = scratch / f"{len(list(scratch.iterdir()))}.unpacked"  # two folders may have files of one name
    try:
        with gzip.open(path) as packed, plain.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, _CHUNK)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{name} is a broken gzip file ({error})", COPY_AGAIN) from error
    if plain.stat().st_size == 0:
        raise UserError(f"{name} is empty", COPY_AGAIN)
    return Source(name, plain, path.stat().st_size / plain.stat().st_size)


class Hashed:
    """A stream whose content is hashed as it is read: by XXH3, in a thirtieth of the time of SHA-256."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = xxhash.xxh3_128()

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes, and none at the end."""
        part = self._stream.read(size)
        self.digest.update(part)
        return part


def digest_of(path: Path) -> str:
    """Tell a file's content from any other that it had."""
    with path.open("rb", buffering=0) as file:
        stream = Hashed(file)
        while stream.read(_CHUNK):
            pass
    return stream.digest.hexdigest()


def refuse_twins(sources: Sequence[Source]) -> None:
    """Raise `UserError` where two files hold the same dump, packed or not: its rows would be there twice."""
    for one, other in combinations(sources, 2):
        if filecmp.cmp(one.path, other.path, shallow=False):
            raise UserError(f"{one.name} and {other.name} hold the same dump", "remove one of the two")


def stamps(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """What changes when a file is written to: its size, and the time of the last change."""
    return [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def export_changed() -> UserError:
    """The error for a source that was written to while it was read."""
    return UserError("the export changed while it was read", "wait until its dump is complete, and try again")
