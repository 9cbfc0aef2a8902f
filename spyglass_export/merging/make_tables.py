"""Tables and schemas that their database lacks: how they are made there, to fit what is there already."""

import re
from collections.abc import Sequence
from dataclasses import replace

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging.plan import Plan
from spyglass_export.merging.server import Server
from spyglass_export.merging.tables import NOT_SYSTEM, Column, Table
from spyglass_export.merging.values import INTEGERS, is_text

# What stands in, by the end of its name, for a collation of MySQL 8 that MySQL 5.7 and MariaDB do not know.
_INSTEAD = {
    "_0900_bin": ("utf8mb4_nopad_bin", "utf8mb4_bin"),
    "_0900_as_cs": ("utf8mb4_bin",),
    "_bin": ("utf8mb4_bin",),
    "": ("utf8mb4_unicode_520_ci", "utf8mb4_unicode_ci"),
}
# A column and the options of the table, as SHOW CREATE TABLE of MySQL 8 and newer writes them, each on its line.
_COLUMN = re.compile(
    r"^  `(?P<name>(?:[^`]|``)+)` (?P<type>\w+(?:\((?:[^')]|'(?:[^']|'')*')*\))?(?: unsigned)?(?: zerofill)?)"
    r"(?: CHARACTER SET \w+)?(?: COLLATE \w+)?",
    re.MULTILINE,
)
_OPTIONS = re.compile(r"^\) ENGINE=\w+(?:([^'\n]*? COLLATE=)(\w+))?", re.MULTILINE)
_OTHERS = {
    "view": ("table_schema, table_name", "views", "it has no rows of its own"),
    "trigger": ("trigger_schema, trigger_name", "triggers", "it would act on your rows"),
    "routine": ("routine_schema, routine_name", "routines", "it is code, not rows"),
    "event": ("event_schema, event_name", "events", "it would act on your rows"),
}


def others(paper: Server) -> list[str]:
    """What is in the paper beside tables, and why it stays."""
    return [
        f"{kind} {schema}.{name}: {reason}"
        for kind, (names, table, reason) in _OTHERS.items()
        for schema, name in paper.rows(
            f"SELECT {names} FROM information_schema.{table} WHERE {names.split(',')[0]} {NOT_SYSTEM} ORDER BY 1, 2"
        )
    ]


def plan_definitions(
    plan: Plan, ours: Sequence[Table], theirs: dict[TableId, Table], names: dict[TableId, TableId]
) -> None:
    """Put into the plan how missing tables are made, and into ``theirs`` what they will be like.

    ``ours`` come parents first, ``names`` are those of ours in their database. A column that refers to a parent has
    the parent's character set, collation and integer type, as MySQL wants it.
    """
    known = {name for (name,) in plan.target.rows("SELECT collation_name FROM information_schema.collations")}
    there = plan.target.rows("SELECT schema_name FROM information_schema.schemata")
    schemas = {plan.target.folded(name) for (name,) in there}
    for table in ours:
        name = names[table.id]
        if name in theirs:
            continue
        columns = {
            key: replace(column, collation=_known(column.collation, known)) for key, column in table.columns.items()
        }
        references = [replace(key, parent=names.get(key.parent, key.parent)) for key in table.references]
        for reference in references:
            parent = theirs.get(reference.parent)
            for own, other in zip(reference.columns, reference.parent_columns, strict=True):
                if parent and other in parent.columns:
                    columns[own] = _like(columns[own], parent.columns[other])
        theirs[name] = replace(table, id=name, columns=columns, references=references, engine="innodb")
        plan.definitions[name] = _definition(plan.paper, table, theirs[name], known)
        if name.schema not in schemas and name.schema not in plan.schemas:
            plan.schemas.append(name.schema)


def _like(column: Column, parent: Column) -> Column:
    if is_text(column) and is_text(parent):
        return replace(column, charset=parent.charset, collation=parent.collation)
    if column.kind in INTEGERS and parent.kind in INTEGERS:
        return replace(column, kind=parent.kind, type=parent.type)
    return column


def _known(collation: str | None, collations: set[str]) -> str | None:
    if collation is None or collation in collations:
        return collation
    candidates = next(names for end, names in _INSTEAD.items() if collation.endswith(end))
    return next((name for name in candidates if name in collations), candidates[-1])


def _definition(paper: Server, ours: Table, planned: Table, known: set[str]) -> str:
    def column(found: re.Match[str]) -> str:
        key = found["name"].replace("``", "`").lower()
        after = planned.columns[key]
        type_ = found["type"] if ours.columns[key].type == after.type else after.type
        collation = f" CHARACTER SET {after.charset} COLLATE {after.collation}" if after.charset else ""
        return f"  `{found['name']}` {type_}{collation}"

    def options(found: re.Match[str]) -> str:
        return f") ENGINE=InnoDB{found[1] or ''}{_known(found[2], known) or ''}"

    [(_, text)] = paper.rows(f"SHOW CREATE TABLE {ours.id.sql}")
    text = text.replace(f"CREATE TABLE {quoted(ours.id.name)}", f"CREATE TABLE {planned.id.sql}", 1)
    return _OPTIONS.sub(options, _COLUMN.sub(column, text))
