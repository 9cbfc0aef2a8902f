"""Place boxes in columns, so that arrows go from left to right and cross little."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

COLUMN_GAP, ROW_GAP = 56.0, 14.0
SWEEPS = 6
Key = tuple[str, ...]


@dataclass
class Placed:
    """Where a box stands: its upper left corner and size, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass
class Layout:
    """Boxes by name, the points that each arrow passes on its way over columns between, and the size of all."""

    boxes: dict[str, Placed] = field(default_factory=dict)
    ways: dict[tuple[str, str], list[Placed]] = field(default_factory=dict)
    width: float = 0
    height: float = 0


def place(sizes: Mapping[str, tuple[float, float]], arrows: Iterable[tuple[str, str]]) -> Layout:
    """Lay out boxes of at least the given width, and of the given height, with arrows from parent to child.

    Where parents and children go in a circle, an arrow of it points back. The same input gives the same layout.
    """
    pairs = sorted({(a, b) for a, b in arrows if a != b})
    column = _columns(list(sizes), _without_circles(list(sizes), pairs))
    columns: list[list[Key]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for name in sizes:
        columns[column[name]].append((name,))
    links: set[tuple[Key, Key]] = set()
    for a, b in pairs:
        last: Key = (a,)
        for between in range(column[a] + 1, column[b]):
            # Arrows of one parent share their way, so that they look like one that branches.
            point: Key = ("way", a, str(between))
            if point not in columns[between]:
                columns[between].append(point)
            links.add((last, point))
            last = point
        links.add((last, (b,)))
    _sort(columns, links)
    return _coordinates(sizes, columns, links, pairs, column)


def _without_circles(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    children = defaultdict(list)
    for a, b in pairs:
        children[a].append(b)
    kept, done, open_ = [], set(), set()
    for start in names:
        if start in done:
            continue
        stack = [(start, iter(children[start]))]
        open_.add(start)
        while stack:
            name, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                done.add(name)
                open_.discard(name)
                stack.pop()
                continue
            if child in open_:
                continue
            kept.append((name, child))
            if child not in done:
                open_.add(child)
                stack.append((child, iter(children[child])))
    return kept


def _columns(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Put each box right of its parents, as near to its children as that allows."""
    parents, children = defaultdict(list), defaultdict(list)
    for a, b in pairs:
        parents[b].append(a)
        children[a].append(b)
    column: dict[str, int] = {}
    waiting = {name: len(parents[name]) for name in names}
    ready = [name for name in names if not waiting[name]]
    order = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        column[name] = max((column[parent] + 1 for parent in parents[name]), default=0)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    for name in reversed(order):
        if not parents[name] and children[name]:
            column[name] = min(column[child] for child in children[name]) - 1
    return column


def _sort(columns: list[list[Key]], links: set[tuple[Key, Key]]) -> None:
    """Order each column by the mean place of its neighbours, to and fro."""
    before, after = defaultdict(list), defaultdict(list)
    for a, b in sorted(links):
        after[a].append(b)
        before[b].append(a)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        neighbours = before if forward else after
        place_of = {key: i / max(1, len(column)) for column in columns for i, key in enumerate(column)}
        for column in columns if forward else reversed(columns):
            means = {
                key: sum(place_of[other] for other in neighbours[key]) / len(neighbours[key])
                if neighbours[key]
                else place_of[key]
                for key in column
            }
            column.sort(key=lambda key: means[key])
            place_of |= {key: i / max(1, len(column)) for i, key in enumerate(column)}


def _coordinates(
    sizes: Mapping[str, tuple[float, float]],
    columns: list[list[Key]],
    links: set[tuple[Key, Key]],
    pairs: Sequence[tuple[str, str]],
    column_of: Mapping[str, int],
) -> Layout:
    neighbours = defaultdict(list)
    for a, b in links:
        neighbours[a].append(b)
        neighbours[b].append(a)
    placed: dict[Key, Placed] = {}
    x = 0.0
    for column in columns:
        width = max((sizes[key[0]][0] for key in column if len(key) == 1), default=0)
        y = 0.0
        for key in column:
            height = sizes[key[0]][1] if len(key) == 1 else 4.0
            # As wide as the widest: an arrow that starts right of a narrow box would pass behind a wide one.
            placed[key] = Placed(x, y, width, height)
            y += height + ROW_GAP
        x += width + COLUMN_GAP
    tallest = max((_bottom(placed, column) for column in columns), default=0)
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            _settle(placed, column, neighbours, tallest)
    layout = Layout({name: placed[(name,)] for name in sizes}, width=max(0.0, x - COLUMN_GAP))
    top = min((box.y for box in placed.values()), default=0)
    for box in placed.values():
        box.y -= top
    layout.height = max((box.y + box.height for box in placed.values()), default=0)
    for parent, child in pairs:
        between = range(column_of[parent] + 1, column_of[child])
        layout.ways[parent, child] = [placed["way", parent, str(number)] for number in between]
    return layout


def _bottom(placed: Mapping[Key, Placed], column: Sequence[Key]) -> float:
    return max((placed[key].y + placed[key].height for key in column), default=0)


def _settle(
    placed: dict[Key, Placed], column: Sequence[Key], neighbours: Mapping[Key, Sequence[Key]], tallest: float
) -> None:
    """Move a column's boxes towards the middle of their neighbours, in their order and without overlap."""
    wished = []
    for key in column:
        others = [placed[other] for other in neighbours.get(key, ())]
        middles = sorted(other.y + other.height / 2 for other in others)
        middle = sum(middles) / len(middles) if middles else placed[key].y + placed[key].height / 2
        wished.append(middle - placed[key].height / 2)
    bottom = 0.0
    for key, wish in zip(column, wished, strict=True):
        placed[key].y = max(bottom, wish)
        bottom = placed[key].y + placed[key].height + ROW_GAP
    limit = tallest
    for key in reversed(column):
        placed[key].y = min(placed[key].y, limit - placed[key].height)
        limit = placed[key].y - ROW_GAP
