"""Take out what a merge inserted: those rows and no other, where nothing else depends on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError
from spyglass_export.merging import record as records
from spyglass_export.merging import values
from spyglass_export.merging.insert import remove_tables
from spyglass_export.merging.server import Server
from spyglass_export.merging.tables import ForeignKey, Table, foreign_keys, read_tables, text_literal

BATCH = 500


@dataclass
class Removal:
    """What `unmerge` does or would do: rows by table, and those that stay, with the reason."""

    removed: dict[str, int] = field(default_factory=dict)
    kept: dict[str, dict[str, int]] = field(default_factory=dict)

    def keep(self, table: TableId, reason: str, rows: int) -> None:
        """Count rows that stay."""
        if rows:
            reasons = self.kept.setdefault(str(table), {})
            reasons[reason] = reasons.get(reason, 0) + rows


def unmerge(target: Server, path: Path, confirm: Callable[[Removal], bool]) -> tuple[Removal, list[str], bool]:
    """Take the rows of a record out, in one transaction that ``confirm`` is asked about before it is committed.

    Gives what was removed, the tables of the merge that are not empty and stay, and whether it was done.
    Raises UserError where the record is of another server.
    """
    head = records.read_head(path)
    if head["identity"] != target.identity:
        raise UserError(f"{path} is of a merge into {head['server']}", "name that server with --host and --port")
    offsets = _offsets(path)
    tables = read_tables(target, {name.schema for name, _ in offsets})
    removal = Removal()
    target.run("START TRANSACTION")
    try:
        progress = True
        while progress:  # again, as long as rows of a circle of tables set others free
            progress, removal.kept = False, {}
            for name, places in reversed(offsets):
                if name not in tables:
                    continue
                children = foreign_keys(
                    target,
                    f"referenced_table_schema = {text_literal(name.schema)}"
                    f" AND referenced_table_name = {text_literal(name.name)}",
                )
                for place in reversed(places):
                    with path.open("rb") as file:
                        file.seek(place)
                        piece = records.parse(file.readline()) or {"rows": []}
                    progress = _remove_piece(target, tables[name], piece, children, removal) or progress
        if not confirm(removal):
            target.run("ROLLBACK")
            return removal, [], False
        target.run("COMMIT")
    except BaseException:
        target.reopen()
        raise
    kept = remove_tables(target, head["tables_made"], head["schemas_made"])
    return removal, kept, True


def _offsets(path: Path) -> list[tuple[TableId, list[int]]]:
    """Where in a record the pieces of each table are, tables in the order in which they were inserted."""
    found: dict[TableId, list[int]] = {}
    for place, piece in records.read_rows(path):
        found.setdefault(TableId(piece["schema"], piece["table"]), []).append(place)
    return list(found.items())


def _remove_piece(
    target: Server,
    table: Table,
    piece: dict[str, Any],
    children: Sequence[tuple[TableId, ForeignKey]],
    removal: Removal,
) -> bool:
    """Take out the rows of one piece that may go; whether any did."""
    names = piece["key"]
    left = values.columns_sql(names, table, alias="")
    shown = str(table.id)
    is_any = False
    for start in range(0, len(piece["rows"]), BATCH):
        digests = {values.key_literal(table, names, row): row[-1] for row in piece["rows"][start : start + BATCH]}
        there = _there(target, table, piece, list(digests))
        changed = [key for key, digest in there.items() if digest != digests.get(key)]
        removal.keep(table.id, "changed since", len(changed))
        going = [key for key in there if key not in set(changed)]
        for child, reference in children:
            if not going:
                break
            used = _used(target, table, names, going, child, reference)
            removal.keep(table.id, f"used by {child}", len(used))
            going = [key for key in going if key not in used]
        if going:
            is_any = True
            removed = target.run(f"DELETE FROM {table.id.sql} WHERE {left} IN ({','.join(going)})")
            removal.removed[shown] = removal.removed.get(shown, 0) + removed
    return is_any


def _there(target: Server, table: Table, piece: dict[str, Any], keys: Sequence[str]) -> dict[str, str]:
    """Digests of rows that are still there, by key."""
    columns = [table.columns.get(name.lower()) for name in piece["columns"]]
    if None in columns:
        raise UserError(f"columns of {table.id} were renamed or removed since the merge", "take its rows out by hand")
    digest = values.row_digest(
        [
            values.canonical(column, f"t.{quoted(column.name)}", is_long=is_long)
            for column, is_long in zip(columns, piece["long"], strict=True)
            if column
        ]
    )
    rows = target.rows(
        f"SELECT {values.row_of(piece['key'], table)}, LEFT({digest}, 16) FROM {table.id.sql} AS t"
        f" WHERE {values.columns_sql(piece['key'], table)} IN ({','.join(keys)})"
    )
    return {str(key): digest for key, digest in rows}


def _used(
    target: Server, table: Table, names: Sequence[str], keys: Sequence[str], child: TableId, reference: ForeignKey
) -> set[str]:
    """Those of some keys that rows of a child refer to; a row that refers to itself does not count."""
    joined = reference.joins("c", "t")
    if child == table.id:
        own = (quoted(table.columns[name].name) for name in names)
        joined += f" AND NOT ({' AND '.join(f'c.{column} = t.{column}' for column in own)})"
    try:
        rows = target.rows(
            f"SELECT DISTINCT {values.row_of(names, table)} FROM {table.id.sql} AS t JOIN {child.sql} AS c ON {joined}"
            f" WHERE {values.columns_sql(names, table)} IN ({','.join(keys)})"
        )
    except pymysql.OperationalError as error:
        raise UserError(
            f"you may not look into {child}, which refers to {table.id}: {error.args[-1]}",
            "ask the administrator for SELECT on it",
        ) from error
    return {str(found) for (found,) in rows}
