"""notebooks/executed/results.json: what came of each notebook when it ran last, and whether that is still so."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import inspect
from spyglass_export.files import hash_of_files, sha256, write_text
from spyglass_export.notebooks.files import EXECUTED, find, notebook_files
from spyglass_export.settings import Settings

FILE = "results.json"
# What a notebook shows, in the words of config/compare/, and what to call many of it.
KINDS = {"figure": "figures", "table": "tables", "text": "other outputs"}
NOT_TESTED = "these notebooks were not tested in these images"
NOTHING_TO_COMPARE = "no figure, table or text was saved in the notebooks, so there is nothing to compare with"


@dataclass(frozen=True)
class Result:
    """What came of a notebook when it ran last.

    ``status`` is `passed`, `failed`, `timed out` or `kernel died`; ``cell`` is the one that did not pass, counted
    over all cells from 1, and ``error`` its error's last line. ``wrote`` are the files that it wrote, kept in
    `executed/`; ``sha256`` is the notebook's as it was run, ``tested_in`` tells in which images (`fingerprint`), and
    ``ran`` when, in UTC. ``shown`` counts the verdicts on its cells, figures, tables and texts; ``differences`` says
    of each that differs where and why.
    """

    name: str
    status: str
    cell: int | None
    error: str
    seconds: float
    wrote: tuple[str, ...]
    sha256: str
    ran: str
    tested_in: str = ""
    shown: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    differences: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Result":
        """Make one of what JSON holds; raises TypeError or KeyError where it holds something else."""
        return cls(**{**found, **{name: tuple(found.get(name, ())) for name in ("wrote", "differences")}})

    @property
    def why(self) -> str:
        """Where the notebook stopped, and why, in one line; empty where it passed."""
        return f"cell {self.cell}: {self.error}" if self.cell else self.error

    def count(self, kind: str, verdict: str) -> int:
        """How many cells, figures, tables or texts got a verdict."""
        return self.shown.get(kind, {}).get(verdict, 0)


def read_results(settings: Settings) -> dict[str, Result]:
    """Give the last result of each notebook that ran, by name; none where no result can be read."""
    try:
        found = json.loads((settings.notebooks / EXECUTED / FILE).read_text(encoding="utf-8"))
        return {one["name"]: Result.of(one) for one in found}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def keep_result(settings: Settings, result: Result) -> None:
    """Write a result beside those of other notebooks, as long as these are still there."""
    results = read_results(settings) | {result.name: result}
    kept = [asdict(one) for name, one in sorted(results.items()) if (settings.notebooks / name).is_file()]
    folder = settings.notebooks / EXECUTED
    folder.mkdir(exist_ok=True)
    write_text(folder / FILE, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def read_figures(settings: Settings, name: str) -> list[dict[str, Any]]:
    """Give the figures of a notebook's last run: ``cell``, ``verdict``, ``why``; none where they cannot be read.

    ``pictures`` are URLs of data by what they show: one where it came out as it was saved, else `saved`, `new` and the
    `difference` as far as there are such; none of a figure that a page draws by a script.
    """
    file = settings.notebooks / EXECUTED / Path(name).with_suffix(".figures.json")
    try:
        return [one | {"pictures": _pictures(one)} for one in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _pictures(figure: Mapping[str, str]) -> dict[str, str]:
    changed = {"saved": "saved", "new": "new", "difference": "between"}
    sides = changed if figure["verdict"] == "differs" else {"": "new"}
    return {label: url for label, side in sides.items() if (url := figure.get(side, "")).startswith("data:image/")}


def sentence(results: Iterable[Result]) -> str:
    """Say in one line how much of what was saved came out the same: a reviewer may quote it."""
    shown = [result.shown for result in results]
    parts: list[str] = []
    for kind, many in KINDS.items():
        counts: Counter[str] = sum((Counter(one.get(kind)) for one in shown), Counter())
        same, close = counts["same"], counts["close"]
        if compared := same + close + counts["differs"]:
            are = "" if parts else " are the same"
            parts.append(f"{same} of {compared} {many}{are}{f' ({close} more close)' if close else ''}")
    return ", ".join(parts) or NOTHING_TO_COMPARE


def fingerprint(settings: Settings, docker: Docker, db: str, hub: str) -> str:
    """Tell what notebooks run in and read: the layers of two images, and the files beside the notebooks; 16 hex digits.

    The notebooks themselves, the hub's last layer, do not count. An image that is gone gives an empty text.
    """
    database, software = inspect(docker, db), inspect(docker, hub)
    if not database or not software:
        return ""
    beside = [file for file in notebook_files(settings.notebooks) if file.suffix != ".ipynb"]
    return hash_of_files(settings.notebooks, beside, *database.layers, *software.layers[:-1])


def last_test(settings: Settings, docker: Docker, db: str, hub: str) -> str:
    """Say what the last test said of the notebooks as they are now in these images, or that there was none."""
    tested_in = fingerprint(settings, docker, db, hub)
    results = [one for one in read_results(settings).values() if one.tested_in == tested_in != ""]
    names = find(settings) if results else []
    tested = [one for one in results if one.name in names and one.sha256 == sha256(settings.notebooks / one.name)]
    if not tested:
        return NOT_TESTED
    passed = sum(result.status == "passed" for result in tested)
    return (
        f"{passed} of {len(names)} notebooks passed when they were tested on {max(one.ran for one in tested)[:10]}"
        f"{f', {len(names) - len(tested)} were not run' if len(tested) < len(names) else ''}: {sentence(tested)}"
    )
