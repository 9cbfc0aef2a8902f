"""What was counted when the database's image was built; see docs/database.md."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from spyglass_export.containers.docker import Docker

TABLES, ORPHANS, PROOF = "/opt/seed/tables.tsv", "/opt/seed/orphans.tsv", "/opt/seed/proof.tsv"
_DIGESTS = 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" exec digest_tables.sh /opt/seed/digests.sql --user=root'


@dataclass(frozen=True)
class LoadedTable:
    """A table as it was counted when the database's image was built: rows, and bytes on disk."""

    name: str
    rows: int
    bytes: int


def loaded_tables(docker: Docker) -> list[LoadedTable]:
    """Give every table that the running database was loaded with."""
    return _tables(docker.ask("compose", "exec", "--no-TTY", "db", "cat", TABLES))


def tables_of_image(docker: Docker, image: str) -> list[LoadedTable]:
    """Give every table that a database's image was built with; needs no container of the paper."""
    return _tables(docker.ask("run", "--rm", "--network", "none", "--entrypoint", "cat", image, TABLES))


def _tables(listed: str) -> list[LoadedTable]:
    counted = (line.split("\t") for line in listed.splitlines())
    return [LoadedTable(name, int(rows), int(size)) for name, rows, size in counted]


@dataclass(frozen=True)
class Orphans:
    """Rows of a table whose foreign key refers to rows that the export left out of the parent table."""

    table: str
    key: str
    parent: str
    rows: int


def orphans(docker: Docker) -> list[Orphans]:
    """Give the orphans that were found when the running database was loaded, by table and foreign key."""
    listed = docker.ask("compose", "exec", "--no-TTY", "db", "cat", ORPHANS)
    counted = (line.split("\t") for line in listed.splitlines())
    return [Orphans(table, key, parent, int(rows)) for table, key, parent, rows in counted]


@dataclass(frozen=True)
class TableProof:
    """A table's rows and their digest (see docs/dump.md), and how they were held against the source when loaded.

    ``state`` is `proven` by the source server's own digest, `counted` against the INSERTs, or `not provable`.
    """

    name: str
    rows: int
    digest: str
    state: str = ""


def proof_of_image(docker: Docker, image: str) -> list[TableProof]:
    """Give what a database's image was built with; needs no container of the paper."""
    return _proofs(docker.ask("run", "--rm", "--network", "none", "--entrypoint", "cat", image, PROOF))


def proof(docker: Docker) -> list[TableProof]:
    """Give what the running database was loaded with."""
    return _proofs(docker.ask("compose", "exec", "--no-TTY", "db", "cat", PROOF))


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
