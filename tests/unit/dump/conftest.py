"""Cleaning a dump that is written in the test, and reading what came of it."""

from pathlib import Path

import pytest

from spyglass_export.dump.clean import clean_to_folder
from tests.unit.dump.cleaning import Clean, Cleaned, framed


@pytest.fixture
def clean(tmp_path: Path) -> Clean:
    """Cleans dumps given as text or bytes, one argument a file, with mysqldump's first and last line."""

    def run(*dumps: str | bytes, whole: bool = True) -> Cleaned:
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        paths = []
        for number, dump in enumerate(dumps):
            path = tmp_path / f"{number}.sql"
            path.write_bytes(framed(dump) if whole else dump.encode() if isinstance(dump, str) else dump)
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
