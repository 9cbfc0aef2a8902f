"""merge.json: what a merge made and inserted, by key; written while it goes on, so that a kill leaves its traces.

A line of JSON for each piece of a table, so that a file of any size can be read line by line.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.errors import UserError
from spyglass_export.merging.plan import Plan, TablePlan
from spyglass_export.merging.values import is_long

FILE = "merge.json"
UNFINISHED = "merge.json.unfinished"
FORMAT = 2
_END = "]}\n"
_VALUE = r"(?:'(?:[^'\\]|\\.|'')*'|x'[0-9A-Fa-f]*'|-?[0-9.]+)"
# A key is written as SQL has it, and nothing else may stand there.
_KEY = re.compile(rf"{_VALUE}|\({_VALUE}(?:,{_VALUE})+\)", re.DOTALL)


class Record:
    """A merge.json while it is written, under another name until the merge is done."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.path = folder / UNFINISHED
        self._separator = ""
        head = {
            "format": FORMAT,
            "source": plan.paper.name,
            "server": plan.target.name,
            "identity": plan.target.identity,
            "schemas_made": plan.schemas,
            "tables_made": [[table.schema, table.name] for table in plan.definitions],
            "renumbered": {str(table.theirs.id): table.renumbered for table in plan.tables if table.renumbered},
        }
        self._file = self.path.open("x", encoding="utf-8", newline="\n")
        self._write(json.dumps(head, ensure_ascii=False)[:-1] + ', "inserted": [\n')

    def add(self, table: TablePlan, keys: str) -> None:
        """Note the keys of rows that were inserted."""
        head = {
            "schema": table.theirs.id.schema,
            "table": table.theirs.id.name,
            "key": table.key,
            "columns": list(table.columns),
            "long": [any(map(is_long, pair)) for pair in table.columns.values()],
        }
        self._file.write(f'{self._separator}{json.dumps(head, ensure_ascii=False)[:-1]}, "rows": [{keys}]}}\n')
        self._separator = ","

    def close(self) -> None:
        """All is written; what is left to do is to commit."""
        self._write(_END)
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Nothing of the merge is left, so neither is this."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def finish(unfinished: Path) -> Path:
    """Give a finished record its name; what has that name already stays."""
    number, final = 1, unfinished.with_name(FILE)
    while final.exists():
        number += 1
        final = unfinished.with_name(f"merge-{number}.json")
    return unfinished.rename(final)


def is_whole(path: Path) -> bool:
    """Whether a record was written to its end, which is just before the commit."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 16), os.SEEK_END)
        return file.read().endswith(f"\n{_END}".encode())  # lines of rows end alike


def read_head(path: Path) -> dict[str, Any]:
    """What a record says before its rows. Raises UserError where it is none."""
    try:
        with path.open(encoding="utf-8") as file:
            head: dict[str, Any] = json.loads(file.readline().rstrip("\n") + "]}")
        if head["format"] != FORMAT:
            hint = "take its rows out by that version's `invoke unmerge`; if broken off, run its `invoke merge` first"
            raise UserError(f"{path} was written by another version of this project", hint)
        head["tables_made"] = [TableId(*name) for name in head["tables_made"]]
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}", "name the file that `invoke merge` wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not what `invoke merge` writes", "name the file as it was written") from error
    return head


def read_rows(path: Path, place: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """The pieces of a record from a place on, as `Record.add` noted them, each with its place; stops where it was cut.

    Raises UserError where a key is none.
    """
    with path.open("rb") as file:
        file.seek(place)
        if not place:
            file.readline()
        while True:
            place, line = file.tell(), file.readline()
            if not line.endswith(b"\n") or line == _END.encode():
                return
            piece = json.loads(line.lstrip(b","))
            for key, _ in piece["rows"]:
                if not _KEY.fullmatch(key):
                    what = f"{path} is not what `invoke merge` writes: no key looks like {key}"
                    raise UserError(what, "name the file as it was written")
            yield place, piece
