"""The tables of export_data/sql/schema.sql, in the words of DataJoint."""

import re
from dataclasses import dataclass
from pathlib import Path

from spyglass_export.dump.reading.statements import Kind, read_statements
from spyglass_export.dump.sql.create_table import NotUnderstoodError, parse_table
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import Tokens, split_name

# How DataJoint names a table says what it is for, and a part's name begins with its master's;
# https://docs.datajoint.com/core/datajoint-python/latest/design/tables/tiers/
_WORDS = r"[a-z0-9]+(?:_[a-z0-9]+)*"
_NAME = re.compile(rf"(?P<prefix>#|__|_|)(?P<master>{_WORDS})(?:__(?P<part>{_WORDS}))?")
_TIERS = {"": "manual", "#": "lookup", "_": "imported", "__": "computed"}
_USE = re.compile(rb"USE\s+(.+?)\s*;", re.S)


@dataclass(frozen=True)
class Reference:
    """A foreign key: the parent, the columns that refer to it, and whether all of them are in the primary key."""

    parent: TableId
    columns: tuple[str, ...]
    is_primary: bool


@dataclass(frozen=True)
class Table:
    """A table and its foreign keys; ``tier`` is DataJoint's, and ``master`` a part table's."""

    id: TableId
    tier: str
    master: TableId | None
    references: tuple[Reference, ...]


def class_name(name: str) -> str:
    """The name that a table has in Python, such as `Session.Experimenter`; unchanged where DataJoint made none."""
    match = _NAME.fullmatch(name)
    parts = (match["master"], match["part"]) if match else ()
    return ".".join("".join(map(str.capitalize, part.split("_"))) for part in parts if part) or name


def read_tables(schema_sql: Path) -> list[Table]:
    """Read every `CREATE TABLE` of a schema file that `copy_files` wrote; raise OSError where it cannot be read."""
    schema, found = "", []
    with schema_sql.open("rb") as stream:
        for statement in read_statements(stream):
            if statement.kind is not Kind.OTHER:
                continue
            if use := _USE.fullmatch(statement.text.strip()):
                schema = split_name(use[1].decode("utf-8", "surrogateescape"))[1]
                continue
            try:
                definition = parse_table(Tokens(statement.text.decode("utf-8", "surrogateescape")))
            except NotUnderstoodError:
                continue  # anything but a table
            primary = {
                part.name.lower() for index in definition.indexes if index.kind == "PRIMARY" for part in index.parts
            }
            table = TableId(definition.schema or schema, definition.name)
            references = []
            for key in definition.foreign_keys:
                parent = TableId(key.parent_schema or table.schema, key.parent)
                is_primary = primary.issuperset(map(str.lower, key.columns))
                references.append(Reference(parent, tuple(key.columns), is_primary))
            found.append(Table(table, *_tier(table), tuple(references)))
    return found


def _tier(table: TableId) -> tuple[str, TableId | None]:
    match = _NAME.fullmatch(table.name)
    if match and match["part"]:
        return "part", TableId(table.schema, match["prefix"] + match["master"])
    return _TIERS[match["prefix"] if match else ""], None
