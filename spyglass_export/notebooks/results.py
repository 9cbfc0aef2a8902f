"""notebooks/executed/results.json: what came of each notebook when it ran last."""

import json
from dataclasses import asdict, dataclass

from spyglass_export.files import write_text
from spyglass_export.settings import Settings

EXECUTED = "executed"
FILE = "results.json"


@dataclass(frozen=True)
class Result:
    """What came of a notebook when it ran last.

    ``status`` is `passed`, `failed`, `timed out` or `kernel died`; ``cell`` is the one that did not pass, counted
    over all cells from 1, and ``error`` its error's last line. ``wrote`` are the files that it wrote, kept in
    `executed/`; ``sha256`` is the notebook's as it was run, and ``ran`` when, in UTC.
    """

    name: str
    status: str
    cell: int | None
    error: str
    seconds: float
    wrote: tuple[str, ...]
    sha256: str
    ran: str

    @property
    def why(self) -> str:
        """Where the notebook stopped, and why, in one line; empty where it passed."""
        return f"cell {self.cell}: {self.error}" if self.cell else self.error


def read_results(settings: Settings) -> dict[str, Result]:
    """Give the last result of each notebook that ran, by name; none where no result can be read."""
    try:
        found = json.loads((settings.notebooks / EXECUTED / FILE).read_text(encoding="utf-8"))
        return {one["name"]: Result(**{**one, "wrote": tuple(one["wrote"])}) for one in found}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def keep_result(settings: Settings, result: Result) -> None:
    """Write a result beside those of other notebooks, as long as these are still there."""
    results = read_results(settings) | {result.name: result}
    kept = [asdict(one) for name, one in sorted(results.items()) if (settings.notebooks / name).is_file()]
    folder = settings.notebooks / EXECUTED
    folder.mkdir(exist_ok=True)
    write_text(folder / FILE, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
