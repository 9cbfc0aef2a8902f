"""What a reader sees in a browser: the login, the example notebook, its table and its figure."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

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


def test_the_example_notebook_shows_its_table_and_its_figure(paper: Paper, chromium: str, tmp_path: Path) -> None:
    """With SCREENSHOT=docs/jupyterlab.png the README's picture is taken anew."""
    screenshot = os.environ.get("SCREENSHOT", str(tmp_path / "jupyterlab.png"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"http://127.0.0.1:{paper.settings.hub_port}/lab/tree/notebooks/example.ipynb")
        page.get_by_label("Password").fill("Gu-2026")
        page.keyboard.press("Enter")

        notebook = page.locator(".jp-Notebook")
        notebook.wait_for(timeout=60_000)
        page.get_by_text("Gu-2026 | Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()

        # JupyterLab keeps only what is near the screen in the page; without the code it is all of it.
        page.get_by_role("menuitem", name="View", exact=True).click()
        page.get_by_text("Collapse All Code", exact=True).click()
        figure = notebook.locator(".jp-OutputArea-output img")
        for _ in range(240):
            page.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollTo(0, panel.scrollHeight)")
            if figure.count():
                break
            page.wait_for_timeout(500)
        assert figure.evaluate("image => image.naturalWidth") > 500
        assert notebook.locator("table", has_text="CA1").count() >= 1
        assert notebook.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
        page.get_by_text("Gu-2026 | Idle").wait_for(timeout=60_000)
        figure.evaluate("image => image.scrollIntoView({block: 'end'})")
        page.wait_for_timeout(1000)
        page.screenshot(path=screenshot)
        browser.close()
    assert Path(screenshot).stat().st_size > 20_000
