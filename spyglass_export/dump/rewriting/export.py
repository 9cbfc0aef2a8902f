"""Rewrite all that an export holds but its rows, so that it loads into any MySQL 8 or newer and its rows fit."""

from spyglass_export.dump.reading.contents import Export
from spyglass_export.dump.rewriting.collations import keep_apart
from spyglass_export.dump.rewriting.definitions import rename_constraints, rewrite_options, rewrite_table
from spyglass_export.dump.rewriting.keys import fit_lengths
from spyglass_export.dump.rewriting.programs import rewrite_programs
from spyglass_export.dump.rewriting.tied_columns import tied_columns
from spyglass_export.dump.rewriting.values_at_limits import keep_values_at_limits
from spyglass_export.dump.sql.tokens import Tokens, printable, quoted


def rewrite_export(export: Export) -> None:
    """Rewrite definitions and programs in place, and note each change; raise `UserError` for what would be lost."""
    for schema, statements in export.schemas.items():
        for statement in statements:
            if collate := rewrite_options(export, Tokens(statement), 0, printable(quoted(schema))):
                export.collations[schema] = collate
    rewrite_programs(export)  # which stops for a view of nothing before rows are looked at
    groups = tied_columns(export)
    keep_apart(export, groups)
    keep_values_at_limits(export)
    rename_constraints(export)
    for table in export.tables.values():
        rewrite_table(export, table)
    fit_lengths(export, groups)
