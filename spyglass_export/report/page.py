"""What page.html is filled with: a page that needs no other file, no network and no script."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, StrictUndefined

from spyglass_export.changes import KINDS, Change
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.export.manifest import Manifest
from spyglass_export.notebooks.results import Figure, Result, sentence
from spyglass_export.publishing.citation import Citation
from spyglass_export.report.diagram import anchor, draw
from spyglass_export.report.schema import Table, class_name

# Of a picture in the page, in characters: what a browser shows at once and an e-mail carries.
LARGEST_PICTURE = 3_000_000
# Lists up to this long are shown; longer ones are folded, and unfolded on paper.
SHOWN = 12
TIERS = {
    "manual": "entered by hand",
    "lookup": "fixed values and parameters",
    "imported": "read from data files",
    "computed": "computed from other tables",
    "part": "part of the table above it",
    "missing": "not in the export",
}
SECTIONS = {
    "diagram": "How the tables hang together",
    "tables": "Every table",
    "changes": "What was changed, and why",
    "environment": "The software",
    "notebooks": "The notebooks",
    "figures": "The figures",
    "sources": "What this was made from",
}
NUMBERS = {"rows", "size", "as SQL", "took"}
NAME = re.compile(r"`((?:[^`]|``)*)`")


@dataclass(frozen=True)
class Counts:
    """Rows, and bytes in the database, of each `schema.table`; ``missing`` says why there are none.

    ``proof`` tells how the rows were held against those of the lab's server.
    """

    rows: Mapping[str, int]
    bytes: Mapping[str, int]
    missing: str = ""
    proof: str = ""


@dataclass(frozen=True)
class Notebook:
    """A notebook, its last result where it ran, whether it has changed since, and the figures that it showed."""

    name: str
    result: Result | None
    has_changed: bool
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Contents:
    """All that the page tells.

    ``environment`` is environment.yml as it was parsed, ``left_out`` what of it the image lacks, ``written`` a date in
    words.
    """

    citation: Citation
    manifest: Manifest
    tables: Sequence[Table]
    counts: Counts
    environment: Mapping[str, Any]
    left_out: Sequence[str]
    notebooks: Sequence[Notebook]
    written: str


def render(contents: Contents) -> str:
    """Write the page."""
    package = files("spyglass_export.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters |= {"size": _size, "many": _many}
    template = environment.from_string(package.joinpath("page.html").read_text(encoding="utf-8"))
    exported = {table.id for table in contents.tables}
    ordered = sorted(contents.tables, key=lambda table: table.id)
    return template.render(
        contents=contents,
        style=package.joinpath("page.css").read_text(encoding="utf-8"),
        sections=SECTIONS,
        numbers=NUMBERS,
        shown_at_once=SHOWN,
        largest_picture=LARGEST_PICTURE,
        said=sentence(one.result for one in contents.notebooks if one.result),
        facts=_facts(contents),
        diagrams=draw(contents.tables, contents.counts.rows),
        tiers=_tiers(contents.tables, exported),
        schemas={schema: list(tables) for schema, tables in groupby(ordered, key=lambda table: table.id.schema)},
        exported=exported,
        sql_bytes={TableId(table.schema, table.name): table.bytes for table in contents.manifest.tables},
        kinds=_kinds(contents.manifest.changes),
        packages=_packages(contents.environment.get("dependencies") or []),
        anchor=anchor,
        class_name=class_name,
    )


def _facts(contents: Contents) -> dict[str, str]:
    manifest, counts = contents.manifest, contents.counts
    sql = sum(table.bytes for table in manifest.tables)
    passed = sum(1 for one in contents.notebooks if one.result and one.result.status == "passed")
    return {
        "Paper": manifest.paper_id,
        "Spyglass": manifest.spyglass_version or "unknown",
        "Tables": f"{len(contents.tables):,} in {_many(len({t.id.schema for t in contents.tables}), 'schema')}",
        "Rows": f"{sum(counts.rows.values()):,}" if not counts.missing else "not counted yet",
        "Of the tables": counts.proof or "not held against the source yet",
        "Rows as SQL": _size(sql),
        "In the database": _size(sum(counts.bytes.values())) if not counts.missing else "not built yet",
        "Changes": f"{len(manifest.changes):,}",
        "Figures": _figures(contents.notebooks),
        "Notebooks": f"{passed} of {len(contents.notebooks)} passed" if contents.notebooks else "none",
    }


def _figures(notebooks: Sequence[Notebook]) -> str:
    verdicts = [figure.verdict for one in notebooks for figure in one.figures]
    compared = [one for one in verdicts if one in ("same", "close", "differs")]
    return f"{compared.count('same')} of {len(compared)} the same" if compared else "not compared yet"


def _tiers(tables: Sequence[Table], exported: set[TableId]) -> dict[str, str]:
    """Give the tiers that the diagrams show, each with its meaning."""
    shown = {table.tier for table in tables}
    if any(reference.parent not in exported for table in tables for reference in table.references):
        shown.add("missing")
    return {tier: meaning for tier, meaning in TIERS.items() if tier in shown}


def _kinds(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Give changes by kind, those of one reason below it, and those that differ in names only as one line."""
    kinds: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        kinds[change.kind].append(change)
    return [
        {"heading": _capital(KINDS.get(kind, kind)), "count": len(members), "reasons": _reasons(members)}
        for kind, members in sorted(kinds.items(), key=lambda pair: len(pair[1]))
    ]


def _reasons(changes: Sequence[Change]) -> dict[str, list[dict[str, str]]]:
    alike: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for change in changes:
        alike[change.reason, NAME.sub("`…`", change.before), NAME.sub("`…`", change.after)].append(change)
    reasons: dict[str, list[dict[str, str]]] = defaultdict(list)
    for (reason, before, after), members in alike.items():
        if len(members) == 1:
            before, after = members[0].before, members[0].after
        reasons[_capital(reason)].append({"before": before, "after": after, "places": _places(members)})
    return reasons


def _places(changes: Sequence[Change]) -> str:
    """Say where changes that are alike were made: the place of each, and the names in it that differ."""
    places: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        names = ".".join(name.replace("``", "`") for name in NAME.findall(change.before)) if len(changes) > 1 else ""
        places[NAME.sub(r"\1", change.where)].append(names)
    if len(places) > 1:
        return ", ".join(places)
    [(place, named)] = places.items()
    names = ", ".join(dict.fromkeys(filter(None, named)))
    times = f", {len(named)} times" if len(named) > 1 else ""
    return f"{place}{times}{f': {names}' if names else ''}"


def _packages(dependencies: Sequence[Any]) -> dict[str, list[str]]:
    """Give what environment.yml lists, by where it comes from."""
    return {
        "conda": [str(one) for one in dependencies if not isinstance(one, dict)],
        "pip": [str(line) for one in dependencies if isinstance(one, dict) for line in one.get("pip") or ()],
    }


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    """Bytes as a person reads them."""
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:,.0f} {units[0]}" if units[0] == "bytes" or size >= 100 else f"{size:,.1f} {units[0]}"
