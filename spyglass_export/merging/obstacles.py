"""What keeps single rows of the paper from going: values that do not fit, lost parents, keys that are one."""

from collections.abc import Iterator

import pymysql
from pymysql.constants import ER

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging import values
from spyglass_export.merging.plan import EXTERNAL, MOST_LISTED, TablePlan
from spyglass_export.merging.server import ForeignKey, Table

_UNKNOWN = (ER.UNKNOWN_COLLATION, ER.UNKNOWN_CHARACTER_SET, ER.COLLATION_CHARSET_MISMATCH)


def find_misfits(table: TablePlan) -> None:
    """Mark rows with values that their columns do not hold: they do not come out of such a column as they go in."""
    for name, (ours, theirs) in table.columns.items():
        value = table.value(name)
        if ours.is_nullable and not theirs.is_nullable:
            _refuse(table, name, f"{value} IS NULL", "is empty (NULL), which your database does not allow")
        if ours.kind in values.HUGE:
            longest = table.target.max_packet - 4096
            condition = f"OCTET_LENGTH({values.in_bytes(ours, value)}) > {longest}"
            _refuse(table, name, condition, "is longer than your server's max_allowed_packet")
        is_other = (declared := values.declared(theirs)) != values.declared(ours)
        if is_other or name in table.maps:
            where = "TRUE" if is_other else f"{value} <> t.{quoted(name)}"
            stored = table.keep(f"v {declared}")
            table.fill(stored, "v", value, table.waiting(where))
            is_long = values.is_long(ours)
            pair = values.canonical(ours, value, is_long=is_long), values.canonical(theirs, "s.v", is_long=is_long)
            condition, joins = f"{pair[0]} <> {pair[1]}", f" JOIN {stored} AS s ON {table.on_key('s')}"
            why = f"does not fit into your {declared}" + "; make the column wider" * (name in table.maps)
            _refuse(table, name, condition, why, joins)


def _refuse(table: TablePlan, name: str, where: str, why: str, joins: str = "") -> None:
    ours, _ = table.columns[name]
    is_cut = values.is_text(ours) or ours.kind in values.BYTES
    shown = values.literal(ours, f"LEFT({table.value(name)}, 60)" if is_cut else table.value(name))
    found = table.ask(f"{table.own_key()}, {shown}", where, joins=joins, tail=f" LIMIT {MOST_LISTED}")
    for key, value in found:
        table.add(key, why, ours.name, value)
    if found:
        table.mark("conflict", where, joins)


def find_orphans(table: TablePlan, in_paper: dict[TableId, Table], theirs: dict[TableId, Table]) -> None:
    """Mark rows whose parent is neither in the paper nor in their database; tables go by their names there."""
    there = "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
    for reference in table.theirs.references:
        name, columns = reference.parent, ", ".join(reference.columns)
        where, joins = " AND ".join(f"t.{quoted(column)} IS NOT NULL" for column in reference.columns), ""
        if (parent := in_paper.get(name)) and set(reference.parent_columns) <= set(parent.columns):
            joins = f" LEFT JOIN {parent.id.sql} AS p ON {reference.joins()}"
            where += f" AND p.{quoted(reference.parent_columns[0])} IS NULL"
        known = set(reference.columns) <= set(table.ours.columns)
        [(lost,)] = table.ask("COUNT(*)", where, joins=joins) if known else [(0,)]
        is_there = lost > 0 and bool(table.target.rows(there, name.schema, name.name))
        pieces = _lost(table, reference, where, joins, is_there=is_there) if lost else iter(())
        is_external = parent is None and name.name.startswith(EXTERNAL)
        if lost and (not (is_there or name in theirs) or (is_external and next(pieces, None))):
            table.unchecked.append(reference.name)
            told = f"{lost:,} rows refer to rows of {name} that the export left out; they go as they are"
            table.notes.append(f"{columns}: {told}")
            continue
        for piece, keys in pieces:
            for key in keys:
                table.add("", f"refers to a row of {name} that neither the paper nor your database has", columns, key)
            ours = map(table.ours.columns.__getitem__, reference.columns)
            table.mark("conflict", f"{piece} AND {values.among(reference.columns, ','.join(keys), ours)}")


def _lost(
    table: TablePlan, reference: ForeignKey, where: str, joins: str, *, is_there: bool
) -> Iterator[tuple[str, list[str]]]:
    """What refers to no row of the paper nor of theirs: conditions of pieces, each with the values."""
    value = f"CONVERT({table.row_of(reference.columns)} USING utf8mb4) COLLATE utf8mb4_bin"
    for piece in table.pieces(value):
        keys = [key for (key,) in table.ask(f"DISTINCT {value}", f"{where} AND {piece.where}", joins=joins)]
        if lost := _not_in(table, reference, keys) if is_there else keys:
            yield piece.where, lost


def _not_in(table: TablePlan, reference: ForeignKey, keys: list[str]) -> list[str]:
    """Those of some values that a table of theirs does not have."""
    columns = ", ".join(f"t.{quoted(name)}" for name in reference.parent_columns)
    theirs = map(table.theirs.columns.__getitem__, reference.columns)
    there = keys and table.target.one(
        f"SELECT COUNT(DISTINCT {columns}) FROM {reference.parent.sql} AS t"
        f" WHERE {values.among(reference.parent_columns, ','.join(keys), theirs)}"
    )
    if not there or there >= len(keys):
        return [] if there else keys
    half = len(keys) // 2
    return _not_in(table, reference, keys[:half]) + _not_in(table, reference, keys[half:])


def find_collisions(table: TablePlan) -> None:
    """Mark rows of the paper that differ here and are one under their unique keys or collations."""
    for unique, columns in table.theirs.uniques.items():
        pairs = [table.columns[name] for name in columns if name in table.columns]
        is_as_ours = columns in table.ours.uniques.values() and all(
            one.collation == two.collation for one, two in pairs
        )
        if len(pairs) < len(columns) or is_as_ours:
            continue
        parts = [
            f"CONVERT(t.{quoted(ours.name)} USING {theirs.charset}) COLLATE {theirs.collation}"
            if ours.collation != theirs.collation
            else f"t.{quoted(ours.name)}"
            for ours, theirs in pairs
        ]
        selected = ", ".join(f"{part} AS e{number}" for number, part in enumerate(parts))
        equal = " AND ".join(f"{part} = g.e{number}" for number, part in enumerate(parts))
        joins = (
            f" JOIN (SELECT {selected} FROM {table.ours.id.sql} AS t GROUP BY {', '.join(parts)} HAVING COUNT(*) > 1)"
            f" AS g ON {equal}"
        )
        try:
            found = table.ask(table.own_key(), joins=joins, tail=f" LIMIT {MOST_LISTED}")
        except pymysql.OperationalError as error:
            if error.args[0] not in _UNKNOWN:
                raise
            continue  # the paper's server does not know it; theirs will tell when rows are inserted
        for (key,) in found:
            table.add(key, f"is the same as another row of the paper for your key {unique}", ", ".join(columns))
        if found:
            table.mark("conflict", joins=joins)
