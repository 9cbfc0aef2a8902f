"""Values that a source holds and MySQL takes back only into other columns, or not at all."""

from spyglass_export.dump.reading.contents import Export, Table
from spyglass_export.dump.reading.values import may_have_empty_string, read_values, text_of
from spyglass_export.dump.sql.create_table import Column
from spyglass_export.errors import UserError

# https://dev.mysql.com/doc/refman/9.7/en/datetime.html
_LAST_TIMESTAMP = "2038-01-19 03:14:07.999999"


def keep_values_at_limits(export: Export) -> None:
    """Make room for '' in ENUMs, and for floats with one digit more; raise `UserError` for timestamps after 2038."""
    for table in export.tables.values():
        columns = table.definition.columns
        enums = [column for column in columns if _lacks_empty(table, column)]
        if enums and may_have_empty_string(table):
            _add_empty(export, table, enums)
        floats = [column for column in columns if column.type in ("FLOAT", "DOUBLE") and len(column.arguments) == 3]
        if floats:
            _widen_floats(export, table, floats)
        timestamps = [column.name for column in columns if column.type == "TIMESTAMP"]
        if timestamps and table.may_have_late_year:
            _refuse_late(table, timestamps)


def _lacks_empty(table: Table, column: Column) -> bool:
    members = (table.definition.tokens.texts[at] for at in column.arguments)
    return column.type == "ENUM" and all(member == "," or member[1:-1].strip(" ") for member in members)


def _add_empty(export: Export, table: Table, enums: list[Column]) -> None:
    """A server that is not strict stores '' for any value that is no member, and a strict one does not take it back."""
    blocks = (block for _, block in read_values(table, [column.name for column in enums]))
    found = {name for block in blocks for name, literals in block.items() if b"''" in literals}
    reason = "rows hold it, as a server that is not strict stores what is no member"
    for column in enums:
        if column.name in found:
            table.definition.tokens.texts[column.arguments[-1]] += ",''"
            export.note("enum member", table.column_where(column.name), "", "''", reason)


def _widen_floats(export: Export, table: Table, floats: list[Column]) -> None:
    """float(10,2) keeps 99999999.99 as 100000000.00, writes it so, and does not take it back."""
    largest = {column.name: 0.0 for column in floats}
    for _, block in read_values(table, list(largest)):
        for name, literals in block.items():
            largest[name] = max(largest[name], *map(_magnitude, literals))
    texts = table.definition.tokens.texts
    for column in floats:
        at, _, decimals_at = column.arguments
        digits, decimals = int(texts[at]), int(texts[decimals_at])
        if largest[column.name] >= 10.0 ** (digits - decimals):
            texts[at] = str(digits + 1)
            before, after = (f"{column.type.lower()}({number},{decimals})" for number in (digits, digits + 1))
            reason = "a value was rounded up to one digit more than MySQL takes back"
            export.note("column type", table.column_where(column.name), before, after, reason)


def _magnitude(literal: bytes) -> float:
    """The absolute value of a number; 0 for what is none, such as NULL and DEFAULT."""
    try:
        return abs(float(text_of(literal)))
    except ValueError:
        return 0.0


def _refuse_late(table: Table, timestamps: list[str]) -> None:
    for _, block in read_values(table, timestamps):
        for name, literals in block.items():
            latest = max((text_of(literal).decode("latin-1") for literal in literals if literal != b"NULL"), default="")
            if latest > _LAST_TIMESTAMP:
                what = f"{table.column_where(name)} holds {latest}, and MySQL's timestamps end on 2038-01-19"
                raise UserError(what, "make the column a datetime in the source, and dump again")
