"""Tables and schemas that their database lacks: how they are made there, to fit what is there already."""

import re
from dataclasses import replace

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging.plan import Plan
from spyglass_export.merging.server import NOT_SYSTEM, Column, Server, Table
from spyglass_export.merging.values import INTEGERS, is_text

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


def plan_definitions(plan: Plan, ours: dict[TableId, Table], theirs: dict[TableId, Table]) -> None:
    """Put into the plan how missing tables are made, and into ``theirs`` what they will be like.

    ``ours`` come parents first, by their names there. A column that refers to a parent has the parent's character set,
    collation and integer type, as MySQL wants it.
    """
    known = {name for (name,) in plan.target.rows("SELECT collation_name FROM information_schema.collations")}
    there = plan.target.rows("SELECT schema_name, '' FROM information_schema.schemata")
    schemas = {plan.target.folded(TableId(*row)).schema for row in there}
    for name, table in ours.items():
        if name in theirs:
            continue
        columns = {key: replace(one, collation=_known(one.collation, known)) for key, one in table.columns.items()}
        for reference in table.references:
            parent = theirs.get(reference.parent)
            for own, other in zip(reference.columns, reference.parent_columns, strict=True):
                if parent and other in parent.columns:
                    columns[own] = _like(columns[own], parent.columns[other])
        theirs[name] = replace(table, id=name, columns=columns, engine="innodb")
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
    """The collation, or where it is one of MySQL 8 that MySQL 5.7 and MariaDB do not know, one that all know."""
    if collation is None or collation in collations:
        return collation
    if collation.endswith("_0900_bin") and (no_pad := "utf8mb4_nopad_bin") in collations:
        return no_pad  # spaces at the end count in both
    return "utf8mb4_bin" if collation.endswith(("_bin", "_as_cs")) else "utf8mb4_unicode_520_ci"


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
