"""SHA-256, in hexadecimal: of files of any size, and of texts."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_CHUNK = 1 << 23  # large, because a thread beside this one may hold Python's lock for a while between two chunks


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
