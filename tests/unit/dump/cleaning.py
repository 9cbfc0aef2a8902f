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
