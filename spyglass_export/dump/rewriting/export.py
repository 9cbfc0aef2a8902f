"""Rewrite all that an export holds but its rows, so that it loads into any MySQL 8 or newer and its rows fit."""

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export, Late
from spyglass_export.dump.reading.sources import COPY_AGAIN
from spyglass_export.dump.rewriting.after_rows import rewrite_late
from spyglass_export.dump.rewriting.collations import keep_apart
from spyglass_export.dump.rewriting.definitions import read_database_options, rewrite_table
from spyglass_export.dump.rewriting.enums import keep_error_values
from spyglass_export.dump.rewriting.keys import fit_lengths
from spyglass_export.dump.rewriting.tied_columns import tied_columns
from spyglass_export.dump.sql.create_table import NotUnderstoodError
from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError


def rewrite_export(export: Export) -> None:
    """Rewrite definitions and late statements in place, and note each change.

    Raises `UserError` where the definitions cannot be kept without loss.
    """
    changes: list[Change] = []
    for schema, statements in export.schemas.items():
        for statement in statements:
            is_case_sensitive, option_changes = read_database_options(statement, quoted(schema))
            changes += option_changes
            if is_case_sensitive:
                export.case_sensitive.add(schema)
    groups = tied_columns(export)
    changes += keep_apart(export, groups) + keep_error_values(export)
    for table in export.tables.values():
        if table.definition is not None:
            try:
                changes += rewrite_table(table.definition, table.where, table.column_lists)
            except NotUnderstoodError as error:
                raise UserError(f"{table.place}: the definition of {table.where} is no SQL", COPY_AGAIN) from error
    changes += fit_lengths(export, groups)
    for number, late in enumerate(export.late):
        text, late_changes = rewrite_late(late.text, late.schema or "")
        export.late[number] = Late(late.schema, late.settings, text, late.delimiter)
        changes += late_changes
    export.changes.update(dict.fromkeys(changes))
