"""Place boxes in columns, so that arrows go from left to right and cross little."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

COLUMN_GAP, ROW_GAP = 56.0, 14.0
SWEEPS = 6
# A box by its name, or the point where arrows of a box pass a column between.
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
    column_of = _columns(sizes, pairs)
    columns: list[list[Key]] = [[] for _ in range(max(column_of.values(), default=-1) + 1)]
    for name in sizes:
        columns[column_of[name]].append((name,))
    before: dict[Key, set[Key]] = defaultdict(set)
    after: dict[Key, set[Key]] = defaultdict(set)
    for a, b in pairs:
        # Arrows of one parent share their way, so that they look like one that branches.
        way: list[Key] = [(a,), *((a, str(between)) for between in range(column_of[a] + 1, column_of[b])), (b,)]
        for between, point in enumerate(way[1:-1], column_of[a] + 1):
            if point not in columns[between]:
                columns[between].append(point)
        for here, there in pairwise(way):
            after[here].add(there)
            before[there].add(here)
    placed, width = _stack(sizes, columns)
    tallest = max((box.y + box.height for box in placed.values()), default=0)
    both = {key: before[key] | after[key] for key in placed}
    for neighbours in (*[after, before] * SWEEPS, both, both):
        for column in reversed(columns) if neighbours is after else columns:
            _settle(placed, column, neighbours, tallest)
    top = min((box.y for box in placed.values()), default=0)
    for box in placed.values():
        box.y -= top
    ways = {(a, b): [placed[a, str(between)] for between in range(column_of[a] + 1, column_of[b])] for a, b in pairs}
    height = max((box.y + box.height for box in placed.values()), default=0)
    return Layout({name: placed[(name,)] for name in sizes}, ways, width, height)


def _columns(names: Iterable[str], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Put each box right of its parents, as near to its children as that allows."""
    parents, children = defaultdict(list), defaultdict(list)
    for a, b in pairs:
        parents[b].append(a)
        children[a].append(b)
    column: dict[str, int] = {}

    def right_of_parents(name: str, descendants: frozenset[str]) -> int:
        if name not in column:
            below = descendants | {name}
            column[name] = max((right_of_parents(a, below) + 1 for a in parents[name] if a not in below), default=0)
        return column[name]

    for name in names:
        right_of_parents(name, frozenset())
    for name in names:
        if not parents[name] and children[name]:
            column[name] = min(column[child] for child in children[name]) - 1
    return column


def _stack(
    sizes: Mapping[str, tuple[float, float]], columns: Sequence[Sequence[Key]]
) -> tuple[dict[Key, Placed], float]:
    """Put the boxes of each column below one another; give the width of all, too."""
    placed: dict[Key, Placed] = {}
    x = 0.0
    for column in columns:
        # All as wide as the widest: an arrow that starts right of a narrow box would pass behind a wide one.
        width = max((sizes[key[0]][0] for key in column if len(key) == 1), default=0)
        y = 0.0
        for key in column:
            placed[key] = Placed(x, y, width, sizes[key[0]][1] if len(key) == 1 else 4.0)
            y += placed[key].height + ROW_GAP
        x += width + COLUMN_GAP
    return placed, max(0.0, x - COLUMN_GAP)


def _settle(
    placed: Mapping[Key, Placed], column: list[Key], neighbours: Mapping[Key, set[Key]], tallest: float
) -> None:
    """Order a column's boxes by the middle of their neighbours, and move them towards it without overlap."""
    wished = {}
    for key in column:
        others = [placed[other] for other in neighbours.get(key) or {key}]
        wished[key] = fmean(sorted(other.y + other.height / 2 for other in others)) - placed[key].height / 2
    column.sort(key=wished.__getitem__)
    bottom = 0.0
    for key in column:
        placed[key].y = max(bottom, wished[key])
        bottom = placed[key].y + placed[key].height + ROW_GAP
    limit = tallest
    for key in reversed(column):
        placed[key].y = min(placed[key].y, limit - placed[key].height)
        limit = placed[key].y - ROW_GAP
