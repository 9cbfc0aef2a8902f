"""Files that are written whole or not at all, whatever stops the program."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
