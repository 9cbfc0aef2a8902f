"""The page for co-authors: what it says, how its diagram is laid out, and that it needs nothing else."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.dump.sql.table_id import TableId
from spyglass_export.errors import UserError
from spyglass_export.export import copy_files as export
from spyglass_export.files import sha256
from spyglass_export.notebooks.results import Result, keep_result
from spyglass_export.report import write as report
from spyglass_export.report.diagram import draw
from spyglass_export.report.layout import place
from spyglass_export.report.schema import Reference, Table, class_name, read_tables
from spyglass_export.report.write import LARGEST_PICTURE
from spyglass_export.settings import Settings, load

ROOT = Path(__file__).resolve().parents[3]
NO_DOCKER = Docker(("no-such-docker",), ROOT)


@pytest.fixture(scope="module")
def export_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`export_data/` of the example, which no test changes."""
    folder = tmp_path_factory.mktemp("example") / "export_data"
    export.copy_files(ROOT / "examples" / "export" / "example", folder, paper_id="Gu2026")
    return folder


@pytest.fixture
def paper(tmp_path: Path, export_data: Path) -> Settings:
    (tmp_path / ".env").write_text("PAPER_ID=Gu2026\n", encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    shutil.copytree(export_data, tmp_path / "export_data")
    return load(tmp_path, {})


class Page(HTMLParser):
    """The text of a page, its tags that were not closed, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.pictures: list[str] = []
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if tag not in ("meta", "br", "col", "rect", "path", "img"):
            self.open.append(tag)
        source = named.get("src") or ""
        if source.startswith("data:image/"):
            self.pictures.append(source)
        elif tag in ("script", "link", "img", "iframe") or "src" in named:
            self.loads.append(tag)
        self.anchors.add(named.get("id") or "")
        self.links |= {named["href"] or ""} if "href" in named else set()

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(settings: Settings) -> Page:
    return Page(report.write_report(settings, NO_DOCKER).read_text(encoding="utf-8"))


def test_the_page_tells_of_the_paper_and_needs_nothing_else(paper: Settings) -> None:
    page = page_of(paper)

    assert page.open == []
    assert page.loads == []
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    for said in ("Gu2026", "0.6.0", "13 in 8 schemas", "not counted yet", "TaskEpoch", "not in the export", "numpy"):
        assert said in page.text


def test_every_table_and_every_foreign_key_is_in_the_list(paper: Settings) -> None:
    tables = read_tables(paper.export_data / "sql" / "schema.sql")
    page = (report.write_report(paper, NO_DOCKER)).read_text(encoding="utf-8")

    assert len(tables) == page.count("<tr id=") == 13
    assert sum(len(table.references) for table in tables) == (paper.export_data / "sql" / "schema.sql").read_text(
        encoding="utf-8"
    ).count(" FOREIGN KEY ")
    electrode = next(table for table in tables if table.id == TableId("common_ephys", "_electrode"))
    assert (
        Reference(TableId("common_region", "#brain_region"), ("region_id",), is_primary=False) in electrode.references
    )
    assert (
        Reference(
            TableId("common_ephys", "_electrode_group"), ("nwb_file_name", "electrode_group_name"), is_primary=True
        )
        in electrode.references
    )


def test_every_change_is_told_with_what_stood_there_but_no_path_of_the_author(paper: Settings) -> None:
    page = page_of(paper)

    assert "/home/ada" not in page.text
    assert "(a path)" in page.text
    assert "Character sets: 13 changes" in page.text
    assert "common_ephys._electrode_group, common_ephys._electrode, " in page.text


def test_what_an_author_writes_stays_text(paper: Settings) -> None:
    (paper.root / "CITATION.cff").write_text(
        'title: "<script>alert(1)</script> & co"\nauthors: [{given-names: Ada, family-names: "L<b>"}]\n',
        encoding="utf-8",
    )

    page = page_of(paper)

    assert page.loads == []
    assert "<script>alert(1)</script> & co" in page.text
    assert "Ada L<b>" in page.text


def test_results_of_notebooks_are_shown_and_marked_where_they_are_old(paper: Settings) -> None:
    for name in ("a.ipynb", "b.ipynb"):
        (paper.notebooks / name).write_text("{}", encoding="utf-8")
    keep_result(paper, Result("a.ipynb", "failed", 4, "KeyError: 'x'", 2, (), "0" * 64, "2026-01-02T03:04:05+00:00"))

    page = page_of(paper)

    assert "failed (changed since)cell 4: KeyError: 'x'2.0 s2026-01-02 03:04" in page.text
    assert "b.ipynbnot run yet" in page.text


def leave_results(settings: Settings, name: str, shown: dict[str, dict[str, int]], figures: object) -> None:
    """Leave what a test of a notebook leaves."""
    (settings.notebooks / name).write_text("{}", encoding="utf-8")
    checksum = sha256(settings.notebooks / name)
    keep_result(settings, Result(name, "passed", None, "", 2, (), checksum, "2026-01-02T03:04:05+00:00", shown=shown))
    file = settings.notebooks / "executed" / name.replace(".ipynb", ".figures.json")
    file.write_text(json.dumps(figures), encoding="utf-8")


def figure(cell: int, verdict: str, why: str = "", **shown: object) -> dict[str, object]:
    return {"kind": "figure", "cell": cell, "verdict": verdict, "why": why, "between": "", **shown}


def test_every_figure_is_shown_with_its_verdict(paper: Settings) -> None:
    png = "data:image/png;base64,"
    figures = [
        figure(3, "same", saved=f"{png}c2F2", new=f"{png}c2Ft"),
        figure(5, "differs", "another size", saved=f"{png}b2xk", new=f"{png}bmV3", between=f"{png}cmVk"),
        figure(7, "nothing saved", new_lines=[["{}", False]]),
        figure(9, "nothing saved", new="https://example.org/tracks.png"),
    ]
    leave_results(paper, "a.ipynb", {"figure": {"same": 1, "differs": 1, "nothing saved": 2}}, figures)

    page = page_of(paper)

    assert page.loads == page.open == []
    assert page.pictures == [f"{png}c2Ft", f"{png}b2xk", f"{png}bmV3", f"{png}cmVk"]
    assert "Figures1 of 2 the same" in page.text
    assert "1 of 2 figures are the same" in page.text
    assert re.search(r"differs,\s+in cell 5: another size", page.text)
    assert page.text.count("A script draws it: notebooks/executed/a.html shows it.") == 2


@pytest.mark.parametrize("figures", ["[", {"cell": 1}, [{"cell": 1}], None])
def test_figures_that_cannot_be_read_are_none(paper: Settings, figures: object) -> None:
    leave_results(paper, "a.ipynb", {}, figures)

    page = page_of(paper)

    assert page.pictures == []
    assert "None yet: invoke test_notebooks runs the notebooks" in page.text


def test_a_picture_that_would_make_the_page_huge_is_named(paper: Settings) -> None:
    url = "data:image/png;base64," + "A" * LARGEST_PICTURE
    leave_results(paper, "a.ipynb", {"figure": {"same": 1}}, [figure(3, "same", new=url)])

    page = page_of(paper)

    assert page.pictures == []
    assert "A picture is too large for this page" in page.text


def test_a_page_changes_nothing_that_copy_files_or_the_images_know(paper: Settings) -> None:
    report.write_report(paper, NO_DOCKER)

    again = export.copy_files(ROOT / "examples" / "export" / "example", paper.export_data, paper_id="Gu2026")

    assert not again.changed
    assert (paper.export_data / report.FILE).is_file()
    assert "export_data/report.html" in (ROOT / ".dockerignore").read_text().splitlines()


def test_nothing_to_report_on(paper: Settings) -> None:
    (paper.export_data / "manifest.json").unlink()

    with pytest.raises(UserError, match="there is nothing to report on"):
        report.write_report(paper, NO_DOCKER)


@pytest.mark.parametrize(
    ("in_mysql", "in_python"),
    [
        ("session", "Session"),
        ("#brain_region", "BrainRegion"),
        ("_session__experimenter", "Session.Experimenter"),
        ("__position_v1__info_2", "PositionV1.Info2"),
        ("~external_raw", "~external_raw"),
        ("Not From DataJoint", "Not From DataJoint"),
    ],
)
def test_tables_are_called_as_in_python(in_mysql: str, in_python: str) -> None:
    assert class_name(in_mysql) == in_python


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    file = tmp_path / "schema.sql"
    file.write_text(
        "CREATE DATABASE IF NOT EXISTS `a``b`;\nUSE `a``b`;\n"
        "CREATE TABLE `é<x>` (`i d` int, PRIMARY KEY (`i d`));\nCREATE TABLE `c` (`x` int,"
        " CONSTRAINT `k` FOREIGN KEY (`x`) REFERENCES `é<x>` (`i d`)) COMMENT='CREATE TABLE `no` (FOREIGN KEY';\n",
        encoding="utf-8",
    )

    tables = read_tables(file)

    assert [str(table.id) for table in tables] == ["a`b.é<x>", "a`b.c"]
    assert tables[1].references == (Reference(TableId("a`b", "é<x>"), ("x",), is_primary=False),)
    [diagram] = draw(tables, {})
    assert "é&lt;x&gt;" in diagram.svg


def chain(count: int) -> list[Table]:
    """Tables of several schemas, each with two before it as its parents."""
    ids = [TableId(f"{('common', 'lfp', 'spikes')[i % 3]}_{i % 20}", f"t{i}") for i in range(count)]
    return [
        Table(ids[i], "manual", None, tuple(Reference(ids[j], ("x",), j % 2 == 0) for j in {i // 2, i // 3} - {i}))
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [13, 189, 600])
def test_each_table_is_drawn_once_in_its_own_picture(count: int) -> None:
    tables = chain(count)

    mentioned = re.compile(r'<g class="box mentioned">.*?</g>(?=\s*(?:<g class|<path|</svg))', re.DOTALL)
    svg = "".join(mentioned.sub("", one.svg) for one in draw(tables, {}))

    for table in tables:
        assert svg.count(f"<title>{table.id}, manual</title>") == 1


def test_boxes_stand_apart_and_arrows_lead_to_the_right() -> None:
    names = [f"n{i}" for i in range(40)]
    arrows = [(names[i // 3], names[i]) for i in range(1, 40)] + [("n0", "n39"), ("n0", "n38")]

    layout = place({name: (100, 20 + 7 * (i % 5)) for i, name in enumerate(names)}, arrows)

    for a, b in combinations(layout.boxes.values(), 2):
        apart = a.x + a.width < b.x or b.x + b.width < a.x or a.y + a.height < b.y or b.y + b.height < a.y
        assert apart
    assert all(layout.boxes[a].x + layout.boxes[a].width < layout.boxes[b].x for a, b in arrows)
    assert max(box.y + box.height for box in layout.boxes.values()) <= layout.height


def test_circles_and_tables_that_refer_to_themselves_are_drawn_too() -> None:
    a, b = TableId("x", "a"), TableId("y", "b")
    circle = [
        Table(a, "manual", None, (Reference(b, ("b",), True), Reference(a, ("a",), False))),
        Table(b, "manual", None, (Reference(a, ("a",), False),)),
    ]

    [diagram] = draw(circle, {"x.a": 1234})

    assert diagram.svg.count('class="head"') == 3
    assert "1,234" in diagram.svg
