"""Papers to work with, and a browser."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyglass_export.settings import Settings
from tests.end_to_end.paper import Paper, make_paper
from tests.end_to_end.registry import Registry, find_program
from tests.missing import missing


@pytest.fixture
def unbuilt_paper(settings: Settings, tmp_path: Path) -> Paper:
    """A paper that nothing was done with yet."""
    return make_paper(tmp_path / "a paper", settings, "Mistake2026")


@pytest.fixture(scope="session")
def paper(
    settings: Settings, db_base_image: str, hub_base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Paper]:
    """A paper that `invoke build` has built and started, in a folder with spaces and accents."""
    made = make_paper(tmp_path_factory.mktemp("papers") / "un été à Paris", settings, "Gu-2026")
    try:
        made.invoke("build")
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="session")
def archived(paper: Paper) -> Iterator[Path]:
    """The paper's archive, of whatever other tests left it as."""
    paper.invoke("build")
    paper.invoke("archive")
    yield paper.root / "Gu-2026-archive"
    tags = paper.docker.ask(
        "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=spyglass-export.paper=Gu-2026"
    )
    paper.docker.succeeds("image", "rm", *(tag for tag in tags.split() if not tag.endswith(":latest")))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for tests that push only to see what comes of it: the layers of the base images are sent once."""
    folder = tmp_path_factory.mktemp("registry")
    made = Registry(find_program(folder), folder, 13603)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; on Debian and Ubuntu as root it is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if not any(shutil.which(name) for name in names) and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update"], capture_output=True, check=False)
        subprocess.run(["apt-get", "install", "--yes", "chromium"], capture_output=True, check=False)
    found = next((path for name in names if (path := shutil.which(name))), None)
    if not found:
        missing("there is no Chromium on this machine")
    return found
