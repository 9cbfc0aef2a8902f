"""The page itself: HTML that needs no other file, no network and no script."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any

from spyglass_export.changes import Change
from spyglass_export.export.manifest import Manifest
from spyglass_export.notebooks.results import Result
from spyglass_export.publishing.citation import Citation
from spyglass_export.report.diagram import anchor, draw
from spyglass_export.report.schema import Reference, Table, TableId, class_name

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
KINDS = {
    "source server": "Settings of the server that the export was made on",
    "character set": "Character sets",
    "column length": "Lengths of columns",
    "GPU package": "Packages for GPUs",
    "GPU build": "Packages built for GPUs",
    "development version": "Versions under development",
    "name": "The environment's name",
    "prefix": "The environment's folder",
}
NUMBERS = {"rows", "size", "as SQL", "took"}
NAME = re.compile(r"`((?:[^`]|``)*)`")


@dataclass(frozen=True)
class Counts:
    """Rows, and bytes in the database, of each `schema.table`; ``missing`` says why there are none."""

    rows: Mapping[str, int]
    bytes: Mapping[str, int]
    missing: str = ""


@dataclass(frozen=True)
class Notebook:
    """A notebook, its last result where it ran, and whether it has changed since."""

    name: str
    result: Result | None
    has_changed: bool


@dataclass(frozen=True)
class Contents:
    """All that the page tells; ``environment`` is environment.yml as it was parsed, ``written`` a date in words."""

    citation: Citation
    manifest: Manifest
    tables: Sequence[Table]
    counts: Counts
    environment: Mapping[str, Any]
    notebooks: Sequence[Notebook]
    written: str


def render(contents: Contents) -> str:
    """Write the page."""
    style = files("spyglass_export.report").joinpath("page.css").read_text(encoding="utf-8")
    title = escape(contents.citation.title)
    sections: tuple[tuple[str, str, Callable[[Contents], str]], ...] = (
        ("diagram", "How the tables hang together", _diagrams),
        ("tables", "Every table", _tables),
        ("changes", "What was changed, and why", _changes),
        ("environment", "The software", _environment),
        ("notebooks", "The notebooks", _notebooks),
        ("sources", "What this was made from", _sources),
    )
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{style}</style></head><body>",
            f"<header><h1>{title}</h1>{_people(contents.citation)}</header>",
            _summary(contents),
            "<nav>" + "".join(f'<a href="#{id_}">{heading}</a>' for id_, heading, _ in sections) + "</nav><main>",
            *(f'<section id="{id_}"><h2>{heading}</h2>{write(contents)}</section>' for id_, heading, write in sections),
            "</main></body></html>\n",
        ]
    )


def _people(citation: Citation) -> str:
    people = ", ".join(escape(author.name) for author in citation.authors)
    doi = f" · doi:{escape(citation.doi)}" if citation.doi else ""
    return f'<p class="faint">{people}{doi}</p>' if people or doi else ""


def _summary(contents: Contents) -> str:
    manifest, counts = contents.manifest, contents.counts
    sql = sum(table.bytes for table in manifest.tables)
    passed = sum(1 for one in contents.notebooks if one.result and one.result.status == "passed")
    facts = {
        "Paper": manifest.paper_id,
        "Spyglass": manifest.spyglass_version or "unknown",
        "Tables": f"{len(contents.tables):,} in {_many(len({t.id.schema for t in contents.tables}), 'schema')}",
        "Rows": f"{sum(counts.rows.values()):,}" if not counts.missing else "not counted yet",
        "Rows as SQL": _size(sql),
        "In the database": _size(sum(counts.bytes.values())) if not counts.missing else "not built yet",
        "Changes": f"{len(manifest.changes):,}",
        "Notebooks": f"{passed} of {len(contents.notebooks)} passed" if contents.notebooks else "none",
    }
    shown = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    abstract = f"<p>{escape(contents.citation.abstract)}</p>" if contents.citation.abstract else ""
    return (
        f"{abstract}<p>This page shows what is shared with the paper <b>{escape(manifest.paper_id)}</b>: the rows "
        "of the lab's Spyglass database that the paper used, the software to work with them, and the notebooks. All "
        "of it runs as two containers, a MySQL database and a JupyterLab. Nothing here is needed to run them; the page "
        f'is for you to check what others will get.</p><p class="faint">Written on {escape(contents.written)}.</p>'
        f'<dl class="facts">{shown}</dl>'
    )


def _diagrams(contents: Contents) -> str:
    diagrams = draw(contents.tables, contents.counts.rows)
    tiers = {table.tier for table in contents.tables}
    exported = {table.id for table in contents.tables}
    if any(reference.parent not in exported for table in contents.tables for reference in table.references):
        tiers.add("missing")
    legend = "".join(
        f'<span><svg width="10" height="10"><rect class="mark {tier}" x="1" y="1" width="8" height="8"/></svg> '
        f"{tier}: {meaning}</span>"
        for tier, meaning in TIERS.items()
        if tier in tiers
    )
    several = (
        "<p>There are many, so the first picture shows families of schemas, and further ones show the tables of each "
        "family. Dashed boxes are tables of other pictures that are referred to.</p>"
        if len(diagrams) > 1
        else ""
    )
    counted = f"<p>The tables' rows are not counted: {escape(contents.counts.missing)}.</p>" * bool(
        contents.counts.missing
    )
    figures = "".join(
        f"<div{' class=wide' * one.is_wide}><h3>{escape(one.title)}</h3><figure>{one.svg}</figure></div>"
        for one in diagrams
    )
    return (
        "<p>Each box is a schema of the database with its tables"
        f"{'' if contents.counts.missing else ' and their numbers of rows'}. An arrow leads from a table to one that "
        "refers to it by a foreign key. It is dashed where the reference is not "
        f'part of what identifies a row.</p>{several}{counted}<div class="legend">{legend}</div>{figures}'
    )


def _tables(contents: Contents) -> str:
    counts, exported = contents.counts, {table.id for table in contents.tables}
    sql_bytes = {TableId(table.schema, table.name): table.bytes for table in contents.manifest.tables}
    lines = []
    ordered = sorted(contents.tables, key=lambda table: table.id)
    for schema, tables in groupby(ordered, key=lambda table: table.id.schema):
        lines.append(f'<tr class="schema"><th colspan="5">{escape(schema)}</th></tr>')
        for table in tables:
            name = str(table.id)
            rows = f"{counts.rows[name]:,}" if name in counts.rows else ""
            size = _size(counts.bytes[name]) if name in counts.bytes else ""
            parents = "<br>".join(_reference(reference, schema, exported) for reference in table.references)
            names = f"{escape(class_name(table.id.name))}<br><code>{escape(table.id.name)}</code>"
            lines.append(
                f'<tr id="{anchor(table.id)}"><td>{names}</td><td>{table.tier}</td><td class="number">{rows}</td>'
                f'<td class="number">{size or _size(sql_bytes.get(table.id, 0))}</td><td>{parents}</td></tr>'
            )
    columns = {"table": 29, "kind": 10, "rows": 9, "as SQL" if counts.missing else "size": 10, "refers to, by": 42}
    return (
        f"<p>Each has its name in Python, and below it the one in MySQL.</p>{_table_head(columns)}<tbody>"
        f"{''.join(lines)}</tbody></table>"
    )


def _table_head(columns: Mapping[str, int]) -> str:
    """Begin a table: its columns' names, and widths in per cent."""
    widths = "".join(f'<col style="width:{width}%">' for width in columns.values())
    names = "".join(f"<th{' class=number' if name in NUMBERS else ''}>{name}</th>" for name in columns)
    return f"<table><colgroup>{widths}</colgroup><thead><tr>{names}</tr></thead>"


def _reference(reference: Reference, schema: str, exported: set[TableId]) -> str:
    parent = reference.parent
    shown = escape(("" if parent.schema == schema else f"{parent.schema}.") + class_name(parent.name))
    name = f'<a href="#{anchor(parent)}">{shown}</a>' if parent in exported else f"{shown} (not in the export)"
    return f'{name} <span class="faint">{escape(", ".join(reference.columns))}</span>'


def _changes(contents: Contents) -> str:
    changes = contents.manifest.changes
    if not changes:
        return "<p>Nothing: the export is shared as it was made.</p>"
    kinds = defaultdict(list)
    for change in changes:
        kinds[change.kind].append(change)
    blocks = []
    for kind, members in sorted(kinds.items(), key=lambda pair: len(pair[1])):
        heading = f"{escape(KINDS.get(kind, kind[:1].upper() + kind[1:]))}: {_many(len(members), 'change')}"
        blocks.append(_folded(heading, "".join(_reasons(members)), len(members)))
    return (
        "<p>The rows are as they were exported. These things around them were changed, so that they run anywhere; "
        f"each is listed here with what stood there before.</p>{''.join(blocks)}"
    )


def _reasons(changes: Sequence[Change]) -> Iterable[str]:
    """Write changes of one kind, those of one reason below it, and those that differ in names only as one line."""
    reasons: dict[str, dict[tuple[str, str], list[Change]]] = defaultdict(lambda: defaultdict(list))
    for change in changes:
        reasons[change.reason][NAME.sub("`…`", change.before), NAME.sub("`…`", change.after)].append(change)
    for reason, alike in reasons.items():
        lines = []
        for (before, after), members in alike.items():
            if len(members) == 1:
                before, after = members[0].before, members[0].after
            places = f'<br><span class="faint">{_places(members)}</span>'
            lines.append(f"<li>{_before_and_after(before, after)}{places}</li>")
        why = escape(reason[:1].upper() + reason[1:])
        yield f"<p>{why}.</p><ul>{''.join(lines)}</ul>"


def _places(changes: Sequence[Change]) -> str:
    """Say where changes that are alike were made: the place of each, and the names in it that differ."""
    places: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        names = ".".join(name.replace("``", "`") for name in NAME.findall(change.before)) if len(changes) > 1 else ""
        places[NAME.sub(r"\1", change.where)].append(names)
    if len(places) > 1:
        return ", ".join(escape(place) for place in places)
    [(place, named)] = places.items()
    names = ", ".join(dict.fromkeys(filter(None, named)))
    times = f", {len(named)} times" if len(named) > 1 else ""
    return escape(f"{place}{times}{f': {names}' if names else ''}")


def _before_and_after(before: str, after: str) -> str:
    parts = [f"<del><code>{escape(before)}</code></del>"] if before else []
    return " → ".join([*parts, f"<ins><code>{escape(after)}</code></ins>"] if after else parts)


def _environment(contents: Contents) -> str:
    dependencies = contents.environment.get("dependencies") or []
    conda = [str(one) for one in dependencies if not isinstance(one, dict)]
    pip = [str(line) for one in dependencies if isinstance(one, dict) for line in one.get("pip") or ()]
    channels = ", ".join(map(str, contents.environment.get("channels") or ())) or "none"
    parts = [f"<p>The notebooks run in this conda environment; its channels are {escape(channels)}.</p>"]
    for source, packages in (("conda", conda), ("pip", pip)):
        if packages:
            items = "".join(f"<li><code>{escape(package)}</code></li>" for package in packages)
            parts.append(
                _folded(f"From {source}: {_many(len(packages), 'package')}", f'<ul class="packages">{items}</ul>', 0)
            )
    return "".join(parts)


def _notebooks(contents: Contents) -> str:
    if not contents.notebooks:
        return "<p>There is none yet.</p>"
    lines = []
    for one in contents.notebooks:
        result = one.result
        if not result:
            lines.append(f"<tr><td>{escape(one.name)}</td><td>not run yet</td><td></td><td></td><td></td></tr>")
            continue
        css = "passed" if result.status == "passed" else "trouble"
        changed = " (changed since)" if one.has_changed else ""
        lines.append(
            f'<tr><td>{escape(one.name)}</td><td><span class="{css}">{escape(result.status)}</span>{changed}</td>'
            f'<td>{escape(result.why)}</td><td class="number">{result.seconds:.1f} s</td>'
            f"<td>{escape(result.ran[:16].replace('T', ' '))}</td></tr>"
        )
    columns = {"notebook": 26, "result": 14, "where it stopped": 34, "took": 10, "run on": 16}
    return (
        "<p>Each was run from its first cell to its last in the container that others get, by "
        "<code>invoke test_notebooks</code>. Times are in UTC.</p>"
        f"{_table_head(columns)}<tbody>{''.join(lines)}</tbody></table>"
    )


def _sources(contents: Contents) -> str:
    manifest = contents.manifest
    lines = "".join(
        f'<tr><td>{escape(source.name)}</td><td class="number">{_size(source.bytes)}</td>'
        f"<td><code>{source.sha256}</code></td></tr>"
        for source in manifest.sources
    )
    return (
        "<p>These files were read. Their SHA-256 checksums tell whether a file is the same.</p>"
        f"{_table_head({'file': 30, 'size': 10, 'SHA-256': 60})}<tbody>{lines}</tbody></table>"
        f"<p>Hash of the export: <code>{escape(manifest.export_hash)}</code></p>"
    )


def _folded(heading: str, content: str, length: int) -> str:
    opened = " open" if length <= SHOWN else ""
    return f"<details{opened}><summary>{heading}</summary>{content}</details>"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    """Bytes as a person reads them."""
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:,.0f} {units[0]}" if units[0] == "bytes" or size >= 100 else f"{size:,.1f} {units[0]}"
