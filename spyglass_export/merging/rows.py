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

# Of a piece: a server looks up many keys of several columns slowly, and a small part is more often alone.
_MOST_ROWS, _MOST_COMPOSED = 20_000, 5_000
# A server that has not counted the rows of a table lately reads all of them for each piece.
_BY_KEY = " FORCE INDEX (PRIMARY)"
_temporary = count()


@dataclass(frozen=True)
class Piece:
    """Rows that follow one another by their keys: a condition for them, and texts of those that are to be inserted.

    The texts have commas between rows; ``is_cut`` where one was too long.
    """

    where: str
    texts: list[str]
    is_cut: bool


@dataclass(kw_only=True)
class Rows:
    """A table of the paper and its counterpart; ``columns`` are stored on both sides, ours and theirs.

    ``marks`` is a temporary table of the paper's session with the keys (k0, k1, ...) of rows that are not to be
    inserted, and why. ``maps`` are such tables with the numbers of a column that change, old to new.
    """

    paper: Server
    target: Server
    ours: Table
    theirs: Table
    columns: dict[str, tuple[Column, Column]]
    marks: str = ""
    has_marks: bool = False
    maps: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = self.ours.key
        self.keys = ", ".join(f"k{number}" for number in range(len(self.key)))
        self.total = int(self.paper.one(f"SELECT COUNT(*) FROM {self.ours.id.sql}"))
        self._limit = min(PIECE, self.target.max_packet - 100_000)
        most = _MOST_ROWS if len(self.key) == 1 else _MOST_COMPOSED
        self._step = max(1, min(most, self._limit // (2 * self.ours.row_length + 1)))
        if self.key:
            self.marks = self.keep("why VARCHAR(9)")

    def temporary(self) -> str:
        """A new temporary table of the paper's session, as SQL."""
        return f"{quoted(self.ours.id.schema)}.{quoted(f'~merge {next(_temporary)}')}"

    def keep(self, column: str) -> str:
        """Make a temporary table for a column beside our keys."""
        table, keys = self.temporary(), ", ".join(f"t.{quoted(name)} AS k{n}" for n, name in enumerate(self.key))
        self.paper.run(
            f"CREATE TEMPORARY TABLE {table} (PRIMARY KEY ({self.keys}), {column})"
            f" SELECT {keys} FROM {self.ours.id.sql} AS t WHERE FALSE"
        )
        return table

    # The paper's side.

    def source(self, hint: str = "") -> str:
        """What follows FROM: our rows, and what is changed in them."""
        joins = (
            f" LEFT JOIN {table} AS m_{number} ON m_{number}.old = t.{quoted(name)}"
            for number, (name, table) in enumerate(self.maps.items())
        )
        return f"{self.ours.id.sql} AS t{hint}{''.join(joins)}"

    def on_key(self, keys: str, table: str = "t") -> str:
        """The condition that joins a table of keys with ours."""
        return " AND ".join(f"{table}.{quoted(name)} = {keys}.k{number}" for number, name in enumerate(self.key))

    def at(self, keys: Sequence[str]) -> str:
        """The condition for our rows with some keys, which come as `own_key` gives them."""
        return values.among(self.key, ",".join(keys), map(self.ours.columns.__getitem__, self.key))

    def waiting(self, where: str, joins: str = "", hint: str = "") -> str:
        """What follows FROM for those of our rows that are still to be inserted."""
        if self.has_marks:  # the join takes as long as reading the rows
            joins, where = f"{joins} LEFT JOIN {self.marks} AS w ON {self.on_key('w')}", f"w.why IS NULL AND ({where})"
        return f"{self.source(hint)}{joins} WHERE {where}"

    def ask(self, what: str, where: str = "TRUE", *, joins: str = "", tail: str = "") -> list[tuple[Any, ...]]:
        """Select from our rows those that are still to be inserted."""
        return self.paper.rows(f"SELECT {what} FROM {self.waiting(where, joins)}{tail}")

    def fill(self, table: str, column: str, value: str, rows: str) -> int:
        """Put a value for some of our rows into a table that `keep` made, where none is there yet; the number put."""
        keys = ", ".join(f"t.{quoted(name)}" for name in self.key)
        return self.paper.run(f"INSERT IGNORE INTO {table} ({self.keys}, {column}) SELECT {keys}, {value} FROM {rows}")

    def mark(self, why: str, where: str = "TRUE", joins: str = "") -> int:
        """Say why rows are not to be inserted, unless it is said already; the number of those where it was not."""
        marked = self.fill(self.marks, "why", f"'{why}'", f"{self.source()}{joins} WHERE {where}")
        self.has_marks = self.has_marks or marked > 0
        return marked

    def marked(self) -> dict[str, int]:
        """The number of rows with each reason."""
        return dict(self.paper.rows(f"SELECT why, COUNT(*) FROM {self.marks} GROUP BY why")) if self.has_marks else {}

    def own_literal(self, name: str) -> str:
        """A value of a column as SQL, as it is in the paper."""
        return values.literal(self.ours.columns[name], f"t.{quoted(name)}")

    def own_key(self) -> str:
        """Our key as one SQL row, as it is in the paper."""
        return values.tuple_of([self.own_literal(name) for name in self.key])

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
        pieces = self._cut(self._step, f"COUNT(*), COALESCE(SUM({size}), 0), {listed}", skip_alone=skip_alone)
        with ThreadPoolExecutor(1) as worker:  # the next is read while one is worked on
            coming = worker.submit(next, pieces, None)
            while piece := coming.result():
                coming = worker.submit(next, pieces, None)
                yield piece

    def _cut(self, step: int, what: str, within: str = "TRUE", *, skip_alone: bool = False) -> Iterator[Piece]:
        up, down = (", ".join(f"t.{quoted(name)}{way}" for name in self.key) for way in ("", " DESC"))
        bound = ", ".join(
            self._ordered(name) if self._is_numbered(name) else self.own_literal(name) for name in self.key
        )
        beyond = "TRUE"
        while True:
            ask = f"(SELECT {bound} FROM {self.ours.id.sql} AS t{_BY_KEY} WHERE {within} AND {beyond} ORDER BY"
            bounds = self.paper.rows(
                f"{ask} {up} LIMIT 1) UNION ALL {ask} {up} LIMIT {step - 1}, 1) UNION ALL {ask} {down} LIMIT 1)"
            )
            if not bounds:
                return
            first, last, *_ = bounds
            beyond = self._order(">", last)
            where = f"{self._order('>=', first)} AND {self._order('<=', last)}"
            if skip_alone and self.is_alone(where):
                continue
            [(rows, length, *found)] = self.paper.rows(f"SELECT {what} FROM {self.waiting(where, hint=_BY_KEY)}")
            is_cut = length >= self._limit or any(len(text.encode()) >= self._limit - 8 for text in found)
            if is_cut and rows > 1:
                yield from self._cut((rows + 1) // 2, what, where)
            elif rows:
                yield Piece(where, found, is_cut)

    def _is_numbered(self, name: str) -> bool:
        return self.ours.columns[name].kind in ("enum", "set")

    def _ordered(self, name: str) -> str:
        """A column of the key as a server orders it, which for some kinds is by their numbers."""
        return f"t.{quoted(name)}{' + 0' * self._is_numbered(name)}"

    def _order(self, sign: str, bound: Sequence[str]) -> str:
        """The condition for keys on one side of a key."""
        condition = str("=" in sign).upper()
        for name, value in reversed(list(zip(map(self._ordered, self.key), bound, strict=True))):
            condition = f"({name} {sign[0]} {value} OR ({name} = {value} AND {condition}))"
        return condition

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

    def ask_theirs(
        self, what: str, names: Sequence[str], keys: str, where: str = "", *, by_key: bool = True
    ) -> list[tuple[Any, ...]]:
        """Select from their table the rows with some values, which come as SQL, or with a condition."""
        where = where or values.among(names, keys, map(self.theirs.columns.__getitem__, names))
        hint = _BY_KEY if by_key else ""  # any other index may be invisible, and is then refused
        return self.target.rows(f"SELECT {what} FROM {self.theirs.id.sql} AS t{hint} WHERE {where}")

    def is_alone(self, where: str) -> bool:
        """Whether they have no row among the keys of a piece yet: its condition is much faster than a list of keys."""
        is_order_theirs = self.theirs.key == self.key and set(self.key) <= set(self.columns) - set(self.maps)
        if not is_order_theirs or any(map(self._is_numbered, self.key)):
            return False
        pairs = [self.columns[name] for name in self.key]
        is_sorted_alike = all(ours.collation == theirs.collation for ours, theirs in pairs)
        return is_sorted_alike and not self.ask_theirs("1", (), "", f"{where} LIMIT 1")
