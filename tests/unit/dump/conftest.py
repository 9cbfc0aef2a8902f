"""Cleaning a dump that is written in the test, and reading what came of it."""

from pathlib import Path

import pytest

from spyglass_export.dump.clean import clean_to_folder
from tests.unit.dump.cleaning import Clean, Cleaned


@pytest.fixture
def clean(tmp_path: Path) -> Clean:
    """Cleans dumps given as text or bytes, one argument a file."""

    def run(*dumps: str | bytes) -> Cleaned:
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        paths = []
        for number, dump in enumerate(dumps):
            path = tmp_path / f"{number}.sql"
            path.write_bytes(dump if isinstance(dump, bytes) else dump.encode())
            paths.append(path)
        result = clean_to_folder(paths, folder)
        after = folder / "after.sql"
        return Cleaned(
            (folder / "schema.sql").read_text(encoding="utf-8"),
            {table.name: (folder / table.file).read_bytes() for table in result.tables if table.file},
            after.read_text(encoding="utf-8") if after.exists() else "",
            result,
        )

    return run
