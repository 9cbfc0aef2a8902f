"""proof.json: what the source server itself said of the rows that were dumped, to be held against what is loaded."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from spyglass_export.errors import UserError
from spyglass_export.export.folder import PROOF_FILE
from spyglass_export.files import write_text

FORMAT = 1


@dataclass(frozen=True)
class ProvenTable:
    """Rows of a table, or a part of them, and their digest, as `config/digests.sql` makes it: those of parts add up."""

    rows: int
    digest: str

    def __add__(self, other: "ProvenTable") -> "ProvenTable":
        return ProvenTable(self.rows + other.rows, str(int(self.digest) + int(other.digest)))


@dataclass(frozen=True)
class Proof:
    """``server`` is the version that was read, ``dumps`` are SHA-256 by file name, ``tables`` by `schema.table`."""

    server: str
    dumps: dict[str, str]
    tables: dict[str, ProvenTable]

    def write(self, folder: Path) -> None:
        """Write proof.json, whole or not at all."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)
        write_text(folder / PROOF_FILE, text + "\n")


def read_proof(paper_dir: Path) -> Proof | None:
    """The proof of an export, if it has one. Raises UserError where it cannot be read."""
    file = paper_dir / PROOF_FILE
    if not file.is_file():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError
        tables = {name: ProvenTable(**one) for name, one in values["tables"].items()}
        return Proof(values["server"], dict(values["dumps"]), tables)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "dump again: `invoke dump`; or remove it, and rows are counted only"
        raise UserError(f"{file} is not what `invoke dump` wrote", hint) from error
