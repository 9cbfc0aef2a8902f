"""What images say of themselves, as a program in Docker's place tells it."""

import json
from pathlib import Path

import pytest

from spyglass_export.containers.image import glibc_of
from tests.unit.docker_program import docker_that_runs

IMAGE = [{"Id": "sha256:0123456789abcdef", "Config": {}, "Os": "linux", "Architecture": "amd64"}]
DOCKER = f"""
import sys
if sys.argv[1:3] == ["image", "inspect"]:
    print({json.dumps(IMAGE)!r})
else:
    open("containers", "a").write("1")
    print("ldd (Debian GLIBC 2.36-9+deb12u14) 2.36\\nCopyright")
"""


def test_an_image_is_asked_for_its_glibc_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path)
    docker = docker_that_runs(tmp_path, DOCKER)

    assert [glibc_of(docker, "base"), glibc_of(docker, "base")] == ["2.36", "2.36"]
    assert (tmp_path / "containers").read_text() == "1"
