"""Cleaning a dump that is written in the test, and reading what came of it."""

from functools import partial
from pathlib import Path

import pytest

from tests.unit.dump.cleaning import Clean, clean_in


@pytest.fixture
def clean(tmp_path: Path) -> Clean:
    """Cleans dumps given as text or bytes, one argument a file, with mysqldump's first and last line."""
    return partial(clean_in, tmp_path)
