"""docs/reference.md says what the code does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_page_is_made_from_todays_code() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import make_reference, sys; sys.stdout.write(make_reference.page())"],
        cwd=ROOT / "docs",
        capture_output=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)},
        check=True,
    ).stdout

    assert made == (ROOT / "docs" / "reference.md").read_text(encoding="utf-8"), "run python docs/make_reference.py"
