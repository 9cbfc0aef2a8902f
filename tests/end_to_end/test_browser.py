"""What a reader sees in a browser: the login, the example notebook, its table, its figure and its widget."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, sync_playwright

from tests.end_to_end.paper import Paper

pytestmark = pytest.mark.end_to_end

# Without these, Chromium as root does not start, and looks for its maker's servers.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def test_the_example_notebook_shows_its_table_its_figure_and_a_widget_that_moves(
    paper: Paper, chromium: str, tmp_path: Path
) -> None:
    """With SCREENSHOT=docs/jupyterlab.png the README's picture is taken anew."""
    screenshot = os.environ.get("SCREENSHOT", str(tmp_path / "jupyterlab.png"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1320})
        page.goto(f"http://127.0.0.1:{paper.settings.hub_port}/lab/tree/notebooks/example.ipynb")
        page.get_by_label("Password").fill("Gu-2026")
        page.keyboard.press("Enter")

        notebook = page.locator(".jp-Notebook")
        notebook.wait_for(timeout=60_000)
        page.get_by_text("Gu-2026 | Idle").wait_for(timeout=60_000)
        # What was saved is no proof: the kernel has to show all of it anew.
        choose(page, "Edit", "Clear Outputs of All Cells")
        notebook.locator(".jp-OutputArea-output").first.wait_for(state="detached")
        choose(page, "View", "Collapse All Code")
        choose(page, "Run", "Run All Cells")

        # JupyterLab keeps only what is near the screen in the page; without the code it is all of it.
        canvas, slider = notebook.locator(".jupyter-matplotlib-canvas-div canvas").first, notebook.get_by_role("slider")
        figure, table = notebook.locator(".jp-OutputArea-output img"), notebook.locator("table", has_text="CA1").first
        for _ in range(240):
            page.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollTo(0, panel.scrollHeight)")
            if all(one.count() for one in (canvas, slider, figure, table)):
                break
            page.wait_for_timeout(500)
        page.get_by_text("Gu-2026 | Idle").wait_for(timeout=60_000)
        assert table.is_visible()
        assert figure.evaluate("image => image.naturalWidth") > 500
        assert notebook.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0

        before = picture_of(canvas)
        slider.focus()
        page.keyboard.press("ArrowRight")
        notebook.locator(".widget-readout", has_text="1").wait_for()
        wait_until(page, lambda: picture_of(canvas) != before)
        canvas.evaluate("canvas => canvas.closest('.jp-OutputArea').scrollIntoView({block: 'end'})")
        page.wait_for_timeout(1000)
        page.screenshot(path=screenshot)

        page.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollTo(0, panel.scrollHeight / 3)")
        bar = notebook.locator(".progress-bar")
        assert bar.evaluate("bar => bar.style.width") == "100%"
        assert notebook.locator(".widget-html-content", has_text="20/20").count() == 1
        browser.close()
    assert Path(screenshot).stat().st_size > 20_000


def choose(page: Page, menu: str, item: str) -> None:
    """Click an item of JupyterLab's menus."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_text(item, exact=True).click()


def picture_of(canvas: Locator) -> str:
    """What a canvas shows, as a URL of data."""
    shown: str = canvas.evaluate("canvas => canvas.toDataURL()")
    return shown


def wait_until(page: Page, holds: Callable[[], bool]) -> None:
    for _ in range(60):
        if holds():
            return
        page.wait_for_timeout(500)
    raise AssertionError("the figure is not drawn anew")
