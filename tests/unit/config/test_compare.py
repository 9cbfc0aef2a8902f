"""What a notebook shows is held against what its author saved: texts, tables, figures."""

import base64
import json
from datetime import datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageDraw

from config.compare import outputs, pictures, texts

NOW = datetime(2026, 11, 26, 9, 30)
UUID = "0113a85d-68f7-4242-94a5-6d51e971563e"


@pytest.mark.parametrize(
    ("saved", "new"),
    [
        ("<Figure at 0x7f8d6c1b2a90>", "<Figure at 0x7fbd8f172690>"),
        ("[1.  2.]\n", "[ 1. 2. ]"),
        ("CPU times: user 12 ms, sys: 0 ns\nWall time: 13.7 ms", "CPU times: user 9 ms, sys: 1 ns\nWall time: 9.1 ms"),
        ("12.3 ms ± 0.2 ms per loop", "9.31 µs ± 12 ns per loop"),
        ("100%|██████████| 3/3 [00:00<00:00, 512.3it/s]", "100%|██████████| 3/3 [00:12<00:00,  4.01s/it]"),
        ("0it [00:00, ?it/s]", "0it [00:01, ?it/s]"),
        ("fitting took 3.2 s", "fitting took 41 seconds"),
        ("elapsed: 0:00:12", "elapsed: 0:01:02"),
        ("run at 2024-03-01 10:11:12.123456", "run at 2026-11-26 09:29:58.000001"),
        ("[10:11:12] done", "[09:29:12] done"),
        ("/tmp/ipykernel_12/345.py:1: Warning", "/tmp/ipykernel_7/8.py:1: Warning"),
        ("\x1b[31mred\x1b[0m", "red"),
    ],
)
def test_what_changes_with_every_run_is_let_pass(saved: str, new: str) -> None:
    assert texts.compare(saved, new, NOW) == ("same", "")


@pytest.mark.parametrize(
    ("saved", "new", "why"),
    [
        ("mean 0.123456789", "mean 0.123456788", "1 of 1 numbers differ, none by more than 0.001%"),
        ("[1.0, 1e-17]", "[1.0, -3e-17]", "1 of 2 numbers differ, none by more than 0.001%"),
        ("[-0., 1.]", "[0., 1.]", "1 of 2 numbers differ, none by more than 0.001%"),
        ("/stelmo/nwb/raw/a_.nwb", "/home/jovyan/data/raw/a_.nwb", "paths lead to the same names in other folders"),
        (r"C:\data\a.nwb", "/home/jovyan/data/a.nwb", "paths lead to the same names in other folders"),
        ("a 1\nb 2\n", "b 2\na 1\n", "the same lines in another order"),
        ("{'CA1', 'CA3'}", "{'CA3', 'CA1'}", "a set, in another order"),
    ],
)
def test_what_is_close_says_why(saved: str, new: str, why: str) -> None:
    assert texts.compare(saved, new, NOW) == ("close", why)


@pytest.mark.parametrize(
    ("saved", "new", "why"),
    [
        ("192 units", "193 units", "1 of 1 numbers differ, most of all 193, was 192 (by 0.52%)"),
        ("100000 spikes", "100001 spikes", "1 of 1 numbers differ, most of all 100001, was 100000 (by 0.00%)"),
        ("p = 0.049", "p = 0.051", "1 of 1 numbers differ, most of all 0.051, was 0.049 (by 3.92%)"),
        ("[5e-9, 6e-9]", "[5e-9, 7e-9]", "1 of 2 numbers differ, most of all 7e-9, was 6e-9 (by 14.29%)"),
        ("session 2024-03-01 10:11:12", "session 2024-03-02 10:11:12", "line 1 is"),
        ("region CA1", "region CA3", "line 1 is 'region CA3', was 'region CA1'"),
        ("a\nb", "a\nb\nc", "1 lines more, from line 3"),
        (f"merge_id {UUID}", f"merge_id {UUID[:-1]}f", "line 1 is"),
        ("/stelmo/nwb/raw/a_.nwb", "/stelmo/nwb/raw/b_.nwb", "line 1 is"),
        ("took 3 rats", "took 4 rats", "1 of 1 numbers differ"),
        ("[1, 2, 3]", "[3, 2, 1]", "2 of 3 numbers differ"),
    ],
)
def test_what_differs_says_where(saved: str, new: str, why: str) -> None:
    outcome = texts.compare(saved, new, NOW)

    assert outcome.verdict == "differs"
    assert outcome.why.startswith(why)


def draw(size: tuple[int, int] = (300, 200), point: int = 150, colour: str = "#1f77b4", mode: str = "RGB") -> bytes:
    """A figure: a frame, and a point in it."""
    picture = Image.new(mode, size, "white" if mode == "RGB" else (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((20, 20, size[0] - 20, size[1] - 20), outline="black")
    pen.ellipse((point, 100, point + 6, 106), fill=colour)
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("new", "verdict", "why"),
    [
        (draw(), "same", ""),
        (draw(mode="RGBA"), "same", ""),
        (draw(colour="#1f78b5"), "close", "0.06% of the pixels differ, none by more than 1 of 255 levels"),
        (draw(point=200), "differs", "0.12% of the pixels differ (74 of 60,000)"),
        (draw(point=151), "differs", "0.02% of the pixels differ (14 of 60,000)"),
        (draw(colour="#ff7f0e"), "differs", "0.06% of the pixels differ (37 of 60,000), by up to 88% of full"),
        (draw(size=(320, 200)), "differs", "another size: it is 320 x 200 pixels, and was 300 x 200"),
        (b"no picture", "differs", "one of the pictures cannot be read"),
    ],
    ids=[
        "the same",
        "transparent",
        "rounded",
        "a point elsewhere",
        "a pixel to the right",
        "colour",
        "size",
        "damaged",
    ],
)
def test_figures_are_compared_pixel_by_pixel(new: bytes, verdict: str, why: str) -> None:
    outcome, between = pictures.compare(draw(), new)

    assert outcome.verdict == verdict
    assert outcome.why.startswith(why)
    if between:
        with Image.open(BytesIO(between)) as shown:
            red = shown.convert("RGB").getcolors(maxcolors=100_000) or []
        assert any(colour == (214, 0, 0) for _, colour in red)
    assert bool(between) == (verdict != "same" and new != b"no picture")


def test_a_film_differs_in_any_of_its_frames() -> None:
    def film(last: str) -> bytes:
        file = BytesIO()
        frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", last)]
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
        return file.getvalue()

    assert pictures.compare(film("blue"), film("navy"))[0].verdict == "differs"


def cell(*shown: Any, tags: tuple[str, ...] = (), source: str = "show()", count: int | None = 1) -> SimpleNamespace:
    """A cell of code with outputs as nbformat gives them: a text is printed, an Exception raised, a dict displayed."""
    made = []
    for one in shown:
        if isinstance(one, str):
            made.append(SimpleNamespace(output_type="stream", name="stdout", text=one))
        elif isinstance(one, Exception):
            made.append(SimpleNamespace(output_type="error", ename=type(one).__name__, evalue=str(one)))
        else:
            made.append(SimpleNamespace(output_type="display_data", data=one))
    metadata = {"tags": list(tags)}
    return SimpleNamespace(cell_type="code", source=source, execution_count=count, outputs=made, metadata=metadata)


def notebook(*cells: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(cells=list(cells))


def verdict_of(saved: Any, new: Any) -> tuple[str, str, str]:
    """Kind, verdict and reason of the one thing that two cells show."""
    [found] = outputs.compare(notebook(cell(saved)), notebook(cell(new)), None, NOW)
    [item] = found["items"]
    return item["kind"], item["verdict"], item["why"]


def png(**drawn: Any) -> dict[str, str]:
    return {"image/png": base64.b64encode(draw(**drawn)).decode() + "\n", "text/plain": "<Figure size 300x200>"}


def frame(value: str, style: str = "T_1") -> dict[str, str]:
    html = f"<style>#{style} {{}}</style><table id='{style}'><tr><th>a</th></tr>\n<tr><td>{value}</td></tr></table>"
    return {"text/html": html, "text/plain": f"   a\n0  {value}"}


def svg(name: str, y: float) -> dict[str, str]:
    drawn = f'<path id="m{name}" d="M 1 {y}"/><use xlink:href="#m{name}"/>'
    return {"image/svg+xml": f"<svg><metadata>{name}</metadata>{drawn}</svg>"}


def plotly(values: Any, name: str = UUID) -> dict[str, Any]:
    return {"application/vnd.plotly.v1+json": {"data": [{"y": values, "uid": name}]}, "text/html": f"<div id={name}>"}


PACKED = {"dtype": "f8", "bdata": base64.b64encode(b"\0\0\0\0\0\0\xf0?\0\0\0\0\0\0\0@").decode()}


@pytest.mark.parametrize(
    ("saved", "new", "kind", "verdict"),
    [
        (png(), png(), "figure", "same"),
        (png(), png(point=100), "figure", "differs"),
        (frame("1.5"), frame("1.5", style="T_2"), "table", "same"),
        (frame("1.5"), frame("1.500001"), "table", "close"),
        (frame("CA1"), frame("CA3"), "table", "differs"),
        (svg("1a2b", 1.5), svg("3c4d", 1.5), "figure", "same"),
        (svg("1a2b", 1.5), svg("3c4d", 1.6), "figure", "differs"),
        (plotly([1.0, 2.0]), plotly([1.0, 2.0], "other"), "figure", "same"),
        (plotly([1.0, 2.0]), plotly(PACKED), "figure", "same"),
        (plotly([1.0, 2.0]), plotly([1.0, 2.5]), "figure", "differs"),
        ({"text/html": f"<img src='data:image/png;base64,{png()['image/png']}'>"}, png(), "figure", "same"),
        (ValueError("no unit 3"), ValueError("no unit 3"), "text", "same"),
        (ValueError("no unit 3"), KeyError("unit"), "text", "differs"),
        ({"text/latex": "$x^2$"}, {"text/latex": "$x^3$"}, "text", "differs"),
        ({"application/json": {"a": 1}}, {"application/json": {"a": 1}}, "text", "same"),
    ],
)
def test_outputs_are_compared_in_their_richest_form(saved: Any, new: Any, kind: str, verdict: str) -> None:
    assert verdict_of(saved, new)[:2] == (kind, verdict)


def test_a_figure_that_is_gone_and_one_that_is_new() -> None:
    saved, new = notebook(cell(png()), cell("1")), notebook(cell(), cell("1", png()))

    first, second = outputs.compare(saved, new, None, NOW)

    assert first["items"][0]["why"] == "it is not shown any more"
    assert [item["why"] for item in second["items"]] == ["it was not there when the author saved the notebook", ""]
    assert (first["verdict"], second["verdict"]) == ("differs", "differs")


def test_cells_are_counted_by_verdict_and_tags_are_respected() -> None:
    saved = notebook(
        cell("1"), cell(png()), cell("0.5"), cell(count=None), cell("2"), cell("3"), cell("4"), cell(), cell("gone")
    )
    for index, tag in ((4, "nbval-ignore-output"), (5, "nbval-skip")):
        saved.cells[index].metadata = {"tags": [tag]}
    saved.cells[6].source = "# NBVAL_IGNORE_OUTPUT\nrandom()"
    new = notebook(cell("1"), cell(png()), cell("0.500001"), cell(png()), cell("7"), cell(), cell("9"), cell(), cell())

    found = outputs.compare(saved, new, 8, NOW)

    assert outputs.count(found) == {
        "cell": {"same": 2, "close": 1, "nothing saved": 1, "not compared": 3, "differs": 1},
        "text": {"same": 1, "close": 1, "not compared": 3, "differs": 1},
        "figure": {"same": 1, "nothing saved": 1},
    }
    assert found[-1]["items"][0]["why"] == "the notebook stopped before this cell"


def test_warnings_on_standard_error_do_not_count() -> None:
    warned = cell("1")
    warned.outputs.insert(0, SimpleNamespace(output_type="stream", name="stderr", text="FutureWarning"))

    [found] = outputs.compare(notebook(cell("1")), notebook(warned), None, NOW)

    assert found["verdict"] == "same"
    assert json.dumps(found)
