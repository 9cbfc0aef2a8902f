"""Take out what a merge inserted: those rows and no other, where nothing else depends on them."""

from collections import Counter
from pathlib import Path
from typing import Any

from spyglass_export import console
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError
from spyglass_export.merging import record, values
from spyglass_export.merging.insert import lock, remove_tables
from spyglass_export.merging.server import ForeignKey, Server, Table, foreign_keys, read_tables

_BATCH = 500
# Of each table, by what happens to them: numbers of rows.
_Found = Counter[tuple[str, str]]


def unmerge(target: Server, path: Path, *, yes: bool) -> None:
    """Take the rows of a record out, in one transaction, after asking; say what stays and why.

    Raises UserError where the record is of another server.
    """
    lock(target)
    head = record.read_head(path)
    if head["identity"] != target.identity:
        raise UserError(f"{path} is of a merge into {head['server']}", "name that server with --host and --port")
    places = [(place, TableId(piece["schema"], piece["table"])) for place, piece in record.read_rows(path)]
    tables = read_tables(target, {name.schema for _, name in places})
    parent = "referenced_table_schema = %s AND referenced_table_name = %s"
    children = {name: foreign_keys(target, parent, name.schema, name.name) for name in {name for _, name in places}}
    gone: _Found = Counter()
    target.run("START TRANSACTION")
    try:
        before = -1
        while gone.total() > before:  # again, as long as rows of a circle of tables set others free
            before, kept = gone.total(), Counter[tuple[str, str]]()
            for place, name in reversed(places):
                if name in tables:
                    _, piece = next(record.read_rows(path, place))
                    _remove_piece(target, tables[name], piece, children[name], gone, kept)
        for (table, what), rows in (gone + kept).items():
            console.say(f"{table}: {rows:,} rows {what}")
        if not yes and not console.confirm(f"remove {gone.total():,} rows from {target.name}?"):
            target.run("ROLLBACK")
            console.say("nothing was changed")
            return
        target.run("COMMIT")
    except BaseException:
        target.reopen()
        raise
    for stays in remove_tables(target, head["tables_made"], head["schemas_made"]):
        console.say(f"{stays} stays: it is not empty, or yours refer to it")
    console.say(f"removed {gone.total():,} rows")


def _remove_piece(
    target: Server,
    table: Table,
    piece: dict[str, Any],
    children: list[tuple[TableId, ForeignKey]],
    gone: _Found,
    kept: _Found,
) -> None:
    """Take out the rows of one piece that may go."""
    name, key = str(table.id), piece["key"]
    if lacking := ", ".join(column for column in piece["columns"] if column not in table.columns):
        raise UserError(f"{name} has no column {lacking} any more", "take the rows of the merge out by hand")
    canonical = (
        values.canonical(table.columns[column], f"t.{quoted(column)}", is_long=is_long)
        for column, is_long in zip(piece["columns"], piece["long"], strict=True)
    )
    columns = [table.columns[column] for column in key]
    own = " AND ".join(f"c.{quoted(column)} = t.{quoted(column)}" for column in key)
    used = [
        f"EXISTS(SELECT 1 FROM {child.sql} AS c WHERE {reference.joins('c', 't')}"
        + f" AND NOT ({own})" * (child == table.id)  # a row that refers to itself does not count
        + ")"
        for child, reference in children
    ]
    digest = f"LEFT(SHA2(CONCAT_WS(',', {', '.join(canonical)}), 256), 16)"
    literals = [values.literal(table.columns[column], f"t.{quoted(column)}") for column in key]
    facts = ", ".join([values.tuple_of(literals), digest, *used])
    for start in range(0, len(piece["rows"]), _BATCH):
        noted = dict(piece["rows"][start : start + _BATCH])
        going = []
        for row, there, *is_used in target.rows(
            f"SELECT {facts} FROM {table.id.sql} AS t WHERE {values.among(key, ','.join(noted), columns)}"
        ):
            users = [f"stay: used by {child}" for (child, _), one in zip(children, is_used, strict=True) if one]
            if there != noted.get(row):
                kept[name, "stay: changed since"] += 1
            elif users:
                kept[name, users[0]] += 1
            else:
                going.append(row)
        if going:
            where = values.among(key, ",".join(going), columns, alias="")
            gone[name, "go"] += target.run(f"DELETE FROM {table.id.sql} WHERE {where}")
