"""How many rows of a table meet a condition, and their digest, as a server itself works them out."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from spyglass_export.servers.connection import rows_of

Name = tuple[str, str]  # schema and table
STATEMENTS = Path("config") / "digests.sql"


@dataclass(frozen=True)
class Digest:
    """A number of rows and a sum over them: digests of rows that are apart add up to that of all of them."""

    rows: int = 0
    sum: int = 0

    def __add__(self, other: "Digest") -> "Digest":
        return Digest(self.rows + other.rows, self.sum + other.sum)


def digest_statements(connection: "pymysql.Connection[Any]", root: Path, tables: Iterable[Name]) -> dict[Name, str]:
    """The statement that digests each of these tables; a WHERE can be put after it. ``root`` is the project's folder.

    A table is missing where it is not there, or the account may not read it. The session is set to what the
    statements need.
    """
    settings, listing = (root / STATEMENTS).read_text(encoding="utf-8").rstrip().rstrip(";").split(";\n")
    rows_of(connection, settings)
    names, found = set(tables), {}
    for schema in sorted({schema for schema, _ in names}):
        # Old servers look into every file of the schemas that are not ruled out.
        own = listing.replace("WHERE ", f"WHERE c.table_schema = {connection.escape(schema)} AND ", 1)
        for (statement,) in rows_of(connection, own):
            found[schema, statement.rpartition("`.`")[2].removesuffix("`").replace("``", "`")] = statement
    return {name: found[name] for name in names & found.keys()}


def digest(connection: "pymysql.Connection[Any]", statement: str, where: str) -> Digest:
    """Digest the rows that meet a condition, all where it is empty."""
    [(_, rows, total)] = rows_of(connection, f"{statement} WHERE {where or 'TRUE'}")
    return Digest(int(rows), int(total))
