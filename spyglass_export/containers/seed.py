"""What was counted when the database's image was built (see docs/database.md), and the running one held against it."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from spyglass_export import console
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError

_TABLES, _ORPHANS, _PROOF = "/opt/seed/tables.tsv", "/opt/seed/orphans.tsv", "/opt/seed/proof.tsv"
_DIGESTS = 'MYSQL_PWD="$MYSQL_ROOT_PASSWORD" exec digest_tables.sh /opt/seed/digests.sql --user=root'
# DataJoint makes them in each schema as soon as a notebook looks into it.
_DATAJOINTS_OWN = (".~log", ".~jobs")


class LoadedTable(NamedTuple):
    """A table as it was counted when the database's image was built: rows, and bytes on disk."""

    name: str
    rows: int
    bytes: int


class Orphans(NamedTuple):
    """Rows of a table whose foreign key refers to rows that the export left out of the parent table."""

    table: str
    key: str
    parent: str
    rows: int


class TableProof(NamedTuple):
    """A table's rows and their digest (see docs/dump.md), and how they were held against the source when loaded.

    ``state`` is `proven` by the source server's own digest, `counted` against the INSERTs, or `not provable`.
    """

    name: str
    rows: int
    digest: str
    state: str = ""


class Loaded(NamedTuple):
    """What a database was loaded with, and what was found then: orphans by table and foreign key."""

    tables: list[LoadedTable]
    proof: list[TableProof]
    orphans: list[Orphans]


def loaded(docker: Docker, image: str = "") -> Loaded:
    """Read all that was counted in one call, for each takes a good part of a second.

    It is read from the running database, or from its ``image``, which needs no container of the paper.
    """
    running = ("compose", "exec", "--no-TTY", "db", "tail")
    tail = ("run", "--rm", "--network", "none", "--entrypoint", "tail", image) if image else running
    printed = docker.ask(*tail, "--verbose", "--lines=+1", _TABLES, _PROOF, _ORPHANS)
    parts = re.split(r"^==> (/opt/seed/\w+\.tsv) <==$", printed, flags=re.MULTILINE)[1:]
    files = {name: listed.strip("\n") for name, listed in zip(parts[::2], parts[1::2], strict=True)}
    return Loaded(
        [LoadedTable(name, int(rows), int(size)) for name, rows, size in _lines(files[_TABLES])],
        _proofs(files[_PROOF]),
        [Orphans(table, key, parent, int(rows)) for table, key, parent, rows in _lines(files[_ORPHANS])],
    )


def _proofs(listed: str) -> list[TableProof]:
    return [TableProof(name, int(rows), *rest) for name, rows, *rest in _lines(listed)]


def _lines(listed: str) -> list[list[str]]:
    return [line.split("\t") for line in listed.splitlines()]


def say_states(tables: Sequence[TableProof]) -> str:
    """How many tables were proven, how many counted, in one line that begins with a number of tables."""
    counted = Counter(table.state for table in tables)
    meanings = {
        "proven": "hold row by row what the source had",
        "counted": "have as many rows as the dump inserts",
        "not provable": "were made by statements after the rows, and cannot be compared",
    }
    return "; ".join(f"{counted[state]} {meaning}" for state, meaning in meanings.items() if counted[state])


def differences(published: Sequence[TableProof], now: Sequence[TableProof]) -> list[list[str]]:
    """Each table that is not as it was published, with what differs; tables that were made since come last.

    Logs that DataJoint has made since are no difference.
    """
    there = {table.name: table for table in now}
    found = []
    for table in published:
        one = there.pop(table.name, None)
        if one is None:
            found.append([table.name, f"is gone, with {table.rows:,} rows"])
        elif one.rows > table.rows:
            found.append([table.name, f"{one.rows - table.rows:,} rows added to {table.rows:,}"])
        elif one.rows < table.rows:
            found.append([table.name, f"{table.rows - one.rows:,} of {table.rows:,} rows are gone"])
        elif one.digest != table.digest:
            found.append([table.name, f"rows changed, of {table.rows:,}"])
    made = [one for one in there.values() if not one.name.endswith(_DATAJOINTS_OWN)]
    return found + [[one.name, f"is new, with {one.rows:,} rows"] for one in made]


def verify(docker: Docker) -> None:
    """Print how the running database differs from what was published. Raises UserError where it does."""
    with console.status("reading every row"):
        now = _proofs(docker.ask("compose", "exec", "--no-TTY", "db", "bash", "-c", _DIGESTS))
    if docker.dry:
        return
    published = loaded(docker).proof
    console.say(f"published: {len(published)} tables; {say_states(published)}")
    found = differences(published, now)
    if not found:
        console.say(f"all {sum(table.rows for table in published):,} rows are as they were published")
        return
    console.show_table("tables that differ", ["table", "now"], found)
    hint = "where you wrote to the database yourself, nothing is wrong; a fresh volume has the published rows"
    raise UserError(f"{len(found)} tables differ from what was published; {len(published)} were published", hint)
