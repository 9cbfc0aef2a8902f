"""Append ranges of files to others, behind the back of who goes on reading."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

from spyglass_export.dump.reading.sources import export_changed

_CHUNK = 1 << 20
BATCH = 1 << 25  # bytes at a time: each turn costs who goes on reading Python's lock


class Range(NamedTuple):
    """Bytes of a file, and what is written before and after them."""

    target: Path
    before: bytes
    source: Path
    start: int
    end: int
    after: bytes = b""


class Copier(AbstractContextManager["Copier"]):
    """Appends to files, one after the other, in a thread of its own.

    Leaving the context ends what `finish` was not called for.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._sent: deque[Future[None]] = deque()
        self._batch: list[Range] = []
        self._room = BATCH

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def append(self, appended: Range) -> None:
        """Have a range appended to its target, soon; raises what went wrong earlier."""
        self._batch.append(appended)
        self._room -= appended.end - appended.start
        if self._room <= 0:
            self._send()

    def finish(self) -> None:
        """Wait until all is copied; raises what went wrong, such as `UserError` where a source has become shorter."""
        self._send()
        while self._sent:
            self._sent.popleft().result()

    def _send(self) -> None:
        while self._sent and self._sent[0].done():
            self._sent.popleft().result()
        self._sent.append(self._thread.submit(_copy, self._batch))
        self._batch, self._room = [], BATCH


def _copy(batch: list[Range]) -> None:
    for source, ranges in groupby(batch, lambda one: one.source):
        with source.open("rb", buffering=0) as stream:
            for target, parts in groupby(ranges, lambda one: one.target):
                # What is opened to be appended to takes no ranges.
                with target.open("r+b" if target.exists() else "wb") as output:
                    output.seek(0, os.SEEK_END)
                    for one in parts:
                        output.write(one.before)
                        _copy_range(stream, output, one.start, one.end)
                        output.write(one.after)


def _copy_range(source: BinaryIO, output: BinaryIO, at: int, end: int) -> None:
    if end - at > _CHUNK:  # for less, one write with what stands around it is faster
        output.flush()
        # Only Linux has it, and not between any two file systems; what else is wrong is met again below.
        with suppress(AttributeError, OSError):
            while at < end and (copied := os.copy_file_range(source.fileno(), output.fileno(), end - at, at)):
                at += copied
    source.seek(at)
    while at < end:
        text = source.read(min(_CHUNK, end - at))
        if not text:
            raise export_changed()
        output.write(text)
        at += len(text)
