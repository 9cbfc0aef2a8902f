"""The tables and their foreign keys as SVG: boxes of schemas with a row for each table, arrows from parent to child."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.report.layout import Layout, Placed, place
from spyglass_export.report.schema import Table, class_name
from spyglass_export.report.template import fill

# One diagram of all tables is read at a glance up to about this many; more get one for each family of schemas.
TABLES_IN_ONE = 40
# In pixels: a page on the screen takes no more without being made smaller, and a page of paper no more upright.
WIDEST, UPRIGHT = 1130, 980
LINE, HEAD, CHARACTER, PADDING, INDENT = 18, 22, 7.3, 8, 14.6
MARK, LOOP = 14, 16  # widths: of a tier's mark, and of arrows between tables of one schema


@dataclass(frozen=True)
class Row:
    """A line of a box: ``count`` is its rows in words, ``link`` where it leads in the page; both may be empty."""

    id: str
    text: str
    title: str
    tier: str = ""
    count: str = ""
    indent: float = 0
    link: str = ""


@dataclass
class Box:
    """A titled box; one that is only ``mentioned`` belongs to another diagram, or is not in the export."""

    title: str
    mentioned: bool = False
    rows: list[Row] = field(default_factory=list)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        lines = [row.indent + CHARACTER * len(f"{row.text}  {row.count}".rstrip()) for row in self.rows]
        width = max(MARK + max(lines, default=0), len(self.title) * CHARACTER)
        return width + 2 * PADDING + LOOP, HEAD + LINE * len(self.rows) + PADDING / 2


# A foreign key by the rows of parent and child, and whether it is dashed, as one that is not in the primary key.
Arrow = tuple[str, str, bool]


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
    rows = {table.id: _row(table, counts.get(str(table.id))) for table in tables}
    if len(tables) <= TABLES_IN_ONE:
        return _draw_tables("All tables", tables, rows)
    families: dict[str, list[Table]] = defaultdict(list)
    for table in tables:
        families[_family(table.id)].append(table)
    diagrams = [_draw_overview(families, counts)]
    for name, members in sorted(families.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        diagrams += _draw_tables(f"{name}: {_many(len(members), 'table')}", members, rows)
    return diagrams


def _family(table: TableId) -> str:
    return table.schema.partition("_")[0]


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def anchor(table: TableId) -> str:
    """The name of a table's place in the page."""
    return "t-" + re.sub(r"[^A-Za-z0-9_.]", lambda other: f"-{ord(other[0]):x}", str(table))


def _draw_tables(title: str, tables: Sequence[Table], rows: Mapping[TableId, Row]) -> list[Diagram]:
    """Draw tables, in parts where all would be too wide: first the left schemas, then those that build on them."""
    waiting, drawn = [tables], []
    while waiting:
        part = waiting.pop(0)
        svg, layout = _svg(*_boxes(part, rows))
        left = {table.id: layout.boxes[table.id.schema].x for table in part}
        middle = (min(left.values()) + max(left.values())) / 2
        halves = [[table for table in part if (left[table.id] > middle) is right] for right in (False, True)]
        if layout.width > WIDEST and all(halves):
            waiting = [*halves, *waiting]
        else:
            drawn.append(Diagram(title, svg, layout.width > UPRIGHT))
    if len(drawn) == 1:
        return drawn
    return [replace(one, title=f"{title}, {number} of {len(drawn)}") for number, one in enumerate(drawn, 1)]


def _boxes(tables: Sequence[Table], rows: Mapping[TableId, Row]) -> tuple[dict[str, Box], list[Arrow]]:
    drawn = {table.id for table in tables}
    boxes: dict[str, Box] = {}
    for table in _parts_below_masters(tables):
        row = rows[table.id]
        if table.master in drawn:
            row = replace(row, text=row.text.partition(".")[2], indent=INDENT)
        boxes.setdefault(table.id.schema, Box(table.id.schema)).rows.append(row)
    arrows = []
    for table in tables:
        for reference in table.references:
            parent = reference.parent
            if parent == table.master and parent in drawn:
                continue  # its place below the master says so
            if parent not in drawn:
                box = boxes.setdefault(f"elsewhere {parent.schema}", Box(parent.schema, mentioned=True))
                missing = Row(str(parent), class_name(parent.name), f"{parent} is not in the export", "missing")
                if (row := rows.get(parent, missing)) not in box.rows:
                    box.rows.append(row)
            arrows.append((str(parent), str(table.id), not reference.is_primary))
    return boxes, arrows


def _parts_below_masters(tables: Iterable[Table]) -> list[Table]:
    """Sort tables so that parents come before children as far as they can, and parts below their masters."""
    ordered = sorted(tables, key=lambda table: table.id)
    there = {table.id for table in ordered}
    masters = [table for table in ordered if table.master not in there]
    sorted_ = []
    while masters:
        waiting = {table.id for table in masters}
        free = (t for t in masters if not any(r.parent in waiting - {t.id} for r in t.references))
        table = next(free, masters[0])
        masters.remove(table)
        sorted_ += [table, *(part for part in ordered if part.master == table.id)]
    return sorted_


def _row(table: Table, count: int | None) -> Row:
    rows = "" if count is None else f"{count:,}"
    title = f"{table.id}, {table.tier}" + (f", {rows} rows" if rows else "")
    return Row(str(table.id), class_name(table.id.name), title, table.tier, rows, link=anchor(table.id))


def _draw_overview(families: Mapping[str, Sequence[Table]], counts: Mapping[str, int]) -> Diagram:
    boxes, arrows = {}, set()
    for name, tables in sorted(families.items()):
        schemas = len({table.id.schema for table in tables})
        rows = [counts[str(table.id)] for table in tables if str(table.id) in counts]
        lines = [_many(len(tables), "table") + (f" in {schemas} schemas" if schemas > 1 else "")]
        lines += [f"{sum(rows):,} rows"] if rows else []
        boxes[name] = Box(name, rows=[Row(f"{name} {i}", line, name) for i, line in enumerate(lines)])
        parents = {_family(reference.parent) for table in tables for reference in table.references}
        arrows |= {(f"{parent} 0", f"{name} 0", False) for parent in parents & families.keys() - {name}}
    svg, layout = _svg(boxes, arrows)
    return Diagram("Families of schemas", svg, layout.width > UPRIGHT)


def _svg(boxes: Mapping[str, Box], arrows: Iterable[Arrow]) -> tuple[str, Layout]:
    place_of = {row.id: (name, line) for name, box in boxes.items() for line, row in enumerate(box.rows)}
    lines = [(*place_of[parent], *place_of[child], dashed) for parent, child, dashed in sorted(set(arrows))]
    sizes = {name: box.size for name, box in boxes.items()}
    layout = place(sizes, [(parent, child) for parent, _, child, _, _ in lines])
    under, over = [], []
    for parent, above, child, below, dashed in lines:
        start, end = _middle(layout.boxes[parent], above), _middle(layout.boxes[child], below)
        if parent == child:
            x = layout.boxes[parent].x + layout.boxes[parent].width - LOOP
            bend = x + min(LOOP, 8 + abs(end - start) / 8)
            path = f"M{x:.1f} {start:.1f}C{bend:.1f} {start:.1f} {bend:.1f} {end:.1f} {x + 5:.1f} {end:.1f}"
            over.append({"path": path, "head": f"M{x:.1f} {end:.1f}l6 -3v6z", "dashed": dashed})
        else:
            path = _path(layout, parent, child, start, end)
            head = f"M{layout.boxes[child].x:.1f} {end:.1f}l-6 -3v6z"
            under.append({"path": path, "head": head, "dashed": dashed})
    svg = fill(
        "diagram.svg",
        width=round(layout.width + 4),
        height=round(layout.height + 4),
        said=f"{len(place_of)} lines and {len(under) + len(over)} foreign keys; the list of tables has them in words",
        boxes=[(box, layout.boxes[name]) for name, box in boxes.items()],
        under=under,
        over=over,
        middle=_middle,
        padding=PADDING,
        mark=MARK,
        loop_width=LOOP,
    )
    return svg, layout


def _path(layout: Layout, parent: str, child: str, start: float, end: float) -> str:
    x, y = layout.boxes[parent].x + layout.boxes[parent].width, start
    path = f"M{x:.1f} {y:.1f}"
    for way in layout.ways[parent, child]:
        path += f"{_curve(x, y, way.x, way.y + 2)}H{way.x + way.width:.1f}"
        x, y = way.x + way.width, way.y + 2
    return path + _curve(x, y, layout.boxes[child].x - 5, end)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = max(20.0, abs(to_x - x) / 2)
    return f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"


def _middle(box: Placed, line: int) -> float:
    return box.y + HEAD + LINE * line + LINE / 2
