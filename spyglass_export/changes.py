"""What was changed on the way from the export to the containers, and why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One change made to what was exported; `copy_files` prints them counted, the manifest lists each.

    ``kind`` groups changes of one sort (``"character set"``), ``where`` names what was changed (a table, a
    column, a package), ``before`` and ``after`` quote it (``after`` is empty where it was taken out).
    """

    kind: str
    where: str
    before: str
    after: str
    reason: str
