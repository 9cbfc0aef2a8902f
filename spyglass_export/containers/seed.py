"""What was counted when the database's image was built; see docs/database.md."""

from dataclasses import dataclass

from spyglass_export.containers.docker import Docker

TABLES, ORPHANS = "/opt/seed/tables.tsv", "/opt/seed/orphans.tsv"


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
