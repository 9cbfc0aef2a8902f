"""Copy byte ranges from file to file: in the kernel where it can, and behind the back of who goes on reading."""

import errno
import hashlib
import mmap
import os
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

from spyglass_export.errors import UserError

_CHUNK = 1 << 22
_PAGE = 1 << 12
_LARGE = 1 << 20
# The kernel or the file systems cannot: https://man7.org/linux/man-pages/man2/copy_file_range.2.html
_CANNOT = {errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY, errno.EXDEV}
_Range = tuple[Path, bytes, Path, int, int]  # target, what comes before, source, start, end


def copy_range(source: int, target: int, start: int, end: int) -> None:
    """Append the bytes from ``start`` to ``end`` of one file descriptor to the other.

    Raises `UserError` where the source has become shorter.
    """
    while start < end:
        copied = _copy_some(source, target, start, end - start)
        if not copied:
            raise UserError("the export changed while it was read", "wait until its dump is complete, and try again")
        start += copied


def _copy_some(source: int, target: int, start: int, size: int) -> int:
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, size, offset_src=start)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
    os.lseek(source, start, os.SEEK_SET)
    chunk = os.read(source, min(size, _CHUNK))
    _write(target, chunk)
    return len(chunk)


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


class Copier:
    """Appends ranges to files, one after the other, in a thread of its own.

    With ``hashed``, ``digests`` are the SHA-256 of what each file was given, so that nothing is read again for it.
    Leaving the context ends what `finish` was not called for.
    """

    def __init__(self, *, hashed: bool = False) -> None:
        self.digests: dict[Path, hashlib._Hash] = {}
        # Since the last `finish`, bytes of files that these were not given: what was there, and blank lines.
        self.others: dict[Path, int] = {}
        self._hashed = hashed
        self._waiting: SimpleQueue[_Range | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._error: Exception | None = None
        self._is_left = False

    def __enter__(self) -> "Copier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_left = True
        self._end_thread()

    def append(self, target: Path, before: bytes, source: Path, start: int, end: int) -> None:
        """Have ``before`` and then a range of ``source`` appended to ``target``, soon.

        Where ``before`` is not empty, blank lines may come after it.
        """
        self._waiting.put((target, before, source, start, end))
        if self._thread is None:
            self.others.clear()
            self._thread = Thread(target=self._copy)
            self._thread.start()

    def finish(self) -> None:
        """Wait until all is copied and the files are closed; raises what went wrong."""
        self._end_thread()
        if self._error:
            raise self._error

    def _end_thread(self) -> None:
        if self._thread is None:
            return
        self._waiting.put(None)
        if self._thread.is_alive():  # not where an interrupt came before it began
            self._thread.join()
        self._thread = None

    def _copy(self) -> None:
        opened: Path | None = None
        read: Path | None = None
        try:
            with ExitStack() as outputs, ExitStack() as sources:
                while (waiting := self._waiting.get()) is not None and not self._is_left:
                    target, before, source, start, end = waiting
                    if opened != target:
                        outputs.close()
                        # Not in append mode, for which Linux refuses to copy in the kernel.
                        output = os.open(target, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
                        outputs.callback(os.close, output)
                        self.others.setdefault(target, os.lseek(output, 0, os.SEEK_END))
                        opened = target
                    if read != source:
                        sources.close()
                        stream = sources.enter_context(source.open("rb", buffering=0)).fileno()
                        read = source
                    digest = self.digests.setdefault(target, hashlib.sha256()) if self._hashed else None
                    self.others[target] += _append(output, before, stream, start, end, digest)
        except Exception as error:  # raised again by finish()
            self._error = error


def _append(target: int, before: bytes, source: int, start: int, end: int, digest: "hashlib._Hash | None") -> int:
    """Append a range, and what comes before it; gives how many blank lines stand between the two."""
    blank_lines = 0
    if before and end - start >= _LARGE:
        # Whole pages are copied in two thirds of the time: blank lines bring rows to the same place in theirs.
        blank_lines = (start - os.lseek(target, 0, os.SEEK_END) - len(before)) % _PAGE
        before += b"\n" * blank_lines
    _write(target, before)
    copy_range(source, target, start, end)
    if digest:
        digest.update(before)
        _hash(digest, source, start, end)
    return blank_lines


def _hash(digest: "hashlib._Hash", source: int, start: int, end: int) -> None:
    """Hash a range as it lies in memory, no more of it than that; Python's lock is free meanwhile."""
    first = start - start % mmap.ALLOCATIONGRANULARITY
    with (
        mmap.mmap(source, end - first, access=mmap.ACCESS_READ, offset=first) as content,
        memoryview(content) as view,
        view[start - first :] as part,
    ):
        digest.update(part)
