"""Clean one SQL file on the command line, where it may come through a pipe and go into one."""

import errno
import os
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, TextIO

from spyglass_export.dump.clean import CleanDump, clean_to_file
from spyglass_export.dump.reading.export import Progress
from spyglass_export.dump.reading.sources import disk_error
from spyglass_export.errors import UserError


def clean_sql(source: str, output: str | None = None, progress: Progress | None = None) -> CleanDump:
    """`clean_to_file` for the command line: ``-`` is standard input or output, as is an ``output`` of None.

    Nothing is written to standard output before the whole input was read and found good. Raises `UserError`.
    """
    target = None if output in (None, "-") else Path(str(output))
    if target and not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent}", "make it first, or name another --output")
    if target and target.is_dir():
        raise UserError(f"{target} is a folder", "name a file in it with --output")
    # Pipes and devices are written to as they are; a file is replaced, where a link leads to it.
    replaced = target.resolve() if target and (target.is_file() or not target.exists()) else None
    place = replaced.parent if replaced else Path(tempfile.gettempdir())
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".spyglass-export-") as scratch:
            result = replaced or Path(scratch) / "output.sql"
            cleaned = clean_to_file(_as_file(source, Path(scratch)), result, progress)
            if not replaced:
                with target.open("wb") if target else nullcontext(_standard(sys.stdout)) as stream:
                    _send(result, stream)
            return cleaned
    except OSError as error:
        raise disk_error(error, place) from error


def _as_file(source: str, scratch: Path) -> Path:
    """The source itself, or what it gives where it is no file: standard input, a pipe."""
    path = Path(source)
    if source != "-" and (path.is_file() or path.is_dir() or not path.exists()):
        return path
    copy = scratch / ("standard input" if source == "-" else path.name)
    with nullcontext(_standard(sys.stdin)) if source == "-" else path.open("rb") as stream, copy.open("w+b") as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        is_compressed = file.read(2) == b"\x1f\x8b"
    return copy.rename(copy.with_name(f"{copy.name}.gz")) if is_compressed else copy


def _standard(stream: TextIO | None) -> BinaryIO:
    if stream is None:  # it was closed
        raise UserError("standard input or output is closed", "name files instead: FILE --output OUTPUT")
    return stream.buffer


def _send(result: Path, stream: BinaryIO) -> None:
    try:
        with result.open("rb") as file:
            shutil.copyfileobj(file, stream)
        stream.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # Windows says EINVAL
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python tries again when it ends, and fails
        raise UserError("the output was not read to its end", "the whole of it is needed; try --output FILE") from error
