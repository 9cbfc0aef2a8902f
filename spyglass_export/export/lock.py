"""One writer at a time in a folder; the operating system lets go of the lock when a run ends, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from spyglass_export import console

FILE = ".lock"


@contextmanager
def only_one(folder: Path, command: str) -> Iterator[None]:
    """Hold the lock of a folder; says so where another run has it, and waits for that one to end."""
    lock = FileLock(folder / FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.note(f"another `{command}` is at work in {folder}: waiting until it has ended")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
