"""Append ranges of files to others, behind the back of who goes on reading."""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from spyglass_export.dump.reading.sources import export_changed

_CHUNK = 1 << 20  # fits a core's cache, where it is hashed
_BATCH = 1 << 23  # of small tables, bytes at a time: each file costs who goes on reading Python's lock, again and again
_Range = tuple[Path, bytes, Path, int, int, bytes]  # target, what comes before, source, start, end, what comes after


@dataclass(slots=True)
class Written:
    """What a file was given: bytes, with those that were there before, and the SHA-256 of what came from here."""

    size: int
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class Copier:
    """Appends to files, one after the other, in a thread of its own; ``files`` are all that were appended to.

    Leaving the context ends what `finish` was not called for.
    """

    def __init__(self) -> None:
        self.files: dict[Path, Written] = {}
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[Future[None]] = deque()
        self._source: tuple[Path, BinaryIO] | None = None
        self._has_failed = False
        self._batch: list[_Range] = []
        self._left = 0  # bytes until the batch is copied: the first are at once

    def __enter__(self) -> "Copier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._source:
            self._source[1].close()

    def append(self, target: Path, before: bytes, source: Path, start: int, end: int, after: bytes = b"") -> None:
        """Have a range of ``source`` appended to ``target``, soon; raises what went wrong earlier."""
        self._batch.append((target, before, source, start, end, after))
        self._left -= end - start
        if self._left <= 0:
            self._send()

    def finish(self) -> None:
        """Wait until all is copied; raises what went wrong, such as `UserError` where a source has become shorter."""
        self._send()
        while self._waiting:
            self._waiting.popleft().result()

    def _send(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._append_all, self._batch))
        self._batch, self._left = [], _BATCH

    def _append_all(self, batch: list[_Range]) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        for target, before, source, start, end, after in batch:
            with target.open("ab") as output:
                written = self.files.setdefault(target, Written(output.tell()))
                for text in chain((before,), self._read(source, start, end), (after,)):
                    output.write(text)
                    written.digest.update(text)
                    written.size += len(text)
        self._has_failed = False

    def _read(self, source: Path, start: int, end: int) -> Iterator[bytes]:
        if self._source is None or self._source[0] != source:
            if self._source:
                self._source[1].close()
            self._source = source, source.open("rb", buffering=0)
        stream = self._source[1]
        stream.seek(start)
        while start < end:
            text = stream.read(min(_CHUNK, end - start))
            if not text:
                raise export_changed()
            start += len(text)
            yield text
