"""Append ranges of files to others, behind the back of who goes on reading."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

import xxhash

from spyglass_export.dump.reading.sources import export_changed

_CHUNK = 1 << 20  # fits a core's cache, where it is hashed
_BATCH = 1 << 23  # of small tables, bytes at a time: each file costs who goes on reading Python's lock, again and again


class Range(NamedTuple):
    """Bytes of a file, and what is written before and after them."""

    target: Path
    before: bytes
    source: Path
    start: int
    end: int
    after: bytes = b""


@dataclass(slots=True)
class Written:
    """What a file was given: bytes, with those that were there before, and the XXH3 of what came from here."""

    size: int
    digest: xxhash.xxh3_128 = field(default_factory=xxhash.xxh3_128)


class Copier(AbstractContextManager["Copier"]):
    """Appends to files, one after the other, in a thread of its own; ``files`` are all that were appended to.

    Leaving the context ends what `finish` was not called for.
    """

    def __init__(self) -> None:
        self.files: dict[Path, Written] = {}
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._sent: deque[Future[None]] = deque()
        self._batch: list[Range] = []
        self._room = 0  # bytes until the batch is sent: the first range is at once

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
        self._sent.append(self._thread.submit(self._copy, self._batch))
        self._batch, self._room = [], _BATCH

    def _copy(self, batch: list[Range]) -> None:
        for source, ranges in groupby(batch, lambda one: one.source):
            with source.open("rb", buffering=0) as stream:
                for one in ranges:
                    with one.target.open("ab") as output:
                        written = self.files.setdefault(one.target, Written(output.tell()))
                        for text in _texts(stream, one):
                            output.write(text)
                            written.digest.update(text)
                            written.size += len(text)


def _texts(stream: BinaryIO, one: Range) -> Iterator[bytes]:
    yield one.before
    at = stream.seek(one.start)
    while at < one.end:
        text = stream.read(min(_CHUNK, one.end - at))
        if not text:
            raise export_changed()
        at += len(text)
        yield text
    yield one.after
