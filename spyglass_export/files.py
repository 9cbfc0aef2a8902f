"""Files that are written whole or not at all, whatever stops the program; and SHA-256, in hexadecimal."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 1 << 23  # large, because a thread beside this one may hold Python's lock for a while between two chunks


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to; at the end its file takes the place of ``path``.

    Where an exception is raised, ``path`` is as it was. Raises OSError where the file system refuses.
    """
    incoming = path.with_name(f".{path.name}.tmp")
    try:
        yield incoming
        with incoming.open("rb+") as file:
            os.fsync(file.fileno())  # or a crash may leave the new name with none of the content
        incoming.replace(path)
    finally:
        incoming.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 with LF, whole or not at all."""
    with replaced(path) as incoming:
        incoming.write_text(text, encoding="utf-8", newline="\n")


def text_of(path: Path) -> str:
    """Read a text file, whatever its encoding; empty where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def sha256(path: Path) -> str:
    """Hash a file's content; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer):
            digest.update(memoryview(buffer)[:read])
    return digest.hexdigest()


def sha256_of(*parts: str | bytes) -> str:
    """Hash texts and bytes, told apart; 64 hexadecimal digits. Names of files may be no UTF-8."""
    encoded = (part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape") for part in parts)
    return hashlib.sha256(b"\0".join(encoded)).hexdigest()


def hash_of_files(root: Path, files: Iterable[Path], *more: str) -> str:
    """Hash the names below ``root`` and the content of files and links, and further texts; 16 hex digits."""
    parts = []
    for file in sorted(files):
        content = f"link to {file.readlink()}" if file.is_symlink() else sha256(file)
        parts += [file.relative_to(root).as_posix(), content]
    return sha256_of(*parts, *more)[:16]
