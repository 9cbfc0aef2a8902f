"""Compare the outputs of a notebook's cells with those that its author saved."""

import json
import re
from array import array
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from html.parser import HTMLParser
from typing import Any, NamedTuple

from . import pictures, texts
from .texts import CLOSE, DIFFERS, SAME, Outcome

NOTHING_SAVED, NOT_COMPARED = "nothing saved", "not compared"
# nbval's, and that of `invoke test_notebooks`: https://nbval.readthedocs.io/
SKIP_TAGS = {"nbval-skip", "skip-test"}
IGNORE_TAG, RAISES_TAG = "nbval-ignore-output", "raises-exception"
_COMMENT = re.compile(r"^\s*#\s*(NBVAL_(?:SKIP|IGNORE_OUTPUT|RAISES_EXCEPTION))\b", re.MULTILINE)
_TAG_OF = {"NBVAL_SKIP": "nbval-skip", "NBVAL_IGNORE_OUTPUT": IGNORE_TAG, "NBVAL_RAISES_EXCEPTION": RAISES_TAG}

FIGURE, TABLE, TEXT = "figure", "table", "text"
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
SVG, WIDGET = "image/svg+xml", "application/vnd.jupyter.widget-view+json"
# Figures that a page draws from what it is given: plotly, Vega and Vega-Lite.
DRAWN = re.compile(r"application/vnd\.(?:plotly|vega|vegalite)\.v[\d.]+\+json")
# What only loads a library of JavaScript.
LOADS = re.compile(r"application/(?:javascript|vnd\.(?:bokehjs|holoviews)_load\.v0\+json)")
TEXTS = ("text/latex", "text/markdown", "application/json", "text/plain")
# Names that libraries draw anew for each run, where they are in no text that a reader sees.
_RANDOM_NAMES = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_TYPES = {"f8": "d", "f4": "f", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"}
SHOWN_CHARACTERS = 20_000


class Item(NamedTuple):
    """One thing that a cell shows: a figure, a table or a text; ``picture`` is its media type where it is one."""

    kind: str
    content: str
    picture: str = ""


def tags_of(cell: Any) -> set[str]:
    """Give a cell's tags, and those that nbval takes from comments."""
    return {*cell.metadata.get("tags", ()), *(_TAG_OF[name] for name in _COMMENT.findall(cell.source))}


def compare(saved: Any, new: Any, ran_until: int | None, now: datetime) -> list[dict[str, Any]]:
    """Compare a notebook as it ran with the one that was saved, cell by cell.

    ``ran_until`` is the cell, from 1, after which none ran; None where all did. Gives for each cell that shows
    something its number, code, verdict, and `items`: kind, verdict, why, and what to show of both and between them.
    """
    found = []
    for number, (old, one) in enumerate(zip(saved.cells, new.cells, strict=True), start=1):
        if old.cell_type != "code":
            continue
        before, after = items_of(old.outputs), items_of(one.outputs)
        tags = tags_of(old)
        if not before and not after:
            continue
        if tags & {IGNORE_TAG, *SKIP_TAGS}:
            tag = ", ".join(sorted(tags & {IGNORE_TAG, *SKIP_TAGS}))
            items = [_show(item.kind, NOT_COMPARED, f"the cell's tag: {tag}", None, item) for item in after or before]
        elif not before and old.execution_count is None:
            items = [_show(item.kind, NOTHING_SAVED, "", None, item) for item in after]
        else:
            did_run = ran_until is None or number <= ran_until
            items = [one for kind in (FIGURE, TABLE, TEXT) for one in _pair(kind, before, after, did_run, now)]
        verdicts = {item["verdict"] for item in items}
        verdict = next(one for one in (DIFFERS, CLOSE, SAME, NOTHING_SAVED, NOT_COMPARED) if one in verdicts)
        found.append({"cell": number, "code": old.source, "verdict": verdict, "items": items})
    return found


def count(cells: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count verdicts of cells, and of what they show by kind."""
    counts = {"cell": Counter(cell["verdict"] for cell in cells)}
    for cell in cells:
        for item in cell["items"]:
            counts.setdefault(item["kind"], Counter())[item["verdict"]] += 1
    return {kind: dict(one) for kind, one in counts.items()}


def items_of(outputs: Sequence[Any]) -> list[Item]:
    """Give what a cell's outputs show; warnings and progress on standard error are left out."""
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    found = [Item(TEXT, printed)] if printed.strip() else []
    for output in outputs:
        if output.output_type == "error":
            found.append(Item(TEXT, f"{output.ename}: {output.evalue}"))
        elif output.output_type in ("display_data", "execute_result"):
            found += _items_of_data(output.data)
    return found


def _items_of_data(data: Any) -> Iterator[Item]:
    """Give what the richest form of an output shows, as a page would take it."""
    if picture := next((kind for kind in PICTURES if kind in data), None):
        yield Item(FIGURE, data[picture], picture)
    elif SVG in data:
        yield Item(FIGURE, data[SVG], SVG)
    elif drawn := next((kind for kind in data if DRAWN.fullmatch(kind)), None):
        yield Item(FIGURE, json.dumps(_without_random_names(data[drawn]), indent=1, sort_keys=True, ensure_ascii=False))
    elif any(LOADS.fullmatch(kind) for kind in data):
        return
    elif "text/html" in data and WIDGET not in data:
        page = _Page(data["text/html"])
        for kind, content in page.pictures:
            yield Item(FIGURE, content, kind)
        if page.script and not page.pictures:
            yield Item(FIGURE, page.script)
        if page.text:
            yield Item(TABLE if page.has_table else TEXT, page.text)
    elif form := next((kind for kind in TEXTS if kind in data), None):
        text = data[form] if isinstance(data[form], str) else json.dumps(data[form], indent=1, sort_keys=True)
        if text.strip():
            yield Item(TEXT, text)


class _Page(HTMLParser):
    """What a piece of HTML shows: its text, a line for each row; its pictures; and its scripts where these draw."""

    BLOCKS = frozenset({"br", "div", "p", "tr", "li", "h1", "h2", "h3", "h4", "table", "pre", "summary", "caption"})

    def __init__(self, content: str) -> None:
        super().__init__()
        self.has_table, self.pictures = False, list[tuple[str, str]]()
        self._parts, self._scripts, self._inside = list[str](), list[str](), ""
        self.feed(content)
        self.close()
        lines = (" ".join(line.split()).strip("| ") for line in "".join(self._parts).splitlines())
        self.text = "\n".join(line for line in lines if line)
        self.script = _RANDOM_NAMES.sub("…", "\n".join(self._scripts).strip())

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        source = dict(attributes).get("src") or ""
        self._inside = tag if tag in ("style", "script", "title") else self._inside
        if tag == "table":
            self.has_table = True
        if tag in self.BLOCKS:
            self._parts.append("\n")
        elif tag in ("td", "th"):
            self._parts.append(" | ")
        elif tag == "img" and (embedded := re.match(r"data:(image/[\w+.-]+);base64,", source)):
            self.pictures.append((embedded[1], source[embedded.end() :]))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, content: str) -> None:
        if not self._inside:
            self._parts.append(content.replace("\n", " ") if self.has_table else content)
        elif self._inside == "script":
            self._scripts.append(content)


def _without_random_names(value: Any) -> Any:
    """Read a figure's description: packed arrays as numbers, as plotly 6 packs them; random names left out."""
    if isinstance(value, dict):
        if isinstance(value.get("bdata"), str) and value.get("dtype") in _TYPES:
            return array(_TYPES[value["dtype"]], b64decode(value["bdata"])).tolist()
        return {key: _without_random_names(one) for key, one in value.items() if key not in ("uid", "uirevision")}
    if isinstance(value, list):
        return [_without_random_names(one) for one in value]
    return _RANDOM_NAMES.sub("…", value) if isinstance(value, str) else value


def _pair(
    kind: str, before: Sequence[Item], after: Sequence[Item], did_run: bool, now: datetime
) -> Iterator[dict[str, Any]]:
    saved, new = ([item for item in items if item.kind == kind] for items in (before, after))
    for index in range(max(len(saved), len(new))):
        old = saved[index] if index < len(saved) else None
        one = new[index] if index < len(new) else None
        if old and one:
            outcome, between = _compare_items(old, one, now)
            yield _show(kind, outcome.verdict, outcome.why, old, one, between)
        elif old:
            why = "it is not shown any more" if did_run else "the notebook stopped before this cell"
            yield _show(kind, DIFFERS, why, old, None)
        else:
            yield _show(kind, DIFFERS, "it was not there when the author saved the notebook", None, one)


def _compare_items(old: Item, new: Item, now: datetime) -> tuple[Outcome, bytes]:
    if bool(old.picture) != bool(new.picture) or (old.picture == SVG) != (new.picture == SVG):
        return Outcome(DIFFERS, f"it is of another form: {new.picture or 'text'}, was {old.picture or 'text'}"), b""
    if old.picture == SVG:
        outcome = texts.compare(_plain_svg(old.content), _plain_svg(new.content), now)
        return outcome, b""
    if old.picture:
        return pictures.compare(b64decode(old.content), b64decode(new.content))
    return texts.compare(old.content, new.content, now), b""


def _plain_svg(content: str) -> str:
    """An SVG without its date, and with its names numbered, because matplotlib draws them anew for each run."""
    content = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", _as_text(content), flags=re.DOTALL)
    names = {name: f"name{number}" for number, name in enumerate(re.findall(r'\bid="([^"]+)"', content))}
    content = re.sub(r'\bid="([^"]+)"', lambda match: f'id="{names[match[1]]}"', content)
    return re.sub(r'#([^")]+)', lambda match: f"#{names.get(match[1], match[1])}", content)


def _as_text(content: str) -> str:
    return content if content.lstrip().startswith("<") else b64decode(content).decode("utf-8", "replace")


def _show(
    kind: str, verdict: str, why: str, old: Item | None, new: Item | None, between: bytes = b""
) -> dict[str, Any]:
    """Put what is needed to show a comparison into plain words, lists and URLs of data."""
    shown: dict[str, Any] = {"kind": kind, "verdict": verdict, "why": why, "between": pictures.data_url(between)}
    for side, item, other in (("saved", old, new), ("new", new, old)):
        if item and item.picture:
            content = _as_text(item.content).encode() if item.picture == SVG else b64decode(item.content)
            shown[side] = pictures.data_url(content, item.picture)
        elif item:
            text, against = (one.content[:SHOWN_CHARACTERS] if one else "" for one in (item, other))
            is_marked = verdict == DIFFERS and bool(other)
            shown[f"{side}_lines"] = texts.lines_with_marks(text, against if is_marked else text)
            shown[f"{side}_left_out"] = max(0, len(item.content) - SHOWN_CHARACTERS)
    return shown
