"""The paper's rows of one table, beside the table that they go to: in pieces, as SQL, as digests.

Whatever is done for each row is done by the servers; Python sees one long text for a piece of some thousand rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.merging import values
from spyglass_export.merging.server import PIECE, Server
from spyglass_export.merging.tables import Column, Table

MOST_ROWS = 5000
_temporary = count()
_EMPTY = "CAST('' AS BINARY)"


@dataclass(frozen=True)
class Part:
    """Rows of a table: those with keys above ``lower`` up to ``upper``, or those with ``keys``; all as SQL.

    ``is_alone`` where their table had no row in that range when it was compared.
    """

    lower: tuple[str, ...] | None = None
    upper: tuple[str, ...] | None = None
    keys: tuple[str, ...] | None = None
    is_alone: bool = False


@dataclass(frozen=True)
class Piece:
    """What one INSERT takes: number of rows, their SQL (None where it is too long), digest, and keys as JSON."""

    part: Part
    rows: int
    text: bytes | None
    digest: int
    keys: str


@dataclass
class Rows:
    """A table of the paper and its counterpart; ``columns`` are stored on both sides, ours and theirs.

    ``renumbered`` are the numbers of a column that change, old to new, and ``maps`` temporary tables of the same;
    ``left_out`` is one with the keys (k0, k1, ...) of rows that cannot go.
    """

    paper: Server
    target: Server
    ours: Table
    theirs: Table
    columns: list[tuple[Column, Column]]
    renumbered: dict[str, dict[int, int]] = field(default_factory=dict)
    maps: dict[str, str] = field(default_factory=dict)
    left_out: str | None = None

    def __post_init__(self) -> None:
        self.key = self.ours.key
        self.limit = min(PIECE, self.target.max_packet - 100_000)
        self.step = max(1, min(MOST_ROWS, self.limit // (2 * max(self.ours.row_length, 1) + 1)))
        self._huge = [self.ours.columns[c.name.lower()] for c, _ in self.columns if c.kind in values.HUGE]

    # The paper's side.

    def value(self, name: str) -> str:
        """A column of ours as SQL, its number changed where it is renumbered."""
        plain = f"t.{quoted(self.ours.columns[name].name)}"
        return f"COALESCE(m_{list(self.maps).index(name)}.new, {plain})" if name in self.maps else plain

    def source(self, *, whole: bool = False) -> str:
        """What follows FROM: our table with its changed numbers, and without the rows that are left out."""
        text = f"{self.ours.id.sql} AS t FORCE INDEX (PRIMARY)"
        for number, (name, table) in enumerate(self.maps.items()):
            text += f" LEFT JOIN {table} AS m_{number} ON m_{number}.old = t.{quoted(self.ours.columns[name].name)}"
        if self.left_out and not whole:
            text += f" LEFT JOIN {self.left_out} AS b ON {self.on_key('b', 't')}"
        return text

    def on_key(self, left: str, right: str) -> str:
        """The condition that joins a temporary table of keys with our table."""
        columns = (quoted(self.ours.columns[name].name) for name in self.key)
        return " AND ".join(f"{left}.k{number} = {right}.{column}" for number, column in enumerate(columns))

    def key_columns(self) -> str:
        """Our key's columns as a temporary table of keys names them."""
        columns = (self.ours.columns[name].name for name in self.key)
        return ", ".join(f"t.{quoted(column)} AS k{number}" for number, column in enumerate(columns))

    def temporary(self) -> str:
        """A new temporary table of the paper's session, as SQL."""
        return f"{quoted(self.ours.id.schema)}.{quoted(f'~merge {next(_temporary)}')}"

    def leave_out(self, select: str) -> int:
        """Leave out the rows whose keys a SELECT of `key_columns` gives; the number of those that were not yet."""
        if not self.left_out:
            self.left_out = self.temporary()
            keys = ", ".join(f"k{number}" for number in range(len(self.key)))
            self.paper.run(
                f"CREATE TEMPORARY TABLE {self.left_out} (PRIMARY KEY ({keys}))"
                f" SELECT {self.key_columns()} FROM {self.ours.id.sql} AS t WHERE FALSE"
            )
        # A temporary table can be named once in a statement, so what the SELECT gives goes by way of another.
        passing = self.temporary()
        self.paper.run(f"CREATE TEMPORARY TABLE {passing} {select}")
        added = self.paper.run(f"INSERT IGNORE INTO {self.left_out} SELECT * FROM {passing}")
        self.paper.run(f"DROP TEMPORARY TABLE {passing}")
        return added

    def leave_out_where(self, condition: str) -> int:
        """Leave out the rows that a condition holds for; the number of those that were not yet."""
        return self.leave_out(f"SELECT {self.key_columns()} FROM {self.source(whole=True)} WHERE {condition}")

    def where(self, part: Part, *, whole: bool = False, theirs: bool = False) -> str:
        """The condition for a part's rows, on our side or on theirs."""
        table = self.theirs if theirs else self.ours
        conditions = []
        if part.lower:
            conditions.append(_beyond(table, self.key, part.lower, ">", ">"))
        if part.upper:
            conditions.append(_beyond(table, self.key, part.upper, "<", "<="))
        if part.keys is not None:
            conditions.append(f"{values.columns_sql(self.key, table)} IN ({','.join(part.keys)})")
        if self.left_out and not whole and not theirs:
            conditions.append("b.k0 IS NULL")
        return " AND ".join(conditions) or "TRUE"

    def row_of(self, names: Sequence[str]) -> str:
        """The values of some columns, as they are to be, as one SQL row."""
        return values.tuple_of([values.literal(self.ours.columns[name], self.value(name)) for name in names])

    def raw_key(self) -> str:
        """The key as it is in the paper, as one SQL row."""
        return values.row_of(self.key, self.ours)

    def digest(self, *, theirs: bool = False) -> str:
        """The digest of a row on our side or theirs."""
        return values.row_digest([self.canonical(*pair, theirs=theirs) for pair in self.columns])

    def canonical(self, our_column: Column, their_column: Column, *, theirs: bool = False) -> str:
        """A column's canonical text on our side or theirs."""
        is_long = values.is_long(our_column) or values.is_long(their_column)
        if theirs:
            return values.canonical(their_column, f"t.{quoted(their_column.name)}", is_long=is_long)
        return values.canonical(our_column, self.value(our_column.name.lower()), is_long=is_long)

    def canonical_of(self, names: Sequence[str], *, theirs: bool = False) -> str:
        """The canonical text of several columns together."""
        pairs = {ours.name.lower(): (ours, other) for ours, other in self.columns}
        return f"CONCAT_WS(',', {', '.join(self.canonical(*pairs[name], theirs=theirs) for name in names)})"

    def parts(self) -> Iterator[Part]:
        """All rows, in parts of `step` rows, in the order of the primary key."""
        lower = None
        while True:
            upper = self._key_at(Part(lower), self.step - 1)
            yield Part(lower, upper)
            if upper is None:
                return
            lower = upper

    def _key_at(self, part: Part, offset: int) -> tuple[str, ...] | None:
        bounds = [
            _comparable(self.ours.columns[name], f"t.{quoted(self.ours.columns[name].name)}") for name in self.key
        ]
        literals = [text for text, _ in bounds]
        order = ", ".join(f"t.{quoted(self.ours.columns[name].name)}" for name in self.key)
        found = self.paper.rows(
            f"SELECT {', '.join(literals)} FROM {self.source()} WHERE {self.where(part)}"
            f" ORDER BY {order} LIMIT 1 OFFSET {offset}"
        )
        return tuple(map(str, found[0])) if found else None

    def halves(self, part: Part, rows: int) -> list[Part]:
        """Cut a part of several rows in two."""
        if part.keys is not None:
            middle = len(part.keys) // 2
            return [Part(keys=part.keys[:middle]), Part(keys=part.keys[middle:])]
        middle_key = self._key_at(part, rows // 2 - 1)
        return [replace(part, upper=middle_key), replace(part, lower=middle_key)]

    def count(self, part: Part) -> int:
        """The number of rows of ours in a part."""
        return int(self.paper.one(f"SELECT COUNT(*) FROM {self.source()} WHERE {self.where(part)}"))

    def lists(
        self, part: Part, names: Sequence[str], *conditions: str, whole: bool = False
    ) -> Iterator[tuple[Part, int, str]]:
        """`row_of` a part's rows as one text with commas, cut in smaller parts where it gets too long."""
        where = " AND ".join([self.where(part, whole=whole), *conditions])
        [(rows, text)] = self.paper.rows(
            f"SELECT COUNT(*), GROUP_CONCAT({self.row_of(names)}) FROM {self.source(whole=whole)} WHERE {where}"
        )
        if rows > 1 and len(text.encode()) >= self.limit - 8:
            for half in self.halves(part, self.count(part)):
                yield from self.lists(half, names, *conditions, whole=whole)
        elif rows:
            yield part, rows, text

    def pieces(self, part: Part) -> Iterator[Piece]:
        """What is inserted for a part, as long as one statement may be."""
        digest = self.digest()
        select = f"COUNT(*), {values.fold_digests(digest)}, GROUP_CONCAT({self._json_key(digest)})"
        rows_text = self.row_of([ours.name.lower() for ours, _ in self.columns])
        if len(self.columns) == 1:
            rows_text = f"CONCAT('(', {rows_text}, ')')"
        where = f"FROM {self.source()} WHERE {self.where(part)}"
        fits = True
        if self._huge:
            lengths = " + ".join(f"COALESCE(OCTET_LENGTH(t.{quoted(column.name)}), 0)" for column in self._huge)
            fits = int(self.paper.one(f"SELECT COALESCE(SUM({lengths}), 0) {where}")) * 2 < self.limit
        found = self.paper.rows(f"SELECT {select}, {f'GROUP_CONCAT({rows_text})' if fits else 'NULL'} {where}")
        rows, folded, keys, text = found[0]
        encoded = text.encode() if text else b""
        is_cut = len(encoded) >= self.limit - 8 or len(keys or "") >= self.limit - 8
        if rows > 1 and (is_cut or not fits):
            for half in self.halves(part, rows):
                yield from self.pieces(half)
        elif rows:
            yield Piece(part, rows, encoded if fits and not is_cut else None, folded, keys)

    def _json_key(self, digest: str) -> str:
        listed = []
        for name in self.key:
            column, value = self.ours.columns[name], self.value(name)
            if column.kind in values.BYTES:
                value = f"HEX({value})"
            elif values.is_text(column):
                value = values.utf8(column, value)
            elif column.kind == "float":
                value = f"CONCAT({value} * 1e0)"
            elif column.kind == "bit":
                value = f"{value} + 0"
            elif column.kind not in values.INTEGERS:
                value = f"CONCAT({value})"
            listed.append(value)
        return f"JSON_ARRAY({', '.join(listed)}, LEFT({digest}, 16))"

    def statements(self, piece: Piece) -> Iterator[bytes]:
        """What inserts a piece: one INSERT, or for a row that is too long for one its values bit by bit first."""
        names = ", ".join(quoted(theirs.name) for _, theirs in self.columns)
        head = f"INSERT INTO {self.theirs.id.sql} ({names}) VALUES "
        if piece.text is not None:
            yield head.encode() + piece.text
            return
        where = f"FROM {self.source()} WHERE {self.where(piece.part)}"
        listed = []
        for number, (ours, _) in enumerate(self.columns):
            value = self.value(ours.name.lower())
            if not values.is_long(ours):
                listed.append(str(self.paper.one(f"SELECT {values.literal(ours, value)} {where}")))
                continue
            in_bytes = value if ours.kind in values.BYTES else f"CAST({values.utf8(ours, value)} AS BINARY)"
            length = self.paper.one(f"SELECT OCTET_LENGTH({in_bytes}) {where}")
            yield f"SET @v{number} = {'NULL' if length is None else _EMPTY}".encode()
            for start in range(0, int(length or 0), self.limit // 2):
                text = self.paper.one(f"SELECT HEX(SUBSTRING({in_bytes}, {start + 1}, {self.limit // 2})) {where}")
                yield f"SET @v{number} = CONCAT(@v{number}, x'{text}')".encode()
            listed.append(f"@v{number}" if ours.kind in values.BYTES else f"CONVERT(@v{number} USING utf8mb4)")
        yield f"{head}({', '.join(listed)})".encode()
        yield from (f"SET @v{number} = NULL".encode() for number in range(len(self.columns)))

    # Their side.

    def has_row_between(self, part: Part) -> bool:
        """Whether they have any row with a key in a part's range; to be asked only where `same_order`."""
        where = self.where(part, theirs=True)
        return bool(self.target.rows(f"SELECT 1 FROM {self.theirs.id.sql} AS t WHERE {where} LIMIT 1"))

    def their_digest(self, condition: str) -> tuple[int, int]:
        """Number and digest of their rows that a condition holds for."""
        folded = values.fold_digests(self.digest(theirs=True))
        [(rows, digest)] = self.target.rows(
            f"SELECT COUNT(*), {folded} FROM {self.theirs.id.sql} AS t WHERE {condition}"
        )
        return int(rows), int(digest)

    def in_theirs(self, names: Sequence[str], keys: str) -> str:
        """The condition for their rows with some values, which come as SQL."""
        return f"{values.columns_sql(names, self.theirs)} IN ({keys})"

    @property
    def same_order(self) -> bool:
        """Whether rows that are next to one another here are so there, too, by their primary key."""
        pairs = [(self.ours.columns[name], self.theirs.columns[name]) for name in self.key]
        return self.theirs.key == self.key and all(
            name not in self.maps
            and (one.collation or "") == (other.collation or "")
            and (one.kind not in ("enum", "set") or one.type == other.type)
            for name, (one, other) in zip(self.key, pairs, strict=True)
        )


def _comparable(column: Column, value: str) -> tuple[str, str]:
    """A key column's value as SQL, and what it is compared with: ENUMs are ordered by number."""
    if column.kind in ("enum", "set"):
        return f"{value} + 0", f"({value} + 0)"
    return values.literal(column, value), value


def _beyond(table: Table, names: Sequence[str], bound: Sequence[str], sign: str, last_sign: str) -> str:
    condition = ""
    for name, limit in reversed(list(zip(names, bound, strict=True))):
        column = table.columns[name]
        value = _comparable(column, f"t.{quoted(column.name)}")[1]
        if condition:
            condition = f"({value} {sign} {limit} OR ({value} = {limit} AND {condition}))"
        else:
            condition = f"{value} {last_sign} {limit}"
    return condition
