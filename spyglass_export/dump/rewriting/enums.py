"""Keep the value that an ENUM has where something was stored that is none of its members: the empty string."""

from spyglass_export.changes import Change
from spyglass_export.dump.reading.contents import Export
from spyglass_export.dump.reading.values import has_empty_string, read_values, text_of
from spyglass_export.dump.sql.create_table import Column, TableDefinition


def keep_error_values(export: Export) -> list[Change]:
    """Make the empty string a member of ENUM columns that hold it; what was changed.

    A server that is not strict stores it for any value that is no member, and a strict one does not take it back:
    https://dev.mysql.com/doc/refman/9.7/en/enum.html#enum-indexes
    """
    changes = []
    for table in export.tables.values():
        definition = table.definition
        columns = [column for column in definition.columns if _lacks_empty(definition, column)]
        if not columns or not has_empty_string(table):
            continue
        found: set[str] = set()
        for _, block in read_values(table, [column.name for column in columns]):
            found.update(name for name, literals in block.items() if b"''" in literals)
        for column in columns:
            if column.name in found:
                definition.tokens.texts[column.arguments[-1]] += ",''"
                reason = "rows hold it, as a server that is not strict stores what is no member"
                changes.append(Change("enum member", table.column_where(column.name), "", "''", reason))
    return changes


def _lacks_empty(definition: TableDefinition, column: Column) -> bool:
    if column.type != "ENUM":
        return False
    members = (definition.tokens.texts[at] for at in column.arguments if definition.tokens.texts[at] != ",")
    return all(text_of(member.encode("utf-8", "surrogateescape")).strip(b" ") for member in members)
