"""The tables and their foreign keys as SVG: boxes of schemas with a row for each table, arrows from parent to child."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.report.layout import Layout, Placed, place
from spyglass_export.report.schema import Table, class_name

# One diagram of all tables is read at a glance up to about this many; more get one for each family of schemas.
TABLES_IN_ONE = 40
# In pixels: a page on the screen takes no more without being made smaller, and a page of paper no more upright.
WIDEST, UPRIGHT = 1130, 980
LINE, HEAD, CHARACTER, PADDING = 18, 22, 7.3, 8
MARK, LOOP = 14, 16  # widths: of a tier's mark, and of arrows between tables of one schema


@dataclass(frozen=True)
class Row:
    """A line of a box: ``count`` is its rows in words, or ''; ``link`` is where it leads in the page."""

    id: str
    text: str
    count: str
    tier: str
    indent: int
    link: str
    title: str


@dataclass
class Box:
    """A titled box; one that is only ``mentioned`` belongs to another diagram, or is not in the export."""

    title: str
    rows: list[Row] = field(default_factory=list)
    mentioned: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        lines = [len(row.text) + 2 * row.indent + (len(row.count) + 2 if row.count else 0) for row in self.rows]
        width = max((MARK + length * CHARACTER for length in lines), default=0)
        return max(width, len(self.title) * CHARACTER) + 2 * PADDING + LOOP, HEAD + LINE * len(self.rows) + PADDING / 2


@dataclass(frozen=True)
class Arrow:
    """A foreign key from the row of the child to that of the parent; ``dashed`` where it is not in the primary key."""

    parent: str
    child: str
    dashed: bool


@dataclass(frozen=True)
class Diagram:
    """A drawing with its title; ``is_wide`` where it takes a page of paper across."""

    title: str
    svg: str
    is_wide: bool


def draw(tables: Sequence[Table], counts: Mapping[str, int]) -> list[Diagram]:
    """Draw all tables: as one diagram, or as an overview and one diagram for each family of schemas.

    ``counts`` are rows by `schema.table`. A family are the schemas whose names begin with the same word, as
    Spyglass' modules have it.
    """
    known = {table.id: table for table in tables}
    if len(tables) <= TABLES_IN_ONE:
        return _name("All tables", _draw_tables(tables, known, counts))
    families = defaultdict(list)
    for table in tables:
        families[family(table.id)].append(table)
    diagrams = _name("Families of schemas", [_draw_overview(families, counts)])
    for name, members in sorted(families.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        diagrams += _name(f"{name}: {_many_tables(members)}", _draw_tables(members, known, counts))
    return diagrams


def _name(title: str, drawn: Sequence["_Drawn"]) -> list[Diagram]:
    return [
        Diagram(title + (f", {number} of {len(drawn)}" if len(drawn) > 1 else ""), one.svg, one.layout.width > UPRIGHT)
        for number, one in enumerate(drawn, 1)
    ]


def _many_tables(tables: Sequence[Table]) -> str:
    return f"{len(tables)} table{'' if len(tables) == 1 else 's'}"


def family(table: TableId) -> str:
    """The first word of a schema's name."""
    return table.schema.partition("_")[0]


def anchor(table: TableId) -> str:
    """The name of a table's place in the page."""
    return "t-" + "".join(c if c.isascii() and (c.isalnum() or c in "_.") else f"-{ord(c):x}" for c in str(table))


@dataclass(frozen=True)
class _Drawn:
    svg: str
    layout: Layout


def _draw_tables(tables: Sequence[Table], known: Mapping[TableId, Table], counts: Mapping[str, int]) -> list[_Drawn]:
    """Draw tables, in halves where all would be too wide: first the left schemas, then those that build on them."""
    drawn = {table.id for table in tables}
    boxes: dict[str, Box] = {}
    for table in _parts_below_masters(tables):
        box = boxes.setdefault(table.id.schema, Box(table.id.schema))
        box.rows.append(_row(table, counts, indent=int(table.master in drawn)))
    arrows = []
    for table in tables:
        for reference in table.references:
            parent = reference.parent
            if parent == table.master and parent in drawn:
                continue  # its place below the master says so
            if parent not in drawn:
                box = boxes.setdefault(f"elsewhere {parent.schema}", Box(parent.schema, mentioned=True))
                row = _row(known[parent], counts) if parent in known else _missing(parent)
                if row not in box.rows:
                    box.rows.append(row)
            arrows.append(Arrow(str(parent), str(table.id), not reference.is_primary))
    drawn_all = _svg(boxes, arrows)
    places = drawn_all.layout.boxes
    middle = (min(places[t.id.schema].x for t in tables) + max(places[t.id.schema].x for t in tables)) / 2
    halves = [[t for t in tables if (places[t.id.schema].x > middle) is right] for right in (False, True)]
    if drawn_all.layout.width <= WIDEST or not all(halves):
        return [drawn_all]
    return [one for half in halves for one in _draw_tables(half, known, counts)]


def _parts_below_masters(tables: Sequence[Table]) -> list[Table]:
    """Sort tables so that parents come before children as far as they can, and parts below their masters."""
    waiting, sorted_ = {table.id: table for table in sorted(tables, key=lambda table: table.id)}, []
    masters = [table for table in waiting.values() if table.master not in waiting]
    parts = defaultdict(list)
    for table in waiting.values():
        if table.master in waiting:
            parts[table.master].append(table)
    open_ = {table.id for table in masters}
    while masters:
        free = [t for t in masters if not any(r.parent in open_ and r.parent != t.id for r in t.references)]
        table = (free or masters)[0]
        masters.remove(table)
        open_.discard(table.id)
        sorted_ += [table, *parts[table.id]]
    return sorted_


def _row(table: Table, counts: Mapping[str, int], indent: int = 0) -> Row:
    name = class_name(table.id.name)
    count = f"{counts[str(table.id)]:,}" if str(table.id) in counts else ""
    title = f"{table.id}, {table.tier}" + (f", {count} rows" if count else "")
    text = name.partition(".")[2] if indent else name
    return Row(str(table.id), text, count, table.tier, indent, anchor(table.id), title)


def _missing(table: TableId) -> Row:
    return Row(str(table), class_name(table.name), "", "missing", 0, "", f"{table} is not in the export")


def _draw_overview(families: Mapping[str, Sequence[Table]], counts: Mapping[str, int]) -> _Drawn:
    boxes, arrows = {}, {}
    for name, tables in sorted(families.items()):
        schemas = len({table.id.schema for table in tables})
        rows = [counts[str(table.id)] for table in tables if str(table.id) in counts]
        lines = [_many_tables(tables) + (f" in {schemas} schemas" if schemas > 1 else "")]
        lines += [f"{sum(rows):,} rows"] if rows else []
        boxes[name] = Box(name, [Row(f"{name} {i}", line, "", "", 0, "", name) for i, line in enumerate(lines)])
        for table in tables:
            for reference in table.references:
                parent = family(reference.parent)
                if parent != name and parent in families:
                    arrows[parent, name] = Arrow(f"{parent} 0", f"{name} 0", dashed=False)
    return _svg(boxes, list(arrows.values()))


def _svg(boxes: Mapping[str, Box], arrows: Sequence[Arrow]) -> _Drawn:
    box_of = {row.id: name for name, box in boxes.items() for row in box.rows}
    line_of = {row.id: i for box in boxes.values() for i, row in enumerate(box.rows)}
    layout = place(
        {name: box.size for name, box in boxes.items()},
        [(box_of[arrow.parent], box_of[arrow.child]) for arrow in arrows],
    )
    drawn = [_box(box, layout.boxes[name]) for name, box in boxes.items()]
    under: list[str] = []
    over: list[str] = []
    for arrow in sorted(arrows, key=lambda arrow: (arrow.parent, arrow.child)):
        lines = over if box_of[arrow.parent] == box_of[arrow.child] else under
        lines.append(_line(arrow, layout, box_of, line_of))
    width, height = layout.width + 4, layout.height + 4
    svg = (
        f'<svg viewBox="-2 -2 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{len(line_of)} lines and {len(arrows)} foreign keys; the list of tables has them in words">'
        f"{''.join(dict.fromkeys(under))}{''.join(drawn)}{''.join(dict.fromkeys(over))}</svg>"
    )
    return _Drawn(svg, layout)


def _line(arrow: Arrow, layout: Layout, box_of: Mapping[str, str], line_of: Mapping[str, int]) -> str:
    parent, child = box_of[arrow.parent], box_of[arrow.child]
    start, end = (
        _middle(layout.boxes[parent], line_of[arrow.parent]),
        _middle(layout.boxes[child], line_of[arrow.child]),
    )
    css = "key dashed" if arrow.dashed else "key"
    if parent == child:
        x = layout.boxes[parent].x + layout.boxes[parent].width
        x -= LOOP
        bend = x + min(LOOP, 8 + abs(end - start) / 8)
        path = f"M{x:.1f} {start:.1f}C{bend:.1f} {start:.1f} {bend:.1f} {end:.1f} {x + 5:.1f} {end:.1f}"
        return f'<path class="{css}" d="{path}"/>{_head(x, end, "left")}'
    x = layout.boxes[parent].x + layout.boxes[parent].width
    path = f"M{x:.1f} {start:.1f}"
    y = start
    for way in layout.ways.get((parent, child), []):
        path += f"{_curve(x, y, way.x, way.y + 2)}H{way.x + way.width:.1f}"
        x, y = way.x + way.width, way.y + 2
    path += _curve(x, y, layout.boxes[child].x - 5, end)
    return f'<path class="{css}" d="{path}"/>{_head(layout.boxes[child].x, end, "right")}'


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = max(20.0, abs(to_x - x) / 2)
    return f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"


def _head(x: float, y: float, to: str) -> str:
    back = -6 if to == "right" else 6
    return f'<path class="head" d="M{x:.1f} {y:.1f}l{back} -3v6z"/>'


def _middle(box: Placed, line: int) -> float:
    return box.y + HEAD + LINE * line + LINE / 2


def _box(box: Box, at: Placed) -> str:
    css = "box mentioned" if box.mentioned else "box"
    right = at.x + at.width - PADDING - LOOP
    parts = [
        f'<g class="{css}"><rect x="{at.x:.1f}" y="{at.y:.1f}" width="{at.width:.1f}" height="{at.height:.1f}" rx="4"/>'
        f'<text class="title" x="{at.x + PADDING:.1f}" y="{at.y + 15:.1f}">{escape(box.title)}</text>'
    ]
    for i, row in enumerate(box.rows):
        y = _middle(at, i)
        x = at.x + PADDING + row.indent * 2 * CHARACTER
        mark = f'<rect class="mark {row.tier}" x="{x:.1f}" y="{y - 4:.1f}" width="8" height="8"/>' if row.tier else ""
        text = (
            f"<title>{escape(row.title)}</title>{mark}"
            f'<text x="{x + (MARK if mark else 0):.1f}" y="{y + 4:.1f}">{escape(row.text)}</text>'
        )
        if row.count:
            text += f'<text class="count" x="{right:.1f}" y="{y + 4:.1f}">{row.count}</text>'
        parts.append(f'<a href="#{row.link}">{text}</a>' if row.link else f"<g>{text}</g>")
    return "".join(parts) + "</g>"
