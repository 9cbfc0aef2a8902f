"""What tests of the database share: an image with the example paper, and containers that are removed again."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spyglass_export.containers.docker import Docker
from spyglass_export.export.copy_files import copy_files
from tests.integration.database_container import (
    EXAMPLE,
    ROOT,
    BuildImage,
    Database,
    MakeDatabase,
    ask,
    build_image,
    run,
)


@pytest.fixture(scope="session")
def example_export_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`export_data/` of the example paper."""
    folder = tmp_path_factory.mktemp("example") / "export_data"
    copy_files(EXAMPLE, folder, paper_id="example")
    return folder


@pytest.fixture(scope="session")
def odd_export_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`export_data/` of a small export with orphans, a view, a trigger, and values that are easily lost."""
    folder = tmp_path_factory.mktemp("odd") / "export_data"
    copy_files(ROOT / "tests" / "fixtures" / "odd_export", folder, paper_id="odd")
    return folder


@pytest.fixture(scope="session")
def built_image(
    docker_engine: Docker, db_base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BuildImage]:
    """Builds the image of an `export_data/`, by a name; all are removed at the end."""
    names = []

    def build(export_data: Path, name: str) -> str:
        image = f"sgx-db-{os.getpid()}-{name}"
        done = build_image(export_data, tmp_path_factory.mktemp("context"), image, db_base_image)
        assert done.returncode == 0, done.stdout
        names.append(image)
        return image

    yield build
    if names:
        run("image", "rm", "--force", *names)


@pytest.fixture(scope="session")
def example_image(built_image: BuildImage, example_export_data: Path) -> str:
    """The database image of the example paper."""
    return built_image(example_export_data, "example")


@pytest.fixture(scope="session")
def odd_image(built_image: BuildImage, odd_export_data: Path) -> str:
    """The database image of the odd export."""
    return built_image(odd_export_data, "odd")


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[MakeDatabase]:
    """Makes databases of an image, each with a volume of its own unless told; all are removed at the end."""
    made: list[Database] = []

    def make(image: str, *, volume: str | None = None, **options: Any) -> Database:
        name = f"sgx-db-{os.getpid()}-{len(made)}"
        made.append(Database(image, name, volume or name, **options))
        if volume is None:
            ask("volume", "create", name)
        return made[-1]

    yield make
    for database in made:
        database.close()
