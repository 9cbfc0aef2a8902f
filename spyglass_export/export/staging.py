"""Replace the contents of a folder so that a stop at any moment leaves the old ones whole, or can be finished.

The folder itself stays: it may be mounted into a container, or be under version control. What is new is
written into a hidden folder inside it, on the same file system, and moved into place by renaming.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_WRITING = ".writing"  # not complete: of no use after a stop
_READY = ".ready"  # complete: moved into place even after a stop
_OLD = ".old"  # what was moved away, to be removed


def recover(folder: Path, names: Sequence[str]) -> None:
    """Finish or undo what a stopped run left behind."""
    if (folder / _READY).is_dir():
        _move_into_place(folder, names)
    for leftover in (_WRITING, _OLD):
        if (folder / leftover).is_dir():
            shutil.rmtree(folder / leftover)


@contextmanager
def replaced_contents(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder to write every one of ``names`` into; at the end, they take their places in ``folder``.

    When an exception is raised inside, everything is as it was. Raises `OSError` where the file system refuses, as
    Windows does for a file that another program has open: `recover` then finishes the move.
    """
    recover(folder, names)
    writing = folder / _WRITING
    writing.mkdir()
    try:
        yield writing
        writing.rename(folder / _READY)
    except BaseException:
        shutil.rmtree(writing, ignore_errors=True)
        raise
    _move_into_place(folder, names)
    shutil.rmtree(folder / _OLD, ignore_errors=True)  # the new ones are in place; the next run removes the rest


def _move_into_place(folder: Path, names: Sequence[str]) -> None:
    """Move each entry that is still in the ready folder; may be called again after a stop at any place."""
    ready, old = folder / _READY, folder / _OLD
    old.mkdir(exist_ok=True)
    for name in names:
        if (ready / name).exists():
            if (folder / name).exists():
                (folder / name).rename(old / name)
            (ready / name).rename(folder / name)
    ready.rmdir()
