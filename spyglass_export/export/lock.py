"""One writer at a time in a folder; the operating system lets go of the lock when a run ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from spyglass_export import console

FILE = ".lock"
_HOLDER = ".writing-by"


@contextmanager
def only_one(folder: Path, command: str) -> Iterator[None]:
    """Hold the lock of a folder; says which run has it otherwise, and waits for that one to end."""
    lock = FileLock(folder / FILE)
    holder = folder / _HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        process = "it has just begun, or ends"
        with suppress(OSError):
            process = holder.read_text(encoding="utf-8")
        console.note(f"another `{command}` is at work in {folder} ({process}): waiting until it has ended")
        lock.acquire()
    try:
        holder.write_text(f"process {os.getpid()}", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
