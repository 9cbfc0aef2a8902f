"""What keeps single rows of the paper from going: values that do not fit, parents that are nowhere, taken keys."""

from collections.abc import Sequence

import pymysql
from pymysql.constants import ER

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging import values
from spyglass_export.merging.plan import MOST_LISTED, Comparison, Conflict, TablePlan
from spyglass_export.merging.rows import Part, Rows
from spyglass_export.merging.tables import ForeignKey, Table, Unique, read_tables

BATCH = 1000
EXTERNAL = "~external"


def shown_key(rows: Rows, literal: str) -> dict[str, str]:
    """A key as a person reads it, of the row with a key as SQL."""
    where = rows.where(Part(keys=(literal,)), whole=True)
    columns = [rows.ours.columns[name] for name in rows.key]
    shown = ", ".join(values.literal(column, f"t.{quoted(column.name)}") for column in columns)
    [row] = rows.paper.rows(f"SELECT {shown} FROM {rows.source(whole=True)} WHERE {where}")
    return {column.name: str(value) for column, value in zip(columns, row, strict=True)}


def find_misfits(table: TablePlan, rows: Rows) -> None:
    """Find rows with values that their columns do not hold."""
    conditions = [
        (condition, ours.name, reason, values.literal(ours, f"LEFT({rows.value(ours.name.lower())}, 60)"
         if values.is_text(ours) or ours.kind in values.BYTES else rows.value(ours.name.lower())))
        for ours, theirs in rows.columns
        for condition, reason in values.misfits(ours, theirs, rows.value(ours.name.lower()), rows.target.max_packet)
    ]  # fmt: skip
    if not conditions:
        return
    together = " OR ".join(f"({condition})" for condition, *_ in conditions)
    if not rows.paper.rows(f"SELECT 1 FROM {rows.source()} WHERE {together} LIMIT 1"):
        return
    for condition, column, reason, shown in conditions:
        found = rows.paper.rows(
            f"SELECT {rows.raw_key()}, LEFT({shown}, 80) FROM {rows.source()} WHERE {condition} LIMIT {MOST_LISTED}"
        )
        for literal, value in found:
            table.add(Conflict(shown_key(rows, literal), reason, column, str(value)))
    table.conflict += rows.leave_out_where(together)


def find_orphans(all_: Comparison, table: TablePlan, rows: Rows) -> None:
    """Find rows whose parent is neither in the paper nor in their database."""
    theirs_to_ours = {theirs: ours for ours, theirs in all_.names.items()}
    for reference in rows.ours.references if table.is_new else rows.theirs.references:
        target = all_.names.get(reference.parent, reference.parent) if table.is_new else reference.parent
        parent = all_.ours.get(reference.parent if table.is_new else theirs_to_ours.get(target, target))
        if set(reference.columns) <= set(rows.ours.columns):
            _find_orphans_of(all_, table, rows, reference, parent, target)


def _find_orphans_of(
    all_: Comparison, table: TablePlan, rows: Rows, reference: ForeignKey, parent: Table | None, target: TableId
) -> None:
    where, joined = " AND ".join(f"t.{quoted(name)} IS NOT NULL" for name in reference.columns), ""
    if parent and set(reference.parent_columns) <= set(parent.columns):
        joined = f" LEFT JOIN {parent.id.sql} AS p ON {reference.joins()}"
        where += f" AND p.{quoted(reference.parent_columns[0])} IS NULL"
    literals = f"CONVERT({rows.row_of(reference.columns)} USING utf8mb4) COLLATE utf8mb4_bin"
    found = rows.paper.rows(f"SELECT DISTINCT {literals} FROM {rows.source()}{joined} WHERE {where}")
    lost = [str(key) for (key,) in found]
    is_made = target in all_.plan.definitions
    is_there = (
        bool(lost) and not is_made and (target in all_.theirs or target in read_tables(all_.target, {target.schema}))
    )
    if is_there:
        lost = _not_in(rows, target, reference, lost)
    if not lost:
        return
    if not (is_there or is_made) or (parent is None and target.name.startswith(EXTERNAL)):
        table.unchecked.append(reference.name)
        table.notes.append(
            f"{', '.join(reference.columns)}: {len(lost):,} values refer to rows of {target} that the export left out;"
            " they go as they are"
        )
        return
    why = f"refers to a row of {target} that neither the paper nor your database has"
    for key in lost:
        table.add(Conflict({}, why, ", ".join(reference.columns), key))
    left = values.columns_sql(reference.columns, rows.ours)
    for start in range(0, len(lost), BATCH):
        table.conflict += rows.leave_out_where(f"{left} IN ({','.join(lost[start : start + BATCH])})")


def _not_in(rows: Rows, target: TableId, reference: ForeignKey, keys: Sequence[str]) -> list[str]:
    """Those of some keys that a table of theirs does not have."""
    columns = ", ".join(f"t.{quoted(name)}" for name in reference.parent_columns)
    left = f"({columns})" if len(reference.parent_columns) > 1 else columns
    select = f"SELECT COUNT(DISTINCT {columns}) FROM {target.sql} AS t WHERE {left} IN"
    lost: list[str] = []
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        there = rows.target.one(f"{select} ({','.join(batch)})")
        if there == 0:
            lost += batch
        elif there < len(batch):
            lost += [key for key in batch if not rows.target.one(f"{select} ({key})")]
    return lost


def find_collisions(table: TablePlan, rows: Rows) -> None:
    """Find rows of the paper that differ here and are one under their unique keys or collations."""
    our_keys = {unique.columns for unique in rows.ours.uniques}
    for unique in rows.theirs.uniques:
        pairs = {ours.name.lower(): (ours, theirs) for ours, theirs in rows.columns}
        if any(name not in pairs for name in unique.columns):
            continue
        changed = [name for name in unique.columns if pairs[name][0].collation != pairs[name][1].collation]
        if unique.columns in our_keys and not changed:
            continue
        parts = []
        for name in unique.columns:
            value, other = f"t.{quoted(pairs[name][0].name)}", pairs[name][1]
            parts.append(
                f"CONVERT({value} USING {other.charset}) COLLATE {other.collation}" if name in changed else value
            )
        try:
            given = " AND ".join(f"{part} IS NOT NULL" for part in parts)
            groups = rows.paper.rows(
                f"SELECT 1 FROM {rows.ours.id.sql} AS t WHERE {given}"
                f" GROUP BY {', '.join(parts)} HAVING COUNT(*) > 1 LIMIT 1"
            )
        except pymysql.OperationalError as error:
            if error.args[0] not in (ER.UNKNOWN_COLLATION, ER.UNKNOWN_CHARACTER_SET, ER.COLLATION_CHARSET_MISMATCH):
                raise
            continue  # the paper's server does not know it; theirs will tell when rows are inserted
        if groups:
            _leave_out_collisions(table, rows, unique, parts)


def _leave_out_collisions(table: TablePlan, rows: Rows, unique: Unique, parts: Sequence[str]) -> None:
    selected = ", ".join(f"{part} AS e{number}" for number, part in enumerate(parts))
    equal = " AND ".join(f"{part} = g.e{number}" for number, part in enumerate(parts))
    select = (
        f"FROM {rows.ours.id.sql} AS t JOIN (SELECT {selected} FROM {rows.ours.id.sql} AS t"
        f" GROUP BY {', '.join(parts)} HAVING COUNT(*) > 1) AS g ON {equal}"
    )
    for (literal,) in rows.paper.rows(f"SELECT {rows.raw_key()} {select} LIMIT {MOST_LISTED}"):
        table.add(Conflict(shown_key(rows, literal), "is the same as another row of the paper for your key"
                           f" {unique.name}", ", ".join(unique.columns)))  # fmt: skip
    table.conflict += rows.leave_out(f"SELECT {rows.key_columns()} {select}")


def find_taken(table: TablePlan, rows: Rows, unique: Unique) -> None:
    """Find new rows of which their database has a unique value already, in a row with another key."""
    ours = {column.name.lower() for column, _ in rows.columns}
    if not set(unique.columns) <= ours:
        return
    given = [f"t.{quoted(rows.ours.columns[name].name)} IS NOT NULL" for name in unique.columns]
    taken: list[str] = []

    def look(part: Part) -> None:
        for piece, number, keys in rows.lists(part, unique.columns, *given):
            if not rows.target.rows(
                f"SELECT 1 FROM {rows.theirs.id.sql} AS t WHERE {rows.in_theirs(unique.columns, keys)} LIMIT 1"
            ):
                continue
            if number > 1:
                for half in rows.halves(piece, rows.count(piece)):
                    look(half)
                continue
            [(raw,)] = rows.paper.rows(
                f"SELECT {rows.raw_key()} FROM {rows.source()} WHERE {' AND '.join([rows.where(piece), *given])}"
            )
            taken.append(str(raw))
            table.add(Conflict(shown_key(rows, raw), f"another row of yours has this for the unique key {unique.name}",
                               ", ".join(unique.columns), keys[:80], keys[:80]))  # fmt: skip

    for part in table.parts:
        look(part)
    leave_out_keys(table, rows, taken)


def leave_out_keys(table: TablePlan, rows: Rows, keys: Sequence[str]) -> None:
    """Count the rows with some keys as conflicts, and leave them out."""
    for start in range(0, len(keys), BATCH):
        part = Part(keys=tuple(keys[start : start + BATCH]))
        table.conflict += rows.leave_out_where(rows.where(part, whole=True))
