"""Keys that a server counted up: which number a row of the paper has in their database."""

from collections import defaultdict
from collections.abc import Iterable

from pymysql.cursors import SSCursor

from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError
from spyglass_export.merging import values
from spyglass_export.merging.rows import Rows
from spyglass_export.merging.server import Server

_BATCH = 5000


def apply(rows: Rows, column: str, renumbered: dict[int, int]) -> None:
    """Let a column's values count as changed from here on."""
    table = rows.temporary()
    rows.paper.run(f"CREATE TEMPORARY TABLE {table} (old BIGINT PRIMARY KEY, new BIGINT NOT NULL)")
    pairs = [f"({old},{new})" for old, new in renumbered.items()]
    for start in range(0, len(pairs), _BATCH):
        rows.paper.run(f"INSERT INTO {table} VALUES {','.join(pairs[start : start + _BATCH])}")
    rows.maps[column], rows.renumbered[column] = table, renumbered


def renumber(rows: Rows) -> dict[int, int]:
    """Old numbers to new ones, of the rows whose number changes.

    Rows are the same where a unique key says so, else where all other columns are equal; of several equal rows the
    first goes to the first. A new row keeps its number where that is free. Raises UserError where no number is left.
    """
    name = rows.ours.number or ""
    identity = _identity(rows, name)
    if not identity:
        return {}
    column, their_column = rows.ours.columns[name], rows.theirs.columns[name]
    ours = _by_digest(
        rows.paper, f"SELECT t.{quoted(column.name)}, {_digest(rows, identity)} FROM {rows.source(whole=True)}"
    )
    theirs = _by_digest(
        rows.target,
        f"SELECT t.{quoted(their_column.name)}, {_digest(rows, identity, theirs=True)} FROM {rows.theirs.id.sql} AS t",
        ours.keys(),
    )
    changed: dict[int, int] = {}
    new: list[int] = []
    for digest, numbers in ours.items():
        there = theirs.get(digest, [])
        both = set(numbers) & set(there)
        pairs = zip(
            [one for one in numbers if one not in both], [one for one in there if one not in both], strict=False
        )
        changed |= dict(pairs)
        new += [one for one in numbers if one not in both and one not in changed]
    taken: set[int] = set()
    for start in range(0, len(new), _BATCH):
        listed = ",".join(map(str, new[start : start + _BATCH]))
        taken |= {number for (number,) in rows.target.rows(
            f"SELECT t.{quoted(their_column.name)} FROM {rows.theirs.id.sql} AS t"
            f" WHERE t.{quoted(their_column.name)} IN ({listed})")}  # fmt: skip
    last = max(
        int(rows.target.one(f"SELECT MAX({quoted(their_column.name)}) FROM {rows.theirs.id.sql}") or 0),
        max((number for numbers in ours.values() for number in numbers), default=0),
    )
    changed |= {old: last + 1 + place for place, old in enumerate(sorted(set(new) & taken))}
    if changed and max(changed.values()) > values.integer_range(their_column)[1]:
        raise UserError(
            f"{rows.theirs.id} has no number left for new rows: {their_column.name} is {their_column.type}",
            "ask the administrator to make the column wider",
        )
    return changed


def _identity(rows: Rows, name: str) -> tuple[str, ...]:
    """The columns by which rows are told, apart from the number."""
    stored = {ours.name.lower(): theirs for ours, theirs in rows.columns if ours.name.lower() != name}
    for unique in rows.theirs.uniques:
        if all(column in stored and not stored[column].is_nullable for column in unique.columns):
            return unique.columns
    return tuple(stored)


def _digest(rows: Rows, names: Iterable[str], *, theirs: bool = False) -> str:
    wanted = set(names)
    pairs = [pair for pair in rows.columns if pair[0].name.lower() in wanted]
    return values.row_digest([rows.canonical(*pair, theirs=theirs) for pair in pairs])


def _by_digest(server: Server, select: str, wanted: Iterable[bytes] | None = None) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = defaultdict(list)
    kept = None if wanted is None else set(wanted)
    with server.connection.cursor(SSCursor) as cursor:
        cursor.execute(f"{select} ORDER BY 1")
        for number, digest in cursor:
            short = bytes.fromhex(digest[:32])
            if kept is None or short in kept:
                found[short].append(int(number))
    return found
