"""Base images, on a program that answers as Docker does where registries are reached by a mirror or a proxy."""

import sys
from pathlib import Path

import pytest

from spyglass_export.containers.bootstrap import ensure_base_images
from spyglass_export.containers.docker import Docker
from spyglass_export.errors import UserError
from spyglass_export.settings import Settings, load


def engine(folder: Path, *, own_road: str, pulls: bool) -> tuple[Settings, Docker]:
    """An engine without images; nothing listens where the registry of both base images should."""
    for name in ("docker/base", "notebooks"):
        (folder / name).mkdir(parents=True)
    (folder / "docker" / "with_ca_bundle.sh").touch()
    (folder / ".env").write_text("PAPER_ID=a\nDB_BASE_IMAGE=127.0.0.1:9/db\nHUB_BASE_IMAGE=127.0.0.1:9/hub\n")
    program = folder / "docker.py"
    program.write_text(
        "import sys\n"
        f"if sys.argv[1] == 'info': print({own_road!r})\n"
        f"elif not (sys.argv[1] == 'pull' and {pulls}): sys.exit('not here')\n"
        "else: open('pulled', 'a').write(sys.argv[2] + '\\n')\n"
    )
    return load(folder, {}), Docker((sys.executable, str(program)), folder)


def test_a_registry_that_docker_alone_reaches_is_asked_by_docker(tmp_path: Path) -> None:
    settings, docker = engine(tmp_path, own_road="https://mirror.example/", pulls=True)

    ensure_base_images(settings, docker)

    assert (tmp_path / "pulled").read_text().split() == ["127.0.0.1:9/db", "127.0.0.1:9/hub"]


@pytest.mark.parametrize(("own_road", "pulls"), [("http://proxy.example:3128", False), ("", True)])
def test_a_registry_that_nobody_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_road: str, pulls: bool
) -> None:
    monkeypatch.setattr("spyglass_export.containers.bootstrap._debian_release", lambda: None)
    settings, docker = engine(tmp_path, own_road=own_road, pulls=pulls)

    with pytest.raises(UserError, match=r"no answer from the registry of 127\.0\.0\.1:9/db and 127\.0\.0\.1:9/hub"):
        ensure_base_images(settings, docker)
