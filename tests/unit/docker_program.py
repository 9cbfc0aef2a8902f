"""A program in Docker's place, which says what a test needs Docker to say."""

import sys
from pathlib import Path
from typing import Any

from spyglass_export.containers.docker import Docker


def docker_that_runs(folder: Path, program: str, **more: Any) -> Docker:
    """Write Python into the folder and give the door to it; what docker is asked is in its `sys.argv[1:]`."""
    file = folder / "docker.py"
    file.write_text(program, encoding="utf-8")
    return Docker((sys.executable, "-I", "-S", str(file)), folder, **more)
