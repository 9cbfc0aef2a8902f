"""Keys that a server counted up: which number a row of the paper has in their database."""

from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError
from spyglass_export.merging import values
from spyglass_export.merging.rows import Rows

_STEP = 20_000  # of some fifty bytes each


def follow(rows: Rows, column: str, changes: str) -> None:
    """Let a column's values change as a table of changes says, from here on."""
    rows.maps[column] = rows.temporary()  # a temporary table can be named once in a statement, so each has its own
    rows.paper.run(f"CREATE TEMPORARY TABLE {rows.maps[column]} (PRIMARY KEY (old)) SELECT * FROM {changes}")


def renumber(rows: Rows) -> dict[int, int]:
    """Change the numbers of rows that are there by another, or are new by a taken one; old numbers to new ones.

    Rows are the same where a unique key says so, else where all other columns are equal; of several equal rows the
    first goes to the first. A new row keeps its number where that is free. All of it is worked out by the paper's
    server, in temporary tables. Raises UserError where no number is left.
    """
    name = rows.key[0]
    number = f"t.{quoted(name)}"
    stored = {other: theirs for other, (_, theirs) in rows.columns.items() if other != name}
    uniques = (
        columns
        for columns in rows.theirs.uniques.values()
        if all(column in stored and not stored[column].is_nullable for column in columns)
    )
    identity = next(uniques, tuple(stored))
    if not identity:
        return {}
    ours, theirs, changes = rows.temporary(), rows.temporary(), rows.temporary()
    for table in (ours, theirs):
        rows.paper.run(
            f"CREATE TEMPORARY TABLE {table}"
            " (digest BINARY(16), number BIGINT, PRIMARY KEY (digest, number), KEY (number))"
        )
    digest = f"UNHEX(LEFT(SHA2({rows.canonical(identity)}, 256), 32))"
    rows.paper.run(f"INSERT INTO {ours} SELECT {digest}, {number} FROM {rows.source()}")
    _copy_theirs(rows, number, rows.canonical(identity, theirs=True), theirs)
    highest = max(
        int(server.one(f"SELECT COALESCE(MAX({number}), 0) FROM {table.id.sql} AS t"))
        for server, table in ((rows.paper, rows.ours), (rows.target, rows.theirs))
    )
    ranked = "SELECT digest, number, ROW_NUMBER() OVER (PARTITION BY digest ORDER BY number) AS place FROM"
    for statement in (
        f"USE {quoted(rows.ours.id.schema)}",  # a DELETE from several tables wants a default
        f"DELETE o, t FROM {ours} AS o JOIN {theirs} AS t ON t.digest = o.digest AND t.number = o.number",
        f"CREATE TEMPORARY TABLE {changes} (old BIGINT PRIMARY KEY, new BIGINT NOT NULL) SELECT o.number AS old,"
        f" t.number AS new FROM ({ranked} {ours}) AS o JOIN ({ranked} {theirs}) AS t USING (digest, place)",
        f"DELETE o FROM {ours} AS o JOIN {changes} AS c ON c.old = o.number",
        f"INSERT INTO {changes} SELECT o.number, {highest} + ROW_NUMBER() OVER (ORDER BY o.number)"
        f" FROM {ours} AS o JOIN {theirs} AS t ON t.number = o.number",
        f"DROP TEMPORARY TABLE {ours}, {theirs}",
    ):
        rows.paper.run(statement)
    column = rows.theirs.columns[name]
    if (rows.paper.one(f"SELECT MAX(new) FROM {changes}") or 0) > values.integer_range(column)[1]:
        raise UserError(
            f"{rows.theirs.id} has no number left for new rows: {column.name} is {column.type}",
            "ask the administrator to make the column wider",
        )
    follow(rows, name, changes)
    for reference in rows.ours.references:
        if reference.parent == rows.ours.id and reference.parent_columns == (name,):
            follow(rows, reference.columns[0], changes)
    return dict(rows.paper.rows(f"SELECT old, new FROM {changes} ORDER BY old"))


def _copy_theirs(rows: Rows, number: str, canonical: str, table: str) -> None:
    """Bring the digests and numbers of all their rows into a temporary table of the paper's session."""
    last: int | None = -(2**63)
    while True:
        [(last, text)] = rows.target.rows(
            "SELECT MAX(number), GROUP_CONCAT('(x''', digest, ''',', number, ')') FROM (SELECT"
            f" LEFT(SHA2({canonical}, 256), 32) AS digest, {number} AS number FROM {rows.theirs.id.sql} AS t"
            f" WHERE {number} > {last} ORDER BY {number} LIMIT {_STEP}) AS x"
        )
        if last is None:
            return
        rows.paper.run(f"INSERT INTO {table} VALUES {text}")
