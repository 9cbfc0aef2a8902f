"""What the tests of whole dumps look at."""

from collections.abc import Callable
from dataclasses import dataclass

from spyglass_export.changes import Change
from spyglass_export.dump.clean import CleanDump


@dataclass
class Cleaned:
    """What one dump became: the texts of its files, rows by table."""

    schema: str
    rows: dict[str, bytes]
    after: str
    result: CleanDump

    def changes(self, kind: str) -> list[Change]:
        return [change for change in self.result.changes if change.kind == kind]


Clean = Callable[..., Cleaned]


HEADER = "-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)\n"
FOOTER = "-- Dump completed on 2026-01-01  0:00:00\n"


def framed(dump: str | bytes) -> bytes:
    """The dump as mysqldump ends and begins it, where it is not written so already."""
    text = dump if isinstance(dump, bytes) else dump.encode()
    return text if b"-- MySQL dump" in text or not text else HEADER.encode() + text + FOOTER.encode()
