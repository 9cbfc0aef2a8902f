"""What is said of the last test: only of these very notebooks in these very images; with a `docker` that knows two."""

from dataclasses import replace
from pathlib import Path

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import Image
from spyglass_export.containers.labels import TESTED
from spyglass_export.files import sha256
from spyglass_export.notebooks.results import NOT_TESTED, Result, fingerprint, keep_result, last_test
from spyglass_export.publishing.provenance import label_with_last_test
from spyglass_export.settings import Settings, load
from tests.unit.docker_program import docker_that_runs, inspected

# Answers `image inspect` as Docker does, and writes down what it is asked to build.
PROGRAM = """
import sys
asked, images = sys.argv[1:], eval(open("images").read())
if asked[0] == "build":
    with open("built.txt", "a") as file:
        print(*asked, sep="|", file=file)
elif asked[:2] == ["image", "inspect"]:
    name = asked[-1].removesuffix(":latest")
    if name not in images:
        sys.exit(1)
    print(images[name])
"""
SHOWN = {"figure": {"same": 2}, "table": {"same": 1, "differs": 1}}


@pytest.fixture
def paper(tmp_path: Path) -> Settings:
    (tmp_path / ".env").write_text("PAPER_ID=Gu2026\n", encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    for name in ("a.ipynb", "b.ipynb", "helper.py"):
        (tmp_path / "notebooks" / name).write_text("{}", encoding="utf-8")
    settings = load(tmp_path, {})
    have_images(settings, {})
    return settings


def have_images(settings: Settings, labels: dict[str, str], hub: tuple[str, ...] = ("software", "notebooks")) -> None:
    layers = {settings.db_image_name: ("rows",), settings.hub_image_name: hub}
    images = {name: inspected(name, of, labels) for name, of in layers.items()}
    (settings.root / "images").write_text(repr(images))


@pytest.fixture
def docker(paper: Settings) -> Docker:
    return docker_that_runs(paper.root, PROGRAM)


def run(settings: Settings, docker: Docker, *names: str) -> None:
    """Leave the results of a test."""
    for name in names:
        tested_in = fingerprint(settings, docker, settings.db_image_name, settings.hub_image_name)
        checksum = sha256(settings.notebooks / name)
        result = Result(name, "passed", None, "", 2, (), checksum, "2026-01-02T03:04:05+00:00", tested_in, SHOWN)
        keep_result(settings, result)


def said(settings: Settings, docker: Docker) -> str:
    return last_test(settings, docker, settings.db_image_name, settings.hub_image_name)


def test_there_was_none(paper: Settings, docker: Docker) -> None:
    assert said(paper, docker) == NOT_TESTED


def test_all_were_tested(paper: Settings, docker: Docker) -> None:
    run(paper, docker, "a.ipynb", "b.ipynb")

    assert said(paper, docker) == (
        "2 of 2 notebooks passed when they were tested on 2026-01-02: 4 of 4 figures are the same, 2 of 4 tables"
    )


def test_one_that_has_changed_since_was_not_run(paper: Settings, docker: Docker) -> None:
    run(paper, docker, "a.ipynb", "b.ipynb")
    (paper.notebooks / "b.ipynb").write_text('{"cells": []}')

    assert said(paper, docker).startswith(
        "1 of 2 notebooks passed when they were tested on 2026-01-02, 1 were not run:"
    )


def test_a_notebook_that_changes_in_the_last_layer_leaves_the_others_tested(paper: Settings, docker: Docker) -> None:
    run(paper, docker, "a.ipynb", "b.ipynb")
    have_images(paper, {}, ("software", "other notebooks"))

    assert said(paper, docker).startswith("2 of 2 notebooks passed")


def test_other_software_was_not_tested(paper: Settings, docker: Docker) -> None:
    run(paper, docker, "a.ipynb", "b.ipynb")
    have_images(paper, {}, ("other software", "notebooks"))

    assert said(paper, docker) == NOT_TESTED


def test_nor_was_another_file_beside_the_notebooks(paper: Settings, docker: Docker) -> None:
    run(paper, docker, "a.ipynb", "b.ipynb")
    (paper.notebooks / "helper.py").write_text("ANSWER = 43\n")

    assert said(paper, docker) == NOT_TESTED


def test_an_image_that_is_gone_was_not_tested(paper: Settings, docker: Docker) -> None:
    (paper.root / "images").write_text("{}")
    run(paper, docker, "a.ipynb")

    assert said(paper, docker) == NOT_TESTED


def test_both_images_get_a_label_once(paper: Settings, docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    run(paper, docker, "a.ipynb", "b.ipynb")
    names = {"db": paper.db_image_name, "hub": paper.hub_image_name}
    images = {service: Image(name, name, {}, "linux/amd64") for service, name in names.items()}

    label_with_last_test(paper, docker, images)

    lines = (paper.root / "built.txt").read_text().splitlines()
    assert [line.split("|")[-2] for line in lines] == [f"{name}:latest" for name in names.values()]
    assert all(f"|--label|{TESTED}={said(paper, docker)}|" in line for line in lines)
    assert f"test of the notebooks: {said(paper, docker)}" in capsys.readouterr().out

    labelled = {service: replace(image, labels={TESTED: said(paper, docker)}) for service, image in images.items()}
    label_with_last_test(paper, docker, labelled)

    assert len((paper.root / "built.txt").read_text().splitlines()) == 2
