"""SHA-256 of files of any size."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """Hash a file's content; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
