"""What was counted when the database's image was built; see docs/database.md."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from spyglass_export.containers.docker import Docker

TABLES, ORPHANS, PROOF = "/opt/seed/tables.tsv", "/opt/seed/orphans.tsv", "/opt/seed/proof.tsv"
_PRINT = ("tail", "--verbose", "--lines=+1", TABLES, PROOF, ORPHANS)
_DIGESTS = 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" exec digest_tables.sh /opt/seed/digests.sql --user=root'


@dataclass(frozen=True)
class LoadedTable:
    """A table as it was counted when the database's image was built: rows, and bytes on disk."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Orphans:
    """Rows of a table whose foreign key refers to rows that the export left out of the parent table."""

    table: str
    key: str
    parent: str
    rows: int


@dataclass(frozen=True)
class TableProof:
    """A table's rows and their digest (see docs/dump.md), and how they were held against the source when loaded.

    ``state`` is `proven` by the source server's own digest, `counted` against the INSERTs, or `not provable`.
    """

    name: str
    rows: int
    digest: str
    state: str = ""


def proof(docker: Docker) -> list[TableProof]:
    """Give what the running database was loaded with."""
    return _proofs(docker.ask("compose", "exec", "--no-TTY", "db", "cat", PROOF))


@dataclass(frozen=True)
class Loaded:
    """What a database was loaded with, and what was found then: orphans by table and foreign key."""

    tables: list[LoadedTable]
    proof: list[TableProof]
    orphans: list[Orphans]


def loaded(docker: Docker) -> Loaded:
    """Read all that was counted in one call, for each takes a good part of a second; of the running database."""
    return _loaded(docker.ask("compose", "exec", "--no-TTY", "db", *_PRINT))


def loaded_of_image(docker: Docker, image: str) -> Loaded:
    """Read the same of a database's image; needs no container of the paper."""
    program, *arguments = _PRINT
    return _loaded(docker.ask("run", "--rm", "--network", "none", "--entrypoint", program, image, *arguments))


def _loaded(printed: str) -> Loaded:
    parts = re.split(r"^==> (/opt/seed/\w+\.tsv) <==$", printed, flags=re.MULTILINE)[1:]
    files = {name: listed.strip("\n") for name, listed in zip(parts[::2], parts[1::2], strict=True)}
    counted = (line.split("\t") for line in files[TABLES].splitlines())
    tables = [LoadedTable(name, int(rows), int(size)) for name, rows, size in counted]
    found = (line.split("\t") for line in files[ORPHANS].splitlines())
    orphans = [Orphans(table, key, parent, int(rows)) for table, key, parent, rows in found]
    return Loaded(tables, _proofs(files[PROOF]), orphans)


def digests_now(docker: Docker) -> list[TableProof]:
    """Read every row of the running database: what each table holds now."""
    return _proofs(docker.ask("compose", "exec", "--no-TTY", "db", "bash", "-c", _DIGESTS))


def _proofs(listed: str) -> list[TableProof]:
    lines = (line.split("\t") for line in listed.splitlines())
    return [TableProof(name, int(rows), *rest) for name, rows, *rest in lines]


def say_states(tables: Sequence[TableProof]) -> str:
    """How many tables were proven, how many counted, in one line that begins with a number of tables."""
    counted = Counter(table.state for table in tables)
    meanings = {
        "proven": "hold row by row what the source had",
        "counted": "have as many rows as the dump inserts",
        "not provable": "were made by statements after the rows, and cannot be compared",
    }
    return "; ".join(f"{counted[state]} {meaning}" for state, meaning in meanings.items() if counted[state])
