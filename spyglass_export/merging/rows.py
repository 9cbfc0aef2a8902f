"""The paper's rows of one table, beside the table that they go to: in pieces, as SQL, as digests.

Whatever is done for each row is done by the servers; Python sees one long text for a piece of some thousand rows.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging import values
from spyglass_export.merging.server import PIECE, Column, Server, Table

# Of a part of the list: a server looks up many keys of several columns slowly, and a small part is more often alone.
_MOST_ROWS, _MOST_COMPOSED = 20_000, 5_000
_temporary = count()


@dataclass(frozen=True)
class Piece:
    """What is to be inserted of a part of the list: a condition for it, and texts.

    The texts are those of all rows with commas between; ``is_cut`` where one was too long.
    """

    after: int
    last: int
    where: str
    texts: list[str]
    is_cut: bool


@dataclass(kw_only=True)
class Rows:
    """A table of the paper and its counterpart; ``columns`` are stored on both sides, ours and theirs.

    ``listed`` is a temporary table of the paper's session with a number n for each row, its key (k0, k1, ...), and
    why it is not to be inserted. ``maps`` are such tables with the numbers of a column that change, old to new.
    """

    paper: Server
    target: Server
    ours: Table
    theirs: Table
    columns: dict[str, tuple[Column, Column]]
    total: int = 0
    listed: str = ""
    has_marks: bool = False
    maps: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = self.ours.key
        self.keys = ", ".join(f"k{number}" for number in range(len(self.key)))
        self._limit = min(PIECE, self.target.max_packet - 100_000)
        most = _MOST_ROWS if len(self.key) == 1 else _MOST_COMPOSED
        self._step = max(1, min(most, self._limit // (2 * self.ours.row_length + 1)))

    def list_rows(self) -> None:
        """Number all rows, in the order of their keys."""
        names = [quoted(name) for name in self.key]
        keys = ", ".join(f"{name} AS k{number}" for number, name in enumerate(names))
        self.listed = self.temporary()
        self.paper.run(
            f"CREATE TEMPORARY TABLE {self.listed} (n BIGINT AUTO_INCREMENT PRIMARY KEY, why VARCHAR(9))"
            f" SELECT {keys} FROM {self.ours.id.sql} WHERE FALSE"
        )
        self.total = self.paper.run(
            f"INSERT INTO {self.listed} ({self.keys}) SELECT {keys} FROM {self.ours.id.sql} ORDER BY {', '.join(names)}"
        )

    def temporary(self) -> str:
        """A new temporary table of the paper's session, as SQL."""
        return f"{quoted(self.ours.id.schema)}.{quoted(f'~merge {next(_temporary)}')}"

    # The paper's side.

    def source(self) -> str:
        """What follows FROM: our rows with their numbers, and what is changed in them."""
        return f"{self.listed} AS w STRAIGHT_JOIN {self.ours.id.sql} AS t ON {self.on_key('w')}{self._changes()}"

    def _changes(self) -> str:
        joins = (
            f" LEFT JOIN {table} AS m_{number} ON m_{number}.old = t.{quoted(name)}"
            for number, (name, table) in enumerate(self.maps.items())
        )
        return "".join(joins)

    def on_key(self, keys: str, table: str = "t") -> str:
        """The condition that joins a table of keys with ours."""
        return " AND ".join(f"{table}.{quoted(name)} = {keys}.k{number}" for number, name in enumerate(self.key))

    def ask(self, what: str, where: str = "TRUE", *, joins: str = "", tail: str = "") -> list[tuple[Any, ...]]:
        """Select from our rows those that are still to be inserted."""
        return self.paper.rows(f"SELECT {what} FROM {self.source()}{joins} WHERE w.why IS NULL AND ({where}){tail}")

    def mark(self, why: str, where: str = "TRUE", joins: str = "") -> int:
        """Say why rows are not to be inserted, unless it is said already; the number of those where it was not."""
        marked = self.paper.run(f"UPDATE {self.source()}{joins} SET w.why = '{why}' WHERE w.why IS NULL AND ({where})")
        self.has_marks = self.has_marks or marked > 0
        return marked

    def marked(self) -> dict[str, int]:
        """The number of rows with each reason."""
        counted = f"SELECT why, COUNT(*) FROM {self.listed} WHERE why IS NOT NULL GROUP BY why"
        return dict(self.paper.rows(counted)) if self.listed else {}

    def value(self, name: str) -> str:
        """A column of ours as SQL, its number changed where it is renumbered."""
        plain = f"t.{quoted(name)}"
        return f"COALESCE(m_{list(self.maps).index(name)}.new, {plain})" if name in self.maps else plain

    def literal(self, name: str) -> str:
        """A value of a column as SQL, as it is to be."""
        return values.literal(self.ours.columns[name], self.value(name))

    def row_of(self, names: Sequence[str]) -> str:
        """The values of some columns, as they are to be, as one SQL row."""
        return values.tuple_of([self.literal(name) for name in names])

    def canonical(self, names: Sequence[str], *, theirs: bool = False) -> str:
        """The canonical text of some columns together, on our side or theirs."""
        listed = []
        for name in names:
            pair = self.columns[name]
            value = f"t.{quoted(name)}" if theirs else self.value(name)
            listed.append(values.canonical(pair[theirs], value, is_long=any(map(values.is_long, pair))))
        return f"CONCAT_WS(',', {', '.join(listed)})"

    def digest(self, *, theirs: bool = False) -> str:
        """The digest of a row on our side or theirs."""
        return f"SHA2({self.canonical(list(self.columns), theirs=theirs)}, 256)"

    def pieces(self, *texts: str, size: str = "0", skip_alone: bool = False) -> Iterator[Piece]:
        """What is to be inserted, in pieces whose texts, and of ``size`` the sum, are no longer than a statement."""
        listed = ", ".join(f"COALESCE(GROUP_CONCAT({text}), '')" for text in texts)
        what = f"COUNT(*), COALESCE(SUM({size}), 0), {listed}"
        parts = [(start, min(start + self._step, self.total)) for start in range(0, self.total, self._step)]
        pieces = (
            piece for part in parts if not skip_alone or not self.alone(*part) for piece in self._cut(*part, what)
        )
        with ThreadPoolExecutor(1) as worker:  # the next is read while one is worked on
            coming = worker.submit(next, pieces, None)
            while piece := coming.result():
                coming = worker.submit(next, pieces, None)
                yield piece

    def _cut(self, after: int, last: int, what: str) -> Iterator[Piece]:
        where = f"w.n > {after} AND w.n <= {last}"
        if self.has_marks or not (between := self._between(after, last)):
            [(rows, length, *texts)] = self.ask(what, where)
        else:  # nothing of the list is needed, and the join with it takes as long as reading the rows
            [(rows, length, *texts)] = self.paper.rows(
                f"SELECT {what} FROM {self.ours.id.sql} AS t{self._changes()} WHERE {between}"
            )
        is_cut = length >= self._limit or any(len(text.encode()) >= self._limit - 8 for text in texts)
        if is_cut and rows > 1:
            middle = (after + last) // 2
            yield from self._cut(after, middle, what)
            yield from self._cut(middle, last, what)
        elif rows:
            yield Piece(after, last, where, texts, is_cut)

    def to_insert(self) -> Iterator[Piece]:
        """Pieces with the rows, and what `merge.json` says of each: its key and digest."""
        row = self.row_of(list(self.columns))
        row = f"CONCAT('(', {row}, ')')" if len(self.columns) == 1 else row
        huge = [name for name, (ours, _) in self.columns.items() if ours.kind in values.HUGE]
        size = " + ".join(["0", *(f"COALESCE(OCTET_LENGTH(t.{quoted(name)}), 0) * 2" for name in huge)])
        if huge:  # HEX() of more than a packet is NULL
            row = f"IF({size} < {self._limit}, {row}, '')"
        noted = f"CONCAT('[', JSON_QUOTE({self.row_of(self.key)}), ',\"', LEFT({self.digest()}, 16), '\"]')"
        return self.pieces(row, noted, size=size)

    def statements(self, piece: Piece) -> Iterator[bytes]:
        """What inserts a piece: one INSERT, or for a row that is too long for one its values bit by bit first."""
        names = ", ".join(map(quoted, self.columns))
        head = f"INSERT INTO {self.theirs.id.sql} ({names}) VALUES "
        if not piece.is_cut:
            yield (head + piece.texts[0]).encode()
            return
        step = self._limit // 2
        listed = []
        for number, (name, (ours, _)) in enumerate(self.columns.items()):
            if not values.is_long(ours):
                [(text,)] = self.ask(self.literal(name), piece.where)
                listed.append(str(text))
                continue
            value = values.in_bytes(ours, self.value(name))
            [(length,)] = self.ask(f"OCTET_LENGTH({value})", piece.where)
            yield f"SET @v{number} = ".encode() + (b"NULL" if length is None else b"x''")
            for start in range(1, int(length or 0) + 1, step):
                [(text,)] = self.ask(f"HEX(SUBSTRING({value}, {start}, {step}))", piece.where)
                yield f"SET @v{number} = CONCAT(@v{number}, x'{text}')".encode()
            listed.append(f"@v{number}" if ours.kind in values.BYTES else f"CONVERT(@v{number} USING utf8mb4)")
        yield f"{head}({', '.join(listed)})".encode()
        yield from (f"SET @v{number} = NULL".encode() for number in range(len(self.columns)))

    # Their side.

    def ask_theirs(self, what: str, names: Sequence[str], keys: str, where: str = "") -> list[tuple[Any, ...]]:
        """Select from their table the rows with some values, which come as SQL, or where a condition is known."""
        where = where or f"{values.columns_sql(names)} IN ({keys})"
        return self.target.rows(f"SELECT {what} FROM {self.theirs.id.sql} AS t WHERE {where}")

    def alone(self, after: int, last: int) -> str:
        """The condition for rows with keys as those of a part of the list, where they have none yet; else ''.

        It is much faster than a list of keys.
        """
        pairs = [self.columns[name] for name in self.key if name not in self.maps and name in self.columns]
        is_order_theirs = len(pairs) == len(self.key) and self.theirs.key == self.key
        if not is_order_theirs or any(ours.collation != theirs.collation for ours, theirs in pairs):
            return ""
        between = self._between(after, last)
        return "" if not between or self.ask_theirs("1", (), "", f"{between} LIMIT 1") else between

    def _between(self, after: int, last: int) -> str:
        """The condition for keys as those of a part of the list; '' where their order is not that of their values."""
        columns = [self.ours.columns[name] for name in self.key]
        if any(column.kind in ("enum", "set") for column in columns):
            return ""
        literals = ", ".join(values.literal(column, f"k{number}") for number, column in enumerate(columns))
        bounds = self.paper.rows(f"SELECT {literals} FROM {self.listed} WHERE n IN ({after + 1}, {last}) ORDER BY n")
        ends = []
        for sign, bound in ((">", bounds[0]), ("<", bounds[-1])):
            ends.append("TRUE")
            for name, value in reversed(list(zip(map(quoted, self.key), bound, strict=True))):
                ends[-1] = f"(t.{name} {sign} {value} OR (t.{name} = {value} AND {ends[-1]}))"
        return " AND ".join(ends)
