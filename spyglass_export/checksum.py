"""SHA-256 of files of any size."""

import hashlib
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
