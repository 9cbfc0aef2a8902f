"""Tables and schemas that their database lacks: how they are made there, to fit what is there already."""

from dataclasses import replace

from spyglass_export.dump.sql.create_table import parse_table
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import Tokens
from spyglass_export.merging.plan import Comparison
from spyglass_export.merging.server import SYSTEM_SCHEMAS, Server
from spyglass_export.merging.tables import Column, Table, in_order, text_literal
from spyglass_export.merging.values import INTEGERS, is_text

# What stands in, by the end of its name, for a collation of MySQL 8 that MySQL 5.7 and MariaDB do not know.
_INSTEAD = {
    "_0900_bin": ("utf8mb4_nopad_bin", "utf8mb4_bin"),
    "_0900_as_cs": ("utf8mb4_bin",),
    "_bin": ("utf8mb4_bin",),
    "": ("utf8mb4_unicode_520_ci", "utf8mb4_unicode_ci"),
}


def others(paper: Server) -> list[str]:
    """What is in the paper beside tables, and why it stays."""
    system = ", ".join(map(text_literal, SYSTEM_SCHEMAS))
    kinds = {
        "view": (
            "table_schema, table_name FROM information_schema.views WHERE table_schema",
            "it has no rows of its own",
        ),
        "trigger": (
            "trigger_schema, trigger_name FROM information_schema.triggers WHERE trigger_schema",
            "it would act on your rows",
        ),
        "routine": (
            "routine_schema, routine_name FROM information_schema.routines WHERE routine_schema",
            "it is code, not rows",
        ),
        "event": (
            "event_schema, event_name FROM information_schema.events WHERE event_schema",
            "it would act on your rows",
        ),
    }
    return [
        f"{kind} {schema}.{name}: {reason}"
        for kind, (what, reason) in kinds.items()
        for schema, name in paper.rows(f"SELECT {what} NOT IN ({system}) ORDER BY 1, 2")
    ]


def plan_definitions(all_: Comparison) -> None:
    """Put into the plan how missing tables are made, and into ``theirs`` what they will be like.

    A column that refers to a parent has the parent's character set, collation and integer type, as MySQL wants it.
    """
    target, plan, ours, theirs, names = all_.target, all_.plan, all_.ours, all_.theirs, all_.names
    collations = {name for (name,) in target.rows("SELECT collation_name FROM information_schema.collations")}
    schemas = {target.folded(name) for (name,) in target.rows("SELECT schema_name FROM information_schema.schemata")}
    for name in (name for group in in_order(ours) for name in group if names[name] not in theirs):
        table = ours[name]
        columns = {
            key: replace(column, collation=_known(column.collation, collations))
            for key, column in table.columns.items()
        }
        for reference in table.references:
            parent = theirs.get(names.get(reference.parent, reference.parent))
            if parent is None:
                continue
            for own, other in zip(reference.columns, reference.parent_columns, strict=True):
                if other in parent.columns:
                    columns[own] = _like(columns[own], parent.columns[other])
        planned = replace(table, id=names[name], columns=columns, engine="innodb")
        theirs[names[name]] = planned
        plan.definitions[names[name]] = _definition(all_.paper, name, planned, table, collations)
        if names[name].schema not in schemas and names[name].schema not in plan.schemas:
            plan.schemas.append(names[name].schema)


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


def _definition(paper: Server, name: TableId, planned: Table, ours: Table, collations: set[str]) -> str:
    [(_, text)] = paper.rows(f"SHOW CREATE TABLE {name.sql}")
    definition = parse_table(Tokens(text))
    tokens = definition.tokens
    texts = tokens.texts
    texts[definition.name_at] = planned.id.sql
    for at, word in enumerate(tokens.words):
        if word in ("COLLATE", "ENGINE"):
            said = at + 2 if tokens.words[at + 1] == "=" else at + 1
            texts[said] = "InnoDB" if word == "ENGINE" else _known(texts[said], collations) or texts[said]
    for column in definition.columns:
        key = column.name.lower()
        before, after = ours.columns[key], planned.columns[key]
        if is_text(after) and (before.charset, _known(before.collation, collations)) != (
            after.charset,
            after.collation,
        ):
            for clause in column.collation_at:
                tokens.take_out(clause)
            end = column.arguments.stop or column.type_at
            texts[end] += f" CHARACTER SET {after.charset} COLLATE {after.collation}"
        elif before.type != after.type:
            texts[column.type_at] = after.type
            for at in range(column.type_at + 1, column.at.stop):
                if tokens.words[at] in ("UNSIGNED", "ZEROFILL"):
                    texts[at] = ""
    return tokens.sql()
