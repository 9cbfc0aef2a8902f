"""A program in Docker's place, which says what a test needs Docker to say."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spyglass_export.containers.docker import Docker


def docker_that_runs(folder: Path, program: str, **more: Any) -> Docker:
    """Write Python into the folder and give the door to it; what docker is asked is in its `sys.argv[1:]`.

    It runs in the folder. Hundreds of them are started: without `json` and `pathlib` each takes a third of the time.
    """
    file = folder / "docker.py"
    file.write_text(program, encoding="utf-8")
    return Docker((sys.executable, "-I", "-S", str(file)), folder, **more)


def inspected(name: str, layers: Sequence[str], labels: dict[str, str]) -> str:
    """What `docker image inspect` prints of an image."""
    image = {"Id": name, "Os": "linux", "Architecture": "amd64", "Config": {"Labels": labels}}
    return json.dumps([image | {"RootFS": {"Layers": layers}}])
