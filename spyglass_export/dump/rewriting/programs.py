"""Rewrite views, triggers, routines and events, which are made after the rows are there, and put views in order."""

from collections.abc import Iterator

from spyglass_export.dump.reading.contents import Export, Program
from spyglass_export.dump.reading.export import SYSTEM_SCHEMAS
from spyglass_export.dump.rewriting.definitions import rewrite_collate
from spyglass_export.dump.sql.create_table import Cursor
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.dump.sql.tokens import printable, quoted, unquoted
from spyglass_export.errors import UserError


def rewrite_programs(export: Export) -> None:
    """Take out definers, stop events, put views after what they are made of; raise `UserError` where that is not."""
    for program in export.programs.values():
        _rewrite(export, program)
    views = {_key(*program.id): program for program in export.programs.values() if program.kind == "VIEW"}
    tables = {_key(*table) for table in export.tables}
    begun: set[TableId] = set()

    def place(key: TableId) -> None:
        if key in begun:
            return
        begun.add(key)
        for part in _made_of(views[key]):
            if part in views:
                place(part)
            elif part not in tables and part.schema not in SYSTEM_SCHEMAS:
                has_schema = part.schema in {schema.lower() for schema in export.schemas}
                missing = printable(f"the table {part.sql}" if has_schema else f"the database {quoted(part.schema)}")
                view = views[key]
                what = f"{view.place}: the view {view.id.where} needs {missing}, which the export lacks"
                hint = f"dump what it needs, too, or leave the view out: --ignore-table={printable(str(view.id))}"
                raise UserError(what, hint)
        name = "VIEW", views[key].id
        export.programs[name] = export.programs.pop(name)

    for key in views:
        place(key)


def _key(schema: str, name: str) -> TableId:
    """In lower case: the source may not tell capitals apart."""
    return TableId(schema.lower(), name.lower())


def _rewrite(export: Export, program: Program) -> None:
    rewrite_collate(export, program.tokens, program.id.where)
    cursor = Cursor(program.tokens)
    while cursor.word() not in ("", program.kind):  # after that, a definer is another name
        first = cursor.at
        if cursor.accept("DEFINER", "="):
            cursor.take()
            if cursor.accept("@"):
                cursor.take()
            cursor.accept("(", ")")
            before = program.tokens.replace(range(first, cursor.at))
            export.note("definer", program.id.where, before, "", "the account exists on the source server only")
        else:
            cursor.take()
    # An event of the lab, such as one that deletes old rows, is there to be read and not to be run.
    while program.kind == "EVENT" and cursor.word() not in ("ENABLE", "DISABLE", "COMMENT", "DO", ""):
        cursor.step()
    if program.kind == "EVENT" and cursor.word() not in ("DISABLE", ""):
        texts = program.tokens.texts
        texts[cursor.at] = "DISABLE" if cursor.word() == "ENABLE" else f"DISABLE {texts[cursor.at]}"
        export.note("event", program.id.where, "ENABLE", "DISABLE", "it would change rows that were exported")
    summary = printable(program.tokens.sql())[:200]
    export.note("kept for the end", program.id.where, summary, "after.sql", "executed after all rows are there")


def _made_of(view: Program) -> Iterator[TableId]:
    """The tables and views that a view is made of: what stands after FROM and JOIN of a SELECT."""
    cursor = Cursor(view.tokens)
    is_select = [False]  # for each open parenthesis; ``extract(year from x)`` has another FROM
    named: set[str] = set()  # by WITH
    while word := cursor.word():
        index = cursor.take()
        if word == "(":
            is_select.append(False)
        elif word == ")" and len(is_select) > 1:
            is_select.pop()
        elif word == "SELECT":
            is_select[-1] = True
        elif word == "AS" and cursor.word() == "(" and cursor.word(1) in ("SELECT", "WITH"):
            named.add(unquoted(view.tokens.texts[index - 1]).lower())
        elif word == "JOIN" or (word == "FROM" and is_select[-1]):
            while cursor.accept("("):
                is_select.append(cursor.word() == "SELECT" or is_select[-1])
            if cursor.word() in ("SELECT", "LATERAL", "DUAL", "", "VALUES") or cursor.word(1) == "(":
                continue
            schema, name = cursor.qualified_name()
            if schema is not None or name.lower() not in named:
                yield _key(schema or view.id.schema, name)
